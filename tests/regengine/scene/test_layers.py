"""Layers: a drawn arc is found where it was drawn, and told from straight ones."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tests.regengine.scene import drawn


@pytest.mark.parametrize("curvature", [0.15, 0.3, 0.5])
@pytest.mark.parametrize("turn", [0.0, 35.0])
def test_arc_is_followed(curvature: float, turn: float) -> None:
    image = drawn.sky_above(drawn.plain((90, 95, 100)), (6, 6, 9), curvature, 0.35)
    image = drawn.grain(_turned(image, turn))
    edge = drawn.picture_of(image).layers.edge
    assert edge.curvature == pytest.approx(curvature, abs=0.05)
    assert edge.seen > 0.6


def test_the_sky_lies_on_the_outer_side() -> None:
    sky, earth = (120, 125, 140), (20, 20, 20)
    image = drawn.grain(drawn.sky_above(drawn.plain(earth), sky, 0.4, 0.3))
    for turned in (image, image[::-1], np.rot90(image)):
        picture = drawn.picture_of(np.ascontiguousarray(turned))
        edge = picture.layers.edge
        value = picture.half.half.half.lightness
        assert value[edge.beyond].mean() > 3 * value[~edge.beyond].mean()
        assert edge.strip[-1].mean() > 3 * edge.strip[0].mean()


def test_explained_by_what_was_drawn() -> None:
    arc = drawn.grain(drawn.sky_above(drawn.plain((90, 95, 100)), (6, 6, 9), 0.5, 0.3))
    assert drawn.picture_of(arc).layers.explained > 0.95
    assert drawn.picture_of(drawn.land(contrast=60.0)).layers.explained < 0.7
    assert drawn.picture_of(drawn.grain(drawn.plain((90, 95, 100)))).layers.explained < 0.2


def _turned(image: drawn.Image, degrees: float) -> drawn.Image:
    height, width = image.shape[:2]
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1.0)
    return np.asarray(
        cv2.warpAffine(image, turn, (width, height), borderMode=cv2.BORDER_REPLICATE), np.float32
    )
