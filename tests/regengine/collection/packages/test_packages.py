"""``regengine catalogue package``: what is in it, judged by the tools that open it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from regengine.commands import app
from regengine.places import PlaceIndex
from regengine.result import FrameResult
from regengine.store.snapshot import read_store
from tests.example_results import nadir_camera, proposal
from tests.regengine.exchange.export.exported import (
    decide,
    engine_points,
    photographed,
    work,
    write_store,
)

ROOT = Path(__file__).resolve().parents[4]
NAMES = ["ISS030-E-184140.jpg", "b.jpg", "-rf 'x\" 🌃.jpg", "a\nb.jpg", "sub/ISS030-E-184140.jpg"]


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["catalogue", *(str(word) for word in words)])


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with photos, some of hostile names, their store and its catalogue."""
    folder = tmp_path_factory.mktemp("archive")
    (folder / "sub").mkdir()
    results: list[FrameResult] = []
    for number, name in enumerate(NAMES):
        one = photographed(proposal(Path(name).stem), folder / name)
        path = folder / name
        path.write_bytes(path.read_bytes() + bytes([number]))  # no two photos are the same
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        results.append(
            replace(one, path=name, sha256=sha256, time_utc=f"2012-03-2{number}T15:00:00Z")
        )
    elsewhere = replace(
        proposal("far"), solved=replace(results[0].solved, camera=nadir_camera(2, 48))
    )
    results += [elsewhere, replace(results[0], frame="poor", verdict="review", sha256="0" * 64)]
    store = write_store(folder / "run.h5", results)
    result = run("build", store, "--out", folder / "archive.parquet", "--no-pictures")
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture
def archive(made: Path, tmp_path: Path) -> Path:
    """The same, to damage."""
    folder = tmp_path / "archive"
    shutil.copytree(made, folder)
    result = run(
        "build", folder / "run.h5", "--out", folder / "archive.parquet", "--no-pictures", "--force"
    )
    assert result.exit_code == 0
    for path in folder.rglob("*.jpg"):
        assert path.is_file()
    return folder


@pytest.fixture(scope="module")
def shorter_list() -> PlaceIndex:
    """GeoNames' shorter list, which is read in a third of the time, for these tests alone."""
    index = PlaceIndex()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("regengine.places.SEARCH_PEOPLE", 15_000)
        assert index.search("Nagoya", 1)
    return index


@pytest.fixture(autouse=True)
def larger_towns(monkeypatch: pytest.MonkeyPatch, shorter_list: PlaceIndex) -> None:
    monkeypatch.setattr("regengine.places.place_index", lambda: shorter_list)


def pack(folder: Path, out: Path, *words: object) -> Result:
    usual = (
        () if {"--place", "--at", "--frame", "--place-id"} & set(words) else ("--at", "136.9,35.7")
    )
    return run("package", folder / "archive.parquet", "--out", out, *usual, *words)


def packed(folder: Path, out: Path, *words: object) -> list[Path]:
    """Photos of a package that is to succeed."""
    result = pack(folder, out, *words)
    assert result.exit_code == 0, result.output
    return sorted(path for path in (out / "photos").iterdir() if path.suffix != ".points")


def checked(package: Path) -> None:
    """Whether ``sha256sum -c`` finds every file, and knows of every file."""
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"],
        cwd=package,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    files = [path for path in package.rglob("*") if path.is_file() and path.name != "SHA256SUMS"]
    assert done.stdout.count(": OK\n") == len(files)


