"""Flashes are drawn over the ground alone, and their truth is what the picture shows."""

from __future__ import annotations

import cv2
import numpy as np

from benchmarks.simulate.lightning import FlashSettings, add_lightning


def test_flashes_lie_on_the_ground_and_are_as_bright_as_their_truth_says() -> None:
    picture = np.full((240, 320, 3), 20, np.uint8)
    picture[:] = np.random.default_rng(0).integers(15, 26, picture.shape)
    ground = np.zeros((240, 320), bool)
    ground[:, 100:] = True
    settings = FlashSettings(count=(3, 3), fwhm_px=(10.0, 16.0), peak_light=(0.05, 0.1))
    for seed in range(6):
        drawn, truth = add_lightning(np.random.default_rng(seed), picture, ground, settings)
        again, _ = add_lightning(np.random.default_rng(seed), picture, ground, settings)
        assert np.array_equal(drawn, again)
        assert (truth.x >= 99.5).all()
        added = cv2.GaussianBlur((drawn.astype(np.float32) - picture).mean(axis=2), (0, 0), 2.5)
        empty = cv2.GaussianBlur(picture.astype(np.float32).mean(axis=2), (0, 0), 2.5)
        for x, y, fwhm, snr in zip(truth.x, truth.y, truth.fwhm_px, truth.snr, strict=True):
            rows, cols = np.mgrid[:240, :320]
            near = np.hypot(cols - x, rows - y) < 2.0 * fwhm
            measured = added[near].max() / max(empty[near].std(), 0.3)
            assert 0.75 < measured / snr < 1.25
