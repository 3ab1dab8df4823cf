"""What a photo tells of its lens: light that was planted, in pixels of the picture as stored."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from detectors.types import StarDetections
from matchers.geometry.sky_camera import SkyCamera
from regengine.errors import ConfigError
from regengine.photo.formats import PhotoFile
from regengine.photo.frame import Frame
from regengine.sky.stars import lens_photo
from tests.world.skies import spot

Array = NDArray[np.float64]
SIZE = WIDTH, HEIGHT = 360, 240
SIGMA_PX = 1.4
SKY = {"red": 0.02, "green": 0.05, "blue": 0.08}
# Stars of the picture as stored, and the light of each in red; others have shares of it
PLACES = np.array([(40.3 + 71.3 * k % 280, 30.6 + 53.7 * k % 180) for k in range(12)])
FLUX = 0.4 * (1.0 + np.arange(12))
SHARE = {"red": 1.0, "green": 0.6, "blue": 0.25}
FRAME = Frame(
    file=PhotoFile(path=Path("a.jpg"), format="jpeg", width_px=WIDTH, height_px=HEIGHT),
    frame_id="a",
    camera_body="NIKON D3S",
    lens="50mm f/1.4",
    focal_mm=50.0,
    exposure_s=2.0,
)
CAMERA = SkyCamera(
    width_px=WIDTH,
    height_px=HEIGHT,
    focal_px=700.0,
    principal_point=(181.0, 118.0),
    distortion=(-0.04, 0.01, 1e-4, -2e-4, 0.0),
    quaternion_icrs=(0.1, 0.2, 0.3, 0.9273618495495704),
)


def detections(places: Array = PLACES) -> StarDetections:
    count = len(places)
    return StarDetections(
        x=places[:, 0],
        y=places[:, 1],
        flux=np.linspace(2.0, 1.0, count),
        snr=np.full(count, 50.0),
        covariance_px2=np.tile(0.01 * np.eye(2), (count, 1, 1)),
        fwhm_px=np.full(count, 2.3548 * SIGMA_PX),
        ellipticity=np.zeros(count),
        flags=np.zeros(count, np.uint8),
    )


def picture(factor: float, *, noise: float = 5e-4, names: tuple[str, ...] = ()) -> Array:
    """Colours of the stars over skies, brought to another size: (h, w, colours)."""
    shape = round(HEIGHT * factor), round(WIDTH * factor)
    rng, planes = np.random.default_rng(4), []
    for name in names or tuple(SKY):
        light = SKY[name] + noise * rng.normal(size=shape)
        for (x, y), flux in zip(PLACES, FLUX, strict=True):
            at = (one * factor + 0.5 * factor - 0.5 for one in (x, y))
            spot(light, *at, SIGMA_PX * factor, SHARE[name] * flux / (2.0 * np.pi * SIGMA_PX**2))
        planes.append(light)
    return np.dstack(planes).astype(np.float32)


@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_stars_have_the_light_that_was_planted_by_colour(factor: float) -> None:
    photo = lens_photo.measure_light(FRAME, CAMERA, detections(), picture(factor), factor)
    assert (photo.frame, photo.camera) == (FRAME, CAMERA)
    assert np.array_equal(photo.stars.x, PLACES[:, 0])
    assert list(photo.channels) == ["red", "green", "blue"]
    radius = 2.5 * 2.3548 * SIGMA_PX
    for name, light in photo.channels.items():
        assert light.whole.all()
        planted = SHARE[name] * FLUX
        assert light.flux == pytest.approx(planted, abs=0.03, rel=0.005)
        # By hand: the aperture's pixels, and the ring's mean that is taken away
        area = np.pi * (radius * factor) ** 2
        ring = np.pi * (2.5**2 - 1.5**2) * (radius * factor) ** 2
        by_hand = 5e-4 * np.sqrt(area + area**2 / ring) / factor**2
        assert light.sigma == pytest.approx(by_hand, rel=0.15)


@pytest.mark.parametrize("factor", [1.0, 0.5])
def test_the_skys_boxes_have_its_luminance_and_lie_in_the_picture_as_stored(factor: float) -> None:
    """A sky with a slope, without its stars; the luminance is that of Rec. 709."""
    light = picture(factor, noise=2e-3)
    y, x = np.mgrid[: light.shape[0], : light.shape[1]]
    across, down = ((one + 0.5) / factor - 0.5 for one in (x, y))
    slope = 1.0 + 0.3 * across / WIDTH - 0.2 * down / HEIGHT
    light *= slope[..., None].astype(np.float32)
    boxes = lens_photo.measure_light(FRAME, CAMERA, detections(), light, factor).sky
    assert (boxes.width_px, boxes.height_px) == SIZE
    grey = 0.2126 * SKY["red"] + 0.7152 * SKY["green"] + 0.0722 * SKY["blue"]
    drawn = grey * (1.0 + 0.3 * boxes.x / WIDTH - 0.2 * boxes.y / HEIGHT)
    assert boxes.level == pytest.approx(drawn, rel=0.02)
    assert len(boxes.x) > 250
    # All of a bare sky's boxes lie about the picture's middle
    bare = np.full_like(light, 0.05) + np.float32(1e-3) * picture(factor, noise=1.0)
    bare = lens_photo.measure_light(FRAME, CAMERA, detections(PLACES[:0]), bare, factor).sky
    for places, size in ((bare.x, WIDTH), (bare.y, HEIGHT)):
        assert 0.5 * (places.min() + places.max()) == pytest.approx(0.5 * (size - 1), abs=0.3)


def test_clipped_light_counts_neither_for_stars_nor_for_the_sky() -> None:
    for value, whole in ((0.96, True), (0.97, False)):
        light = picture(1.0)
        column, row = np.rint(PLACES[3]).astype(int)
        light[row, column] = [0.1, value, 0.1]
        light[150:210, 100:160, 2] = value
        photo = lens_photo.measure_light(FRAME, CAMERA, detections(), light)
        for channel in photo.channels.values():
            assert channel.whole[3] == whole
        near = (np.abs(photo.sky.x - 130.0) < 15.0) & (np.abs(photo.sky.y - 180.0) < 15.0)
        assert near.any() == whole
    # Up to the aperture's rim, of pixels that it holds in part, and no farther
    rim = int(2.5 * 2.3548 * SIGMA_PX + 0.5)
    for out, whole in ((rim, False), (rim + 1, True)):
        for dx, dy in ((out, 0), (-out, 0), (0, out), (0, -out)):
            light = picture(1.0, names=("red",))
            light[160 + dy, 240 + dx] = 1.0
            here = detections(np.array([(240.0, 160.0)]))
            found = lens_photo.measure_light(FRAME, CAMERA, here, light).channels["light"]
            assert found.whole.tolist() == [whole]
    edge = detections(np.array([(4.0, 100.0), (200.0, 235.0), (240.0, 160.0)]))
    found = lens_photo.measure_light(FRAME, CAMERA, edge, picture(1.0)).channels["red"]
    assert found.whole.tolist() == [False, False, True]


def test_stars_are_taken_out_of_the_sky_as_far_as_three_widths() -> None:
    """Halos stand on a grid: the sky between them stays what it is."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    near = np.hypot((x - 8.0 + 10.0) % 20.0 - 10.0, (y - 10.0 + 10.0) % 20.0 - 10.0)
    places = np.argwhere(near == 0.0)[:, ::-1].astype(float)
    light = (0.03 + 1e-3 * np.random.default_rng(2).normal(size=x.shape)).astype(np.float32)
    light[near < 8.0] += np.float32(0.004)
    stars = detections(places)
    photo = lens_photo.measure_light(FRAME, CAMERA, stars, light[..., None])
    assert list(photo.channels) == ["light"]
    assert photo.sky.level == pytest.approx(0.03, rel=0.02)
    bare = lens_photo.measure_light(FRAME, CAMERA, detections(places[:0]), light[..., None])
    assert len(bare.channels["light"].flux) == 0
    assert np.median(bare.sky.level) > 0.031


