from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regengine.photo.camera_bodies import CameraBody, assume_pitch, find_body, find_body_pitch

# Pitches in micrometres from facts published about the bodies (makers' data sheets, and the
# focal-plane resolution that the D4, D5 and Z 9 write into EXIF).
PITCHES_UM = {
    "NIKON D3": 8.46,
    "NIKON D3S": 8.46,
    "NIKON D3X": 5.94,
    "NIKON D4": 7.305,
    "NIKON D5": 6.443,
    "NIKON D6": 6.45,
    "NIKON D850": 4.35,
    "NIKON Z 9": 4.345,
    "NIKON D2Xs": 5.53,
    "NIKON D800E": 4.88,
    "KODAK DCS 760": 9.1,
    "KODAK DCS 460": 9.0,
}


def body(name: str) -> CameraBody:
    found = find_body(name)
    assert found is not None
    return found


@pytest.mark.parametrize(("name", "pitch_um"), PITCHES_UM.items())
def test_native_pitch(name: str, pitch_um: float) -> None:
    assert body(name).name == name
    assert body(name).native_pitch_um == pytest.approx(pitch_um, rel=0.003)


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("NIKON D3S S/N: 2053892", "NIKON D3S"),
        ("NIKON D3S S/N: 2008336\\r\\nNASA SN and", "NIKON D3S"),
        ("D3S", "NIKON D3S"),
        ("NIKON D3 S/N: 2054926", "NIKON D3"),
        ("NIKON D3X S/N: 5033252", "NIKON D3X"),
        ("KODAK S/N:  K760C-01390", "KODAK DCS 760"),
        ("Kodak DCS760c Electronic Still Camera", "KODAK DCS 760"),
        ("Kodak DCS460 Electronic Still Camera", "KODAK DCS 460"),
        ("Nikon D2Xs Electronic Still Camera", "NIKON D2Xs"),
        ("N1: Nikon D1", "NIKON D1"),
        ("NIKON D1X", "NIKON D1X"),
        ("NIKON Z 9", "NIKON Z 9"),
        ("Canon Digital IXUS 700", "CANON DIGITAL IXUS 700"),
        ("/base/soc/i2c0mux/i2c@1/imx477@1a", "RASPBERRY PI IMX477"),
    ],
)
def test_names_as_archives_and_cameras_write_them(written: str, name: str) -> None:
    assert body(written).name == name


@pytest.mark.parametrize("written", ["", "NIKON D30", "XD3S", "Lumia 925", "D99"])
def test_unknown_names(written: str) -> None:
    assert find_body(written) is None


@given(st.sampled_from(sorted(PITCHES_UM)), st.integers(300, 8000))
def test_every_resized_copy_keeps_the_sensor_width(name: str, long_px: int) -> None:
    camera = body(name)
    short_px = round(long_px * camera.short_px / camera.long_px)
    pitch = find_body_pitch(camera, short_px, long_px)
    assert not pitch.may_be_cropped
    # One side alone may happen to have the sensor's own number of pixels: then within a pixel.
    assert pitch.pitch_um * long_px == pytest.approx(camera.long_mm * 1000.0, rel=1.5 / short_px)


def test_full_picture_and_full_scale_crop_have_the_native_pitch() -> None:
    d4 = body("NIKON D4")
    whole = find_body_pitch(d4, 4928, 3280)
    assert whole.pitch_um == d4.native_pitch_um
    assert not whole.may_be_cropped
    for size in [(4928, 2000), (4000, 3280), (3280, 4000)]:
        cropped = find_body_pitch(d4, *size)
        assert cropped.pitch_um == d4.native_pitch_um
        assert cropped.may_be_cropped


def test_wide_crop_is_at_most_as_wide_as_the_sensor() -> None:
    pitch = find_body_pitch(body("NIKON D5"), 1200, 630)
    assert pitch.may_be_cropped
    assert pitch.pitch_um * 1200 == pytest.approx(35_900.0)


def test_dx_crop_told_by_the_focal_lengths() -> None:
    pitch = find_body_pitch(body("NIKON D3S"), 2784, 1848, crop_factor=1.5)
    assert pitch.pitch_um == pytest.approx(8.46, rel=0.003)
    assert not pitch.may_be_cropped


def test_unknown_body_is_taken_for_full_frame() -> None:
    pitch = assume_pitch(1112, 741)
    assert pitch.pitch_um == pytest.approx(36_000.0 / 1112.0)
    assert not pitch.may_be_cropped
    assert assume_pitch(1400, 788).may_be_cropped