def test_a_package_has_the_originals_and_all_that_belongs_to_them(
    made: Path, tmp_path: Path
) -> None:
    out = tmp_path / "tokyo"
    photos = packed(made, out)
    checked(out)
    originals = {hashlib.sha256((made / name).read_bytes()).hexdigest() for name in NAMES}
    assert {hashlib.sha256(path.read_bytes()).hexdigest() for path in photos} == originals
    for path in photos:
        assert path.with_name(f"{path.name}.points").is_file()
        camera = json.loads((out / "cameras" / f"{path.name}.json").read_text())
        assert camera["camera"]["focal_px"] == 1506.1
        assert camera["frame"]["path"] == f"photos/{path.name}"
        assert len(camera["control_points"]) == 4
    frames, points = pd.read_csv(out / "frames.csv"), pd.read_csv(out / "points.csv")
    assert set(frames["sha256"]) == originals
    assert len(points) == 4 * len(NAMES)
    assert not any(str(made) in path.read_text("utf-8") for path in out.rglob("*.[cjm][sd]*"))


def test_footprints_and_points_open_in_other_programs(made: Path, tmp_path: Path) -> None:
    import geopandas as gpd
    from shapely import Point

    out = tmp_path / "tokyo"
    photos = packed(made, out, "--best", 2)
    ground = gpd.read_file(out / "footprints.geojson")
    assert len(ground) == len(photos) == 2
    assert ground.geometry.contains(Point(136.9, 35.7)).all()
    for path in photos:
        points = pd.read_csv(path.with_name(f"{path.name}.points"), skiprows=1)
        assert list(points["sourceX"] - 0.5) == pytest.approx([100, 520, 540, 90])
        assert list(-points["sourceY"] - 0.5) == pytest.approx([90, 80, 330, 340])


def test_names_lead_nowhere_else_and_are_told_apart(made: Path, tmp_path: Path) -> None:
    out = tmp_path / "tokyo"
    names = [path.name for path in packed(made, out)]
    assert len({name.casefold() for name in names}) == len(NAMES)
    assert sum(name.startswith("ISS030-E-184140") for name in names) == 2
    assert all(name.isprintable() and "\\" not in name for name in names)
    assert {path.name for path in tmp_path.iterdir()} == {"tokyo"}
    checked(out)


def test_the_readme_says_what_where_when_how_and_whom_to_credit(made: Path, tmp_path: Path) -> None:
    out = tmp_path / "tokyo"
    packed(made, out, "--place", "Gifu, JP")
    text = (out / "README.md").read_text("utf-8")
    assert text.startswith("# Night photographs: Gifu, Japan\n")
    for said in (
        "2012-03-20T15:00:00Z",
        "NIKON D3S, 85 mm",
        "35.7000, 136.9000",  # the middle of the photo
        "verdict accepted with a probability of 0.9997",
        "control points known to 140 m or better",
        "NASA Johnson Space Center (ISS030-E-184140)",
        "ask whoever took it",
        "sha256sum -c SHA256SUMS",
        "157 h from its epoch",
    ):
        assert said in text, said
    assert "\na\nb" not in text
    table = [line for line in text.splitlines() if line.startswith("| ") and ".jpg" in line]
    assert len(table) == len(NAMES)
    assert {line.replace("\\|", "").count("|") for line in table} == {10}


@pytest.mark.parametrize(
    ("words", "frames"),
    [
        (("--at", "136.9,35.7"), 5),
        (("--at", "-223.1,35.7"), 5),
        (("--at", "2.0,48.0"), 0),
        (("--at", "138.5,35.7"), 0),  # beside the footprints
        (("--at", "138.0,35.7", "--radius-km", 105), 5),
        (("--at", "138.0,35.7", "--radius-km", 90), 0),
        (("--from", "2012-03-22"), 3),
        (("--to", "2012-03-22"), 3),
        (("--to", "2012-03-22T00:00:00Z"), 2),
        (("--from", "2012-03-21", "--to", "2012-03-22"), 2),
        (("--from", "2012-03", "--to", "2012"), 5),
        (("--to", "2012-02"), 0),
        (("--from", "2012-04"), 0),
        (("--frame", "b", "--frame", "none"), 1),
        (("--best", 3), 3),
        (("--min-quality", 0.99), 0),
        (("--max-off-nadir-deg", 1), 5),
    ],
)
def test_which_frames_are_chosen(
    made: Path, tmp_path: Path, words: tuple[object, ...], frames: int
) -> None:
    out = tmp_path / "package"
    result = pack(made, out, *words, "--json", "--quiet", "--link")
    if frames == 0:
        assert result.exit_code == 1
        assert not out.exists()
    else:
        assert result.exit_code == 0, result.output
        assert len(json.loads(result.stdout)["frames"]) == frames


