"""Every way of finding streaks under one roof: our detectors, and what other libraries have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.streak_peers import StreakPeer, streak_peers
from detectors.registry import streak_detectors
from detectors.streak_types import StreakDetector, StreakKind
from regengine.evaluate.streak_scores import streak_rows

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
PEER_WIDTH_PX = 3.0  # peers give lines without a width


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a method says of a frame.

    Attributes
    ----------
    rows : ndarray of float64, shape (M, 5)
        Ends and bow.
    width_px : ndarray of float64, shape (M,)
    """

    rows: FloatArray
    width_px: FloatArray


@dataclass(frozen=True, kw_only=True)
class StreakMethod:
    """A way of finding streaks.

    Attributes
    ----------
    name : str
    find : callable
        Light, mask of pixels to ignore or None, and clipped share or None, each of shape (h, w)
        → Found.
    peer : bool
    slow : bool
        Takes many seconds a frame.
    mask : callable or None
        Light, shape (h, w) → pixels that it takes for streaks, if the method tells.
    """

    name: str
    find: Callable[[Any, BoolArray | None, Any], Found]
    peer: bool = False
    slow: bool = False
    mask: Callable[[Any], BoolArray] | None = None


def streak_methods(*, peers: bool = True) -> dict[str, StreakMethod]:
    """All of them, ours first."""
    methods = [_of_detector(one) for one in streak_detectors().values()]
    if peers:
        methods += [_of_peer(one) for one in streak_peers()]
    return {one.name: one for one in methods}


def _of_detector(detector: StreakDetector) -> StreakMethod:
    def find(light: Any, mask: BoolArray | None, saturated: Any) -> Found:
        found = detector.detect(light, mask, saturated)
        kept = np.array([kind is not StreakKind.COSMIC_RAY for kind in found.kind], bool)
        return Found(rows=streak_rows(found), width_px=found.width_px[kept])

    return StreakMethod(
        name=detector.name, find=find, mask=getattr(detector, "streak_pixels", None)
    )


def _of_peer(peer: StreakPeer) -> StreakMethod:
    def find(light: Any, mask: BoolArray | None, saturated: Any) -> Found:
        filled = light if mask is None else np.where(mask, np.median(light[~mask]), light)
        rows = peer.find(np.asarray(filled, np.float32))
        rows = np.column_stack([rows, np.zeros(len(rows))])
        return Found(rows=rows, width_px=np.full(len(rows), PEER_WIDTH_PX))

    return StreakMethod(name=peer.name, find=find, peer=True, slow=peer.slow)
