"""The blind solver on the catalogue's own sky, and on what is no sky."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

import regengine
from benchmarks.solve import (
    HEIGHT_PX,
    NEGATIVES,
    WIDTH_PX,
    detections,
    judge_camera,
    no_sky,
    star_list,
)
from detectors.types import FloatArray, StarDetections
from matchers.geometry.sky_camera import SkyCamera
from regengine.result import Reason
from regengine.sky.stars.catalogue import StarCatalogue, load_catalogue
from regengine.sky.stars.solve import SolveOptions, StarSolution, solve_stars
from regengine.sky.stars.star_search import StarIndices

SKY = tuple[StarCatalogue, StarIndices]


@pytest.fixture(scope="module")
def sky() -> SKY:
    catalogue = load_catalogue(faintest_g=8.0)
    return catalogue, StarIndices(vectors=catalogue.vectors)


def solve(sky: SKY, stars: StarDetections, **options: object) -> StarSolution | Reason:
    return solve_stars(stars, WIDTH_PX, HEIGHT_PX, *sky, SolveOptions(**options))


@pytest.mark.slow
@pytest.mark.parametrize(("focal_mm", "seed"), [(17.0, 1), (28.0, 2), (50.0, 3), (85.0, 4)])
def test_blind_solutions_are_right(sky: SKY, focal_mm: float, seed: int) -> None:
    field = star_list(np.random.default_rng(seed), sky[0], focal_mm)
    found = solve(sky, field.stars)
    assert isinstance(found, StarSolution), found
    assert judge_camera(field, found.camera) == "right"
    assert found.log10_odds >= 9.0
    assert found.rms_px < 1.0
    px, py = found.camera.project(found.vectors_icrs)
    assert np.stack([found.x - px, found.y - py], axis=1) == pytest.approx(found.residual_px)
    assert field.stars.x[found.detection] == pytest.approx(found.x)
    assert sky[0].vectors[found.star] == pytest.approx(found.vectors_icrs)


def draw_field(sky: SKY, seed: int, half_field_deg: float, lens: str, edge: float = 0.0) -> Drawn:
    """Stars seen through a lens that a pinhole camera with a little distortion is not.

    ``edge``: How far Brown's first term moves the left and right edge, as a share of their
    distance; the lens ``linear`` has equal pixels for equal angles.
    """
    rng = np.random.default_rng(seed)
    half = WIDTH_PX / 2.0
    edge_rad = np.radians(half_field_deg)
    turn = Rotation.random(random_state=rng).as_matrix()

    def project(vectors: FloatArray) -> tuple[FloatArray, FloatArray]:
        local = vectors @ turn
        off_axis = np.arccos(np.clip(local[:, 2], -1.0, 1.0))
        if lens == "linear":
            radius = half * off_axis / edge_rad
        else:
            u = np.tan(np.minimum(off_axis, 1.5)) / np.tan(edge_rad)
            radius = half * u * (1.0 + edge * np.minimum(u, 2.0) ** 2)
        radius[off_axis > 1.4 * edge_rad] = np.nan  # beyond the corners
        along = np.arctan2(local[:, 1], local[:, 0])
        middle = (WIDTH_PX - 1) / 2.0, (HEIGHT_PX - 1) / 2.0
        return middle[0] + radius * np.cos(along), middle[1] + radius * np.sin(along)

    x, y = project(sky[0].vectors)
    inside = (x > 0) & (x < WIDTH_PX - 1) & (y > 0) & (y < HEIGHT_PX - 1)
    seen = np.flatnonzero(inside)[: int(rng.uniform(100, 200))]
    seen = seen[rng.random(len(seen)) > 0.1]
    places = np.column_stack([x[seen], y[seen]]) + rng.normal(0.0, 0.3, (len(seen), 2))
    magnitude = sky[0].magnitude_g[seen] + rng.normal(0.0, 0.2, len(seen))
    false = rng.uniform((0, 0), (WIDTH_PX - 1, HEIGHT_PX - 1), (len(seen) // 10, 2))
    false_magnitude = magnitude.max() - rng.exponential(1.0, len(false))
    return Drawn(
        places=np.concatenate([places, false]),
        flux=10.0 ** (-0.4 * np.concatenate([magnitude, false_magnitude])),
        project=project,
        focal_px=half / (edge_rad if lens == "linear" else np.tan(edge_rad)),
    )


@dataclass(frozen=True)
class Drawn:
    """A field through a lens of its own."""

    places: FloatArray
    flux: FloatArray
    project: Callable[[FloatArray], tuple[FloatArray, FloatArray]]
    focal_px: float

    def solve(self, sky: SKY) -> StarSolution | Reason:
        listed = detections(*self.places.T, self.flux)
        return solve(sky, listed, focal_px=self.focal_px, focal_only=True)

    def off_px(self, camera: SkyCamera) -> float:
        """How far off a camera puts the worst of corners, edges and middle."""
        x, y = (
            grid.ravel()
            for grid in np.meshgrid(
                np.linspace(0, WIDTH_PX - 1, 5), np.linspace(0, HEIGHT_PX - 1, 5)
            )
        )
        px, py = self.project(camera.to_sky(x, y))
        return float(np.hypot(px - x, py - y).max())


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("edge", [0.06, -0.06])
def test_a_lens_that_bends_by_six_percent_is_solved_to_its_corners(
    sky: SKY, edge: float, seed: int
) -> None:
    drawn = draw_field(sky, seed, 7.5, "brown", edge)
    found = drawn.solve(sky)
    if isinstance(found, Reason):  # the figures themselves are bent
        assert found.code in ("lens", "no_match")
    else:
        assert drawn.off_px(found.camera) < 10.0  # 0.04 degrees


def test_most_lenses_that_bend_by_six_percent_are_solved(sky: SKY) -> None:
    fields = [draw_field(sky, seed, 7.5, "brown", 0.06) for seed in range(4)]
    assert sum(isinstance(field.solve(sky), StarSolution) for field in fields) >= 3


@pytest.mark.parametrize("seed", range(3))
def test_a_camera_of_the_middle_alone_is_none(sky: SKY, seed: int) -> None:
    drawn = draw_field(sky, seed, 55.0, "linear")
    found = drawn.solve(sky)
    assert isinstance(found, Reason), drawn.off_px(found.camera)
    assert found.code in ("lens", "no_match")


@pytest.mark.parametrize("seed", [2, 3])
def test_letters_in_the_corners_hide_no_field(sky: SKY, seed: int) -> None:
    drawn = draw_field(sky, seed, 5.0, "brown")
    brightest = np.argsort(-drawn.flux)[:75]
    drawn = replace(drawn, places=drawn.places[brightest], flux=drawn.flux[brightest])
    rng = np.random.default_rng(25)
    corner = rng.integers(0, 2, (100, 2))
    inwards = (1 - 2 * corner) * rng.uniform(0.01, 0.15, (100, 2))
    rows = (corner + inwards) * np.array([WIDTH_PX - 1, HEIGHT_PX - 1])
    flux = np.quantile(drawn.flux, 0.9) * rng.uniform(0.2, 1.0, len(rows))
    lit = replace(
        drawn,
        places=np.concatenate([drawn.places, rows]),
        flux=np.concatenate([drawn.flux, flux]),
    )
    found = lit.solve(sky)
    assert isinstance(found, StarSolution), found
    assert lit.off_px(found.camera) < 3.0


@pytest.mark.parametrize("seed", range(3))
def test_hardware_and_its_lights_in_three_quarters_hide_no_field(sky: SKY, seed: int) -> None:
    drawn = draw_field(sky, seed, 25.0, "brown")
    brightest = np.argsort(-drawn.flux)[:1000]
    size = np.array([WIDTH_PX - 1, HEIGHT_PX - 1])
    off = 2.0 * drawn.places[brightest] / size - 1.0
    hidden = (np.hypot(*off.T) > 0.6 * 2**0.5) & ~(off > 0.0).all(axis=1)
    kept = brightest[~hidden]
    # As many lights as hidden stars, as bright, wherever hardware is
    rng = np.random.default_rng([25, seed])
    junk = rng.uniform(-1.0, 1.0, (5000, 2))
    junk = junk[(np.hypot(*junk.T) > 0.6 * 2**0.5) & ~(junk > 0.0).all(axis=1)][: hidden.sum()]
    lit = replace(
        drawn,
        places=np.concatenate([drawn.places[kept], (junk + 1.0) / 2.0 * size]),
        flux=np.concatenate([drawn.flux[kept], drawn.flux[brightest[hidden]]]),
    )
    found = lit.solve(sky)
    assert isinstance(found, StarSolution), found
    assert lit.off_px(found.camera) < 3.0


@pytest.mark.slow
@pytest.mark.parametrize("where", ["anywhere", "in one place"])
def test_a_tenth_of_a_full_frame_is_no_solution(sky: SKY, where: str) -> None:
    drawn = draw_field(sky, 4, 12.0, "brown")
    rng = np.random.default_rng(26)
    size = np.array([WIDTH_PX - 1, HEIGHT_PX - 1])
    apart = np.hypot(*(drawn.places - rng.uniform((0, 0), size)).T)
    rank = apart if where == "in one place" else rng.random(len(apart))
    elsewhere = rank > np.quantile(rank, 0.1)
    wandered = np.where(elsewhere[:, None], rng.uniform((0, 0), size, (len(rank), 2)), drawn.places)
    found = replace(drawn, places=wandered).solve(sky)
    assert isinstance(found, Reason)
    assert found.code in ("lens", "no_match")


def test_a_reason_advises_only_what_was_not_given(sky: SKY) -> None:
    stars = no_sky(np.random.default_rng(1), sky[0], "grid").stars
    unknown = solve(sky, stars, max_seconds=0.0)
    known = solve(sky, stars, max_seconds=0.0, focal_px=4000.0)
    for found, is_advised in ((unknown, True), (known, False)):
        assert isinstance(found, Reason)
        assert found.code == "no_match"
        assert ("--focal-mm" in found.text) is is_advised
        assert "--max-seconds" in found.text
    tried = solve(sky, stars.select(np.arange(6)), focal_px=4000.0, focal_only=True)
    assert isinstance(tried, Reason)
    assert "--" not in tried.text


@pytest.mark.real
@pytest.mark.slow
def test_hardware_beside_the_stars_of_a_photo_hides_them_not(real_data: Path) -> None:
    field = regengine.solve(real_data / "photos" / "cities_oblique" / "iss030e068922.jpg")
    assert field.solved, field
    assert field.camera.fov_x_deg == pytest.approx(65.43, abs=0.05)


@pytest.mark.real
@pytest.mark.slow
def test_lamps_below_a_real_field_hide_it_not(real_data: Path) -> None:
    field = regengine.solve(real_data / "reports" / "two" / "i_lights_bottom.png")
    assert field.solved, field
    assert field.camera.fov_x_deg == pytest.approx(10.16, abs=0.02)


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "ra_deg", "dec_deg", "field_deg"),
    [("ost_img0.png", 181.171, 16.842, 6.09), ("ost_img3.png", 169.991, 13.755, 6.09)],
)
def test_a_star_trackers_sharp_stars_are_solved(
    real_data: Path, name: str, ra_deg: float, dec_deg: float, field_deg: float
) -> None:
    """Places and field as of astrometry.net."""
    field = regengine.solve(real_data / "starfields" / name)
    assert field.solved, field
    assert field.camera.ra_dec_deg == pytest.approx((ra_deg, dec_deg), abs=0.02)
    assert field.camera.fov_x_deg == pytest.approx(field_deg, abs=0.05)


@pytest.mark.real
@pytest.mark.slow
def test_a_real_picture_of_a_linear_lens_has_its_own_field_or_none(real_data: Path) -> None:
    field = regengine.solve(real_data / "reports" / "s03_lin100_0.png")
    assert not field.solved or field.camera.fov_x_deg == pytest.approx(100.0, abs=0.5)


def test_a_mirrored_sky_is_solved_as_mirrored_alone(sky: SKY) -> None:
    field = star_list(np.random.default_rng(2), sky[0], 35.0)
    assert not field.truth.mirrored
    flipped = replace(field.stars, x=WIDTH_PX - 1 - field.stars.x)
    found = solve(sky, flipped, focal_px=field.focal_px, focal_only=True)
    assert isinstance(found, StarSolution)
    assert found.camera.mirrored
    assert judge_camera(field, replace(found.camera, mirrored=False)) == "right"


def test_six_stars_above_noise_are_proven_with_their_brightness(sky: SKY) -> None:
    truth = SkyCamera(
        width_px=WIDTH_PX,
        height_px=HEIGHT_PX,
        focal_px=20_000.0,
        principal_point=(2127.5, 1415.5),
        quaternion_icrs=(0.3, 0.1, -0.2, 0.927),
    )
    x, y = truth.project(sky[0].vectors)
    star = np.flatnonzero(truth.sees(x, y))[:6]
    rng = np.random.default_rng(3)
    places = np.stack([x[star], y[star]], axis=1) + rng.normal(0.0, 0.2, (6, 2))
    noise = rng.uniform((0, 0), (WIDTH_PX - 1, HEIGHT_PX - 1), (150, 2))
    bright = 10.0 ** (-0.4 * sky[0].magnitude_g[star])
    flux = np.concatenate([bright, bright.min() * rng.uniform(0.3, 0.6, 150)])
    both = np.concatenate([places, noise])
    listed = detections(both[:, 0], both[:, 1], flux)
    found = solve(sky, listed, focal_px=20_000.0, focal_only=True)
    assert isinstance(found, StarSolution), found
    px, py = found.camera.project(truth.to_sky(2127.5, 1415.5))
    assert np.hypot(px - 2127.5, py - 1415.5) < 10.0


@pytest.mark.parametrize(
    "kind",
    [pytest.param(one, marks=[pytest.mark.slow] * (k > 0)) for k, one in enumerate(NEGATIVES)],
)
def test_what_is_no_sky_is_not_solved(sky: SKY, kind: str) -> None:
    field = no_sky(np.random.default_rng(0), sky[0], kind)
    found = solve(sky, field.stars, focal_px=1e3 * 35.0 / 8.46, focal_only=True)
    assert isinstance(found, Reason)
    assert found.code in ("no_match", "few_stars")
    assert "\n" not in found.text


def test_three_stars_are_too_few(sky: SKY) -> None:
    field = star_list(np.random.default_rng(5), sky[0], 50.0)
    found = solve(sky, field.stars.select(np.arange(3)))
    assert isinstance(found, Reason)
    assert found.code == "few_stars"
    assert solve(sky, StarDetections.empty()) == replace(
        found, text=found.text.replace("3 stars", "0 stars")
    )