def test_places_of_the_catalogue_are_packed_by_their_number(made: Path, tmp_path: Path) -> None:
    table = pd.read_parquet(made / "archive.parquet")
    row = table[table["frame"] == "b"].iloc[0]
    out = tmp_path / "place"
    assert len(packed(made, out, "--place-id", row["place_id"])) == 5
    assert row["place"] in (out / "README.md").read_text().splitlines()[0]


def test_links_lead_to_the_originals(made: Path, tmp_path: Path) -> None:
    photos = packed(made, tmp_path / "tokyo", "--link")
    assert all(path.is_symlink() for path in photos)
    assert {path.resolve() for path in photos} == {(made / name).resolve() for name in NAMES}
    checked(tmp_path / "tokyo")


def test_calibration_files_are_packed_as_they_are(made: Path, tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "flat.fits").write_bytes(folder.encode() * 100)
    files = [tmp_path / folder / "flat.fits" for folder in ("one", "two")]
    out = tmp_path / "tokyo"
    packed(made, out, "--calibration", files[0], "--calibration", files[1])
    checked(out)
    packed_files = list((out / "calibration").iterdir())
    assert {path.read_bytes() for path in packed_files} == {b"one" * 100, b"two" * 100}
    text = (out / "README.md").read_text()
    assert all(path.name in text for path in packed_files)


def test_photos_that_are_gone_or_changed_are_left_out_and_told(
    archive: Path, tmp_path: Path
) -> None:
    (archive / "b.jpg").unlink()
    (archive / "a\nb.jpg").write_bytes(b"something else")
    out = tmp_path / "tokyo"
    result = pack(archive, out, "--json")
    assert result.exit_code == 1
    said = json.loads(result.stdout)
    assert len(said["frames"]) == 3
    assert set(said["failed"]) == {"b.jpg", "a_u000ab.jpg"}
    assert "is not the photo that was registered" in result.stderr
    checked(out)
    assert "## Chosen, but not here" in (out / "README.md").read_text()


def test_nothing_is_written_where_no_photo_is_left(archive: Path, tmp_path: Path) -> None:
    for path in archive.rglob("*.jpg"):
        path.unlink()
    result = pack(archive, tmp_path / "tokyo")
    assert result.exit_code == 1
    assert "nothing was written" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["archive"]


def test_a_store_that_changed_is_told(archive: Path, tmp_path: Path) -> None:
    write_store(tmp_path / "new.h5", [proposal("other")])
    (tmp_path / "new.h5").replace(archive / "run.h5")
    result = pack(archive, tmp_path / "tokyo")
    assert result.exit_code == 1
    assert "build the catalogue again" in result.stderr
    assert not (tmp_path / "tokyo").exists()


def test_what_people_decide_counts_also_after_the_catalogue_was_built(
    archive: Path, tmp_path: Path
) -> None:
    frames = {stored.result.frame: stored for stored in read_store(archive / "run.h5")}
    moved = engine_points(frames["b"].result)
    moved[0] |= {"x": 101.5, "origin": "person", "sigma_px": 1.0}
    decisions = (
        ("b", "accepted", work(nadir_camera(136.95), moved)),
        ("-rf 'x\" 🌃", "rejected", work(None, [])),
    )
    for name, choice, done in decisions:
        one = frames[name]
        decide(archive / "run.h5", one.frame_index, one.result, choice, done, "*eva*")
    out = tmp_path / "tokyo"
    result = pack(archive, out)
    assert result.exit_code == 1
    assert "a person rejected it" in result.stderr
    camera = json.loads((out / "cameras" / "b.jpg.json").read_text())
    assert camera["camera"]["position_ecef_m"] == list(nadir_camera(136.95).position_ecef_m)
    points = pd.read_csv(out / "points.csv").query("frame == 'b'")
    assert list(points["x"])[:1] == [101.5]
    text = (out / "README.md").read_text()
    assert "accepted by \\*eva\\* on 20" in text
    assert "points by engine, person" in text
    checked(out)


