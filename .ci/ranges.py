"""Installs the package as others do, without the locks, and uses it as they do.

``python .ci/ranges.py newest|lowest [PYTHON]`` makes an environment of the newest or the lowest
releases that pyproject.toml allows, extras included, in a folder of its own. PYTHON is the path of
one, or a word for those that pyproject.toml names and this machine has: ``newest`` (where none is
said), ``oldest`` or ``all``; where there is none, the one that runs this is taken. What goes wrong
ends it with a sentence and 1.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from urllib.parse import urljoin
from urllib.request import HTTPCookieProcessor, ProxyHandler, build_opener

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PACKAGES = ("detectors", "matchers", "regengine")
PHOTO = ROOT / "data_samples" / "photos" / "ISS030-E-184140.jpg"
PREFIX = "Programming Language :: Python :: 3."
NAMED = [f"3.{one.removeprefix(PREFIX)}" for one in PROJECT["classifiers"] if PREFIX in one]
USED = ("review", "gis", "dask", "raw")  # extras that users install
# What `export` calls each format's result
FILES = ("csv", "geojson", "gpkg", "kmz", "parquet")
FOLDERS = ("gcp", "geotiff", "qgis", "rpc", "stac")
EXPORTS = {name: f"x.{name}" for name in FILES} | {name: name for name in FOLDERS}
OPENCV = "opencv-contrib-python"
# A user's script, which ends without a word on standard error
SCRIPT = """
import sys
import matplotlib.figure, rawpy
import regengine as rg

if __name__ == "__main__":
    photo, store = sys.argv[1:]
    placed = rg.register(photo)
    assert (placed.verdict, len(placed.control_points)) == ("accepted", 4), placed
    stored = rg.open_store(store)[placed.frame]
    pairs = zip(stored.control_points, placed.control_points, strict=True)
    assert all(abs(one.lon - two.lon) + abs(one.lat - two.lat) < 1e-4 for one, two in pairs)
    assert len(rg.open_store(store).frames.to_pandas()) == 1
    from distributed import LocalCluster

    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:
        address = cluster.scheduler_address
        many = rg.register_many(photo, store="cluster.h5", scheduler=address, progress=False)
    assert many[placed.frame].verdict == "accepted", many
"""


def find_pythons() -> dict[str, str]:
    """Path of each Python that pyproject.toml names and that starts here, the oldest first."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    found = {}
    for version in NAMED:
        places = [shutil.which(f"python{version}"), *sorted(pyenv.glob(f"{version}.*/bin/python"))]
        for place in (*filter(None, places), "python3", sys.executable):
            if version_of(str(place)) == version:
                found[version] = str(place)
                break
    return found


def version_of(python: str) -> str:
    """Such as 3.12; "" where it does not start, as links of pyenv may, or makes no environments."""
    asked = "import ensurepip, venv, sys; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run([python, "-c", asked], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip()


def choose_pythons(word: str) -> list[str]:
    """Those that a word of the command line means."""
    if "/" in word:
        return [word]
    found = list(find_pythons().values()) or [sys.executable]
    return {"newest": found[-1:], "oldest": found[:1], "all": found}[word]


def lowest() -> list[str]:
    """The lowest release of each range, as pip's constraints."""
    lines = list(PROJECT["dependencies"])
    for extra in USED:
        lines += PROJECT["optional-dependencies"][extra]
    pairs = [re.match(r"([\w.-]+)(?:\[.*\])?[>=]=([\w.]+)", line) for line in lines]
    return [f"{pair[1]}=={pair[2]}" for pair in pairs if pair]


