"""``regengine lens``: from photos and their solutions to a profile, and what goes wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.spatial.transform import Rotation

from benchmarks.simulate.sky import SkySettings, sky_frame
from matchers.sky_camera import SkyCamera, matrix_quaternion
from regengine.errors import ConfigError
from regengine.photo.lens_profile_file import load_profile
from regengine.sky.stars.catalogue import load_catalogue
from regengine.sky.stars.photo import camera_of_record, read_solved
from tests.command_line import invoke

TRUE = SkyCamera(
    width_px=900,
    height_px=600,
    focal_px=1250.0,
    principal_point=(452.0, 298.0),
    distortion=(-0.04, 0.01, 0.0, 0.0, 0.0),
    quaternion_icrs=(0.0, 0.0, 0.0, 1.0),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two star photos, a broken one, and the solutions of both."""
    where = tmp_path_factory.mktemp("stars")
    stars = load_catalogue(faintest_g=9.0)
    lines = []
    for k in range(2):
        rng = np.random.default_rng(k)
        camera = replace(
            TRUE,
            quaternion_icrs=matrix_quaternion(Rotation.random(random_state=rng).as_matrix()),
        )
        frame = sky_frame(
            camera,
            stars.vectors,
            stars.magnitude_g,
            SkySettings(exposure_s=2.0),
            rng,
            colours=stars.magnitude_bp - stars.magnitude_rp,
        )
        exif = Image.Exif()
        exif[0x0110] = "NIKON D3S"
        exif.get_ifd(0x8769).update({0x920A: 50.0, 0x829A: 2.0, 0x829D: 1.4, 0x8827: 6400})
        Image.fromarray(frame.picture.stored).save(
            where / f"star{k}.jpg", quality=95, subsampling=0, exif=exif
        )
        record = {
            "frame": f"star{k}",
            "solved": True,
            "quaternion_icrs": list(camera.quaternion_icrs),
            "fov_x_deg": camera.fov_x_deg,
            "distortion": [-0.03, 0, 0, 0, 0],
        }
        lines.append(json.dumps(record))
    lines.append(json.dumps({"frame": "cloud", "solved": False}))
    (where / "solved.ndjson").write_text("\n".join(lines), encoding="utf-8")
    return where


def test_photos_become_a_profile(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "lens.toml"
    photos = [folder / "star0.jpg", folder / "star1.jpg"]
    solutions = folder / "solved.ndjson"
    result = invoke("lens", "fit", *photos, "--solutions", solutions, "--out", out, "--quiet")
    assert result.exit_code == 0, result.output
    profile = load_profile(out)
    assert profile.camera == "NIKON D3S"
    assert profile.frames == 2
    assert profile.focal_px == pytest.approx(1250.0, abs=5 * profile.sigma("focal_px"))
    assert profile.principal_point == pytest.approx((452.0, 298.0), abs=1.5)
    assert json.loads(result.stdout)["focal_px"] == profile.focal_px
    shown = invoke("lens", "info", out)
    assert shown.exit_code == 0
    assert shown.stdout.startswith("NIKON D3S, 50 mm: 900 x 600 px")
    assert "falloff" in shown.stdout
    assert json.loads(invoke("lens", "info", tmp_path, "--json").stdout)["stars"] == profile.stars


def test_photos_are_solved_where_no_solutions_are_given(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "lens.toml"
    result = invoke("lens", "fit", folder / "star0.jpg", "--out", out, "--quiet")
    assert result.exit_code == 0, result.output
    profile = load_profile(out)
    assert profile.focal_px == pytest.approx(1250.0, abs=5 * profile.sigma("focal_px"))
    solved = invoke("solve", folder / "star1.jpg", "--lens", out, "--json", "--quiet")
    assert json.loads(solved.stdout)["solved"] is True


def test_one_broken_photo_does_not_stop_the_others(folder: Path, tmp_path: Path) -> None:
    broken, other = tmp_path / "broken.jpg", tmp_path / "unsolved.jpg"
    broken.write_bytes(b"\xff\xd8 no picture")
    Image.new("RGB", (900, 600)).save(other)
    out = tmp_path / "lens.toml"
    solutions = folder / "solved.ndjson"
    result = invoke(
        "lens", "fit", broken, other, folder / "star0.jpg", "--solutions", solutions, "--out", out
    )
    assert result.exit_code == 1
    assert "broken.jpg" in result.stderr
    assert "no solution of unsolved" in result.stderr
    assert load_profile(out).frames == 1


def test_no_solved_photo_writes_nothing(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "unsolved.jpg"
    Image.new("RGB", (900, 600)).save(other)
    out = tmp_path / "lens.toml"
    result = invoke("lens", "fit", other, "--solutions", folder / "solved.ndjson", "--out", out)
    assert result.exit_code == 1
    assert "none of the photos was solved" in result.stderr
    assert not out.exists()


@pytest.mark.parametrize(
    "content", ["{", "[1]", '{"frame": "a"}', '{"frame": "a", "solved": true}', "\xff"]
)
def test_files_that_are_no_solutions_are_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "solved.ndjson"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(ConfigError, match="regengine solve --json"):
        read_solved(path)


def test_records_give_their_camera_back() -> None:
    record = {
        "frame": "a",
        "quaternion_icrs": [0.1, 0.2, 0.3, 0.9],
        "fov_x_deg": TRUE.fov_x_deg,
        "distortion": list(TRUE.distortion),
    }
    camera = camera_of_record(record, 900, 600)
    assert camera.focal_px == pytest.approx(1250.0, rel=1e-3)
    assert camera.fov_x_deg == pytest.approx(TRUE.fov_x_deg, rel=1e-6)
    cannot_be = [("fov_x_deg", 0.0), ("quaternion_icrs", [0, 0, 0, 0]), ("distortion", [0])]
    cannot_be += [("distortion", [0, 0, 0, 0, 1e300]), ("principal_point", [4e9, 0])]
    for name, value in cannot_be:
        with pytest.raises(ConfigError, match="record of a"):
            camera_of_record({**record, name: value}, 900, 600)