def test_what_exists_is_kept_unless_forced(made: Path, tmp_path: Path) -> None:
    out = tmp_path / "tokyo"
    assert pack(made, out, "--best", 1).exit_code == 0

    def content() -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in out.rglob("*") if path.is_file()}

    before = content()
    refused = pack(made, out, "--best", 2)
    assert refused.exit_code == 2
    assert "--force" in refused.stderr
    assert content() == before
    assert pack(made, out, "--best", 2, "--force").exit_code == 0
    assert len(b"".join(content().values())) > len(b"".join(before.values()))
    assert [path.name for path in tmp_path.iterdir()] == ["tokyo"]


def test_what_is_no_package_is_never_replaced(made: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    (tmp_path / "link").symlink_to(mine)
    for out in (mine, tmp_path / "link"):
        result = pack(made, out, "--force")
        assert result.exit_code == 2
        assert "no package" in result.stderr
    assert (mine / "thesis.txt").read_text() == "years of work"
    empty = tmp_path / "empty"
    empty.mkdir()
    assert pack(made, empty, "--best", 1).exit_code == 0
    checked(empty)


def test_a_failure_halfway_leaves_nothing(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any, **others: Any) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("regengine.collection.packages.package.readme", full)
    result = pack(made, tmp_path / "tokyo")
    assert result.exit_code == 3
    assert "No space left on device" in result.stderr
    assert list(tmp_path.iterdir()) == []


KILLED = """
import os, sys
from pathlib import Path
from regengine.collection.packages.folder import package_folder

with package_folder(Path(sys.argv[1]), link=False, force=True) as package:
    package.add_text("README.md", "new")
    os._exit(9)
"""


def test_a_kill_leaves_what_was_there(made: Path, tmp_path: Path) -> None:
    out = tmp_path / "tokyo"
    assert pack(made, out, "--best", 1).exit_code == 0
    before = hashlib.sha256((out / "README.md").read_bytes()).hexdigest()
    done = subprocess.run([sys.executable, "-c", KILLED, str(out)], cwd=ROOT, check=False)
    assert done.returncode == 9
    after = hashlib.sha256((out / "README.md").read_bytes()).hexdigest()
    assert after == before
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "new-tokyo")], cwd=ROOT)
    assert {path.name for path in tmp_path.iterdir() if path.name[0] != "."} == {"tokyo"}
    assert pack(made, out, "--best", 2, "--force").exit_code == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "Name a place"),
        (("--at", "91,91"), "longitude, then latitude"),
        (("--at", "east"), "longitude, then latitude"),
        (("--place", "Zzyzzxville"), "GeoNames knows no such place"),
        (("--place", "Nagoya", "--at", "1,1"), "two places"),
        (("--radius-km", "5", "--frame", "b"), "of which place"),
        (("--at", "1,1", "--from", "yesterday"), "no date"),
        (("--at", "1,1", "--verdict", "fine"), "none of accepted"),
        (("--at", "1,1", "--calibration", "none.fits"), "is no file"),
        (("--at", "1,1", "--out", "no/such/folder"), "cannot be written"),
    ],
)
def test_mistakes_are_one_sentence(
    made: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], told: str
) -> None:
    monkeypatch.chdir(made)
    before = sorted(os.listdir())
    out = () if "--out" in words else ("--out", "package")
    result = run("package", "archive.parquet", *out, *words)
    assert result.exit_code == 2, result.output
    assert told in result.stderr
    assert result.stderr.count("\n") == 1
    assert sorted(os.listdir()) == before