class Environment:
    """An environment with the package, and a folder to work in."""

    def __init__(self, folder: Path, python: str) -> None:
        self.folder, self.bin, self.work = folder, folder / "venv" / "bin", folder / "work"
        self.python = python
        self.settings = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PYTHON", "REGENGINE_", "VIRTUAL_ENV"))
        } | {
            "PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}",
            "REGENGINE_DATA": str(folder / "data"),
            "REGENGINE_CACHE": str(folder / "cache"),
            "OMP_NUM_THREADS": "1",
            # A worker whose heartbeat is under way as its cluster closes calls that an error
            "DASK_DISTRIBUTED__LOGGING": "{'distributed.worker': 'critical'}",
        }

    def run(self, *words: object, may_talk: bool = True) -> str:
        """What a command prints; ends all with what it said where it fails."""
        told = " ".join(map(str, words))
        done = subprocess.run(
            [str(word) for word in words],
            cwd=self.work,
            env=self.settings,
            capture_output=True,
            text=True,
            timeout=1200,
            check=False,
        )
        said = done.stderr.strip()
        broken = "Traceback" in said or "Error in sys.excepthook" in said
        if done.returncode or broken or (said and not may_talk):
            sys.exit(f"failed ({done.returncode}): {told}\n{done.stdout[-3000:]}\n{said[-6000:]}")
        return done.stdout

    def install(self, bounds: Sequence[str]) -> None:
        """Make it, of a copy of the sources: builds leave files beside them."""
        source = self.folder / "source"
        self.work.mkdir()
        for package in PACKAGES:
            ignored = shutil.ignore_patterns("__pycache__", "node_modules")
            shutil.copytree(ROOT / package, source / package, ignore=ignored)
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, source)
        constraints = self.folder / "constraints.txt"
        constraints.write_text("".join(f"{one}\n" for one in bounds), encoding="utf-8")
        self.run(self.python, "-m", "venv", self.folder / "venv")
        pip = ("python", "-m", "pip", "--disable-pip-version-check", "--no-input", "--quiet")
        self.run(
            *pip,
            "install",
            "--no-compile",
            "--constraint",
            constraints,
            f"{source}[{','.join(USED)}]",
        )
        self.run(*pip, "check")
        if sys.platform == "linux" and not has_library("libGL.so.1"):  # as .ci/setup.sh does
            (version,) = re.findall(rf"{OPENCV}==(\S+)", self.run(*pip, "freeze"))
            self.run(*pip, "uninstall", "--yes", OPENCV)
            self.run(*pip, "install", "--no-deps", f"{OPENCV}-headless=={version}")


def has_library(name: str) -> bool:
    """Whether the system has a shared library."""
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def expect(holds: bool, told: object) -> None:
    """End all with what is wrong, unless something holds."""
    if not holds:
        sys.exit(f"failed: {told}")


def use(installed: Environment) -> None:
    """Place a photo, classify it, export and read the results, with each extra."""
    regengine = partial(installed.run, "regengine")
    checked = json.loads(regengine("doctor", "--json"))
    expect(all(one["ok"] for one in checked), checked)
    placed = json.loads(regengine("register", PHOTO, "--store", "run.h5", "--json"))
    expect((placed["verdict"], len(placed["control_points"])) == ("accepted", 4), placed)
    scene = json.loads(regengine("classify", PHOTO, "--json"))
    expect(scene["category"] == "cities", scene)
    for name, out in EXPORTS.items():
        regengine("export", "run.h5", "--format", name, "--out", out)
        made = installed.work / out
        files = [one for one in (made, *made.rglob("*")) if one.is_file()]
        expect(any(one.stat().st_size for one in files), f"the export {out} is empty")
    for command in ("show run.h5", "verify run.h5", "report run.h5 --out report.html"):
        regengine(*command.split())
    (installed.work / "script.py").write_text(SCRIPT, encoding="utf-8")
    installed.run("python", "script.py", PHOTO, "run.h5", may_talk=False)
    review(installed)


def review(installed: Environment) -> None:
    """Start the review page, read its list of photos as the page does, and stop it."""
    words = ["regengine", "review", "run.h5", "--no-browser", "--json"]
    process = subprocess.Popen(
        words, cwd=installed.work, env=installed.settings, stdout=subprocess.PIPE, text=True
    )
    try:
        told = json.loads(process.stdout.readline() if process.stdout else "")
        browser = build_opener(ProxyHandler({}), HTTPCookieProcessor())
        browser.open(told["url"], timeout=60).read()
        with browser.open(urljoin(told["url"], "/api/frames"), timeout=60) as answer:
            listed = answer.read().decode()
        expect(PHOTO.stem in listed, f"the review page lists {listed}")
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


def main() -> None:
    """Do it with each Python that was asked for."""
    which, python = (*sys.argv[1:], "newest")[:2]
    for path in choose_pythons(python):
        with tempfile.TemporaryDirectory(prefix="regengine-") as folder:
            installed = Environment(Path(folder), path)
            installed.install({"newest": [], "lowest": lowest()}[which])
            use(installed)
            releases = installed.run("python", "-m", "pip", "freeze").split()
        mainly = [one for one in releases if one.startswith(("numba=", "numpy=", OPENCV, "scipy="))]
        print(f"{which} releases on Python {version_of(path)}: works with {', '.join(mainly)}")


if __name__ == "__main__":
    main()
