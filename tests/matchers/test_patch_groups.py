"""Patches that show the same light are one."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from matchers.patches import PatchMatches, groups_of, light_centres

SIZE_PX = 31


def patches_at(places: list[tuple[int, int]]) -> PatchMatches:
    x, y = np.array(places, float).T
    none = np.zeros(len(places))
    return PatchMatches(
        x=x,
        y=y,
        dx=none,
        dy=none,
        covariance=np.zeros((len(places), 2, 2)),
        ncc=none + 1.0,
        size_px=SIZE_PX,
    )


def lights_at(*places: tuple[int, int]) -> np.ndarray:
    view = np.zeros((120, 200), np.float32)
    for x, y in places:
        view[y, x] = 1.0
    return np.asarray(cv2.GaussianBlur(view, (0, 0), 1.5), np.float32)


def test_the_centre_is_where_the_light_is() -> None:
    view = lights_at((60, 50))
    around = [(60, 50), (52, 44), (70, 58)]
    centres = light_centres(view, patches_at(around))
    assert centres == pytest.approx(np.array([(60.0, 50.0)] * 3), abs=0.2)
    assert light_centres(view, patches_at([(150, 80)]))[0] == pytest.approx([150.0, 80.0])


def test_patches_around_one_light_are_one_group() -> None:
    view = lights_at((60, 50), (140, 60))
    places = [(60, 50), (50, 42), (140, 60), (70, 60), (148, 52), (52, 60)]
    assert groups_of(view, patches_at(places)).tolist() == [0, 0, 1, 0, 1, 0]


def test_patches_side_by_side_in_a_city_are_groups_of_their_own() -> None:
    rng = np.random.default_rng(0)
    view = np.asarray(rng.uniform(size=(120, 200)), np.float32)
    places = [(x, y) for x in (20, 51, 82, 113) for y in (20, 51, 82)]
    assert groups_of(view, patches_at(places)).tolist() == list(range(12))


def test_no_patch_has_no_group() -> None:
    assert groups_of(lights_at((60, 50)), patches_at([(60, 50)]).chosen(np.zeros(0, int))).size == 0