def test_a_star_at_the_border_is_taken_out_of_the_sky_too() -> None:
    """As far as three widths, also of those whose middle lies in the first row or column."""
    light = 0.03 + 1e-3 * np.random.default_rng(2).normal(size=(HEIGHT, WIDTH, 1))
    far = np.array([[WIDTH - 1.0, HEIGHT - 1.0]])
    for axis, size in ((0, WIDTH), (1, HEIGHT)):
        border = np.zeros((60, 2))
        border[:, 1 - axis] = 6.0 * np.arange(60)
        for places in (border, far - border):
            stars = detections(places)
            sky = lens_photo.measure_light(FRAME, CAMERA, stars, light.astype(np.float32)).sky
            near = np.abs((sky.x, sky.y)[axis] - places[0, axis])
            assert 10.0 < near.min() < 30.0
            assert near.max() > size - 12.0


def test_photos_of_another_camera_lens_focal_length_or_size_are_refused() -> None:
    file = replace(FRAME.file, path=Path("b.jpg"))
    lens_photo.check_one_lens([FRAME, replace(FRAME, file=file, exposure_s=8.0)])
    for change, told in (
        ({"camera_body": "NIKON D4"}, "its camera is NIKON D4, that of a.jpg is NIKON D3S"),
        ({"lens": None}, "its lens is None, that of a.jpg is 50mm f/1.4"),
        ({"focal_mm": 85.0}, "its focal length is 85.0, that of a.jpg is 50.0"),
        (
            {"file": replace(file, width_px=361)},
            "its size is 361 x 240, that of a.jpg is 360 x 240",
        ),
        (
            {"file": replace(file, height_px=241)},
            "its size is 360 x 241, that of a.jpg is 360 x 240",
        ),
    ):
        other: Any = {"file": file, **change}
        with pytest.raises(ConfigError) as error:
            lens_photo.check_one_lens([FRAME, FRAME, replace(FRAME, **other)])
        assert str(error.value).startswith(f"b.jpg: {told}; calibrate each")


def test_the_camera_of_a_photo_is_that_of_its_record() -> None:
    record = {
        "frame": "a",
        "solved": True,
        "quaternion_icrs": list(CAMERA.quaternion_icrs),
        "fov_x_deg": CAMERA.fov_x_deg,
        "distortion": list(CAMERA.distortion),
        "principal_point": list(CAMERA.principal_point),
    }
    stars = detections(PLACES[:0])
    found = lens_photo.find_camera(FRAME, stars, {"a": record, "b": {}})
    assert isinstance(found, SkyCamera)
    assert found.lens_values == pytest.approx(CAMERA.lens_values, rel=1e-6)
    assert replace(found, focal_px=CAMERA.focal_px) == CAMERA
    told = lens_photo.find_camera(FRAME, stars, {"b": record})
    assert told == "--solutions has no solution of a; the photo is skipped"
    few = lens_photo.find_camera(FRAME, stars)
    assert isinstance(few, str)
    assert "star" in few
