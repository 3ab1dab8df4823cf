"""A fast and simple streak detector, to test what the commands do around one."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from detectors.types import StreakDetections, StreakKind


@dataclass(frozen=True)
class PlainStreaks:
    """Long connected areas above the noise."""

    name: str = "plain"
    sigmas: float = 4.0
    least_length_px: float = 25.0

    def detect(self, light, mask=None, saturated=None):
        light = np.asarray(light, np.float64)
        there = np.isfinite(light) if mask is None else np.isfinite(light) & ~mask
        if not there.any():
            return StreakDetections.empty()
        level = np.median(light[there])
        sigma = 1.4826 * np.median(np.abs(light[there] - level))
        bright = (there & (light > level + self.sigmas * sigma)).astype(np.uint8)
        count, labels = cv2.connectedComponents(bright, connectivity=8)
        rows = [_row(labels == k, light - level, sigma) for k in range(1, count)]
        kept = [row for row in rows if row is not None and row[4] > self.least_length_px]
        if not kept:
            return StreakDetections.empty()
        kept.sort(key=lambda row: -row[5])
        x1, y1, x2, y2, _, snr, flux = np.array(kept).T
        n = len(kept)
        return StreakDetections(
            x1=x1,
            y1=y1,
            x2=x2,
            y2=y2,
            snr=snr,
            flux=flux,
            width_px=np.full(n, 2.8),
            log10_false_alarm=-snr,
            bow_px=np.zeros(n),
            sigma_end_px=np.full(n, np.nan),
            sigma_line_px=np.full(n, 0.1),
            flags=np.full(n, 2, np.uint8),
            kind=(StreakKind.SATELLITE,) * n,
            profiles=(np.array([1.0, 2.0]),) * n,
        )


def _row(area, light, sigma):
    rows, cols = np.nonzero(area)
    if len(rows) < 10:
        return None
    middle = np.array([cols.mean(), rows.mean()])
    places = np.column_stack([cols, rows]) - middle
    axis = np.linalg.svd(places, full_matrices=False)[2][0]
    axis = axis if axis[0] >= 0 else -axis
    along = places @ axis
    ends = [middle + axis * end for end in (along.min(), along.max())]
    flux = light[area].sum()
    snr = flux / (sigma * len(rows) ** 0.5) if sigma else 1e3
    return *ends[0], *ends[1], np.ptp(along), snr, flux
