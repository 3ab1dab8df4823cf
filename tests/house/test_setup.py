"""The set-up: locks, and skips where they are forbidden."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
CI = ROOT / ".ci"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = ("gis", "dask", "raw", "docs", "dev")


def read_lock(name: str) -> dict[str, str]:
    lines = (CI / f"requirements-{name}.txt").read_text().splitlines()
    pins = [line.split("==") for line in lines if line and not line.startswith("#")]
    assert [pin for pin in pins if len(pin) != 2] == []
    return dict(pins)  # type: ignore[arg-type]


CORE, DEV = read_lock("core"), read_lock("dev")


def needed_by(requirements: list[str], extra: str = "") -> list[Requirement]:
    parsed = [Requirement(text) for text in requirements]
    return [one for one in parsed if one.marker is None or one.marker.evaluate({"extra": extra})]


@pytest.mark.parametrize("name", ["core", "dev"])
def test_locks_pin_exact_versions_and_name_no_address(name: str) -> None:
    for package, version in read_lock(name).items():
        assert canonicalize_name(package) == package
        assert re.fullmatch(r"[0-9][0-9a-z.]*", version)


def test_locks_satisfy_what_the_project_declares() -> None:
    extras = PROJECT["optional-dependencies"]
    used = [*PROJECT["dependencies"], *extras["review"]]
    tested = [text for name in EXTRAS for text in extras[name]]
    for lock, declared in ((CORE, used), (CORE | DEV, tested)):
        for requirement in needed_by(declared):
            if requirement.name != "regengine":
                assert lock[canonicalize_name(requirement.name)] in requirement.specifier
    assert CORE["setuptools"] in Requirement("setuptools>=77").specifier


def test_the_locks_have_nothing_twice() -> None:
    assert set(CORE) & set(DEV) == set()


@pytest.mark.parametrize("lock", [CORE, CORE | DEV], ids=["core", "dev"])
def test_locks_are_complete(lock: dict[str, str]) -> None:
    missing = []
    for package in lock:
        try:
            needs = needed_by(distribution(package).requires or [])
        except PackageNotFoundError:  # the other build of OpenCV is installed
            continue
        missing += [
            f"{package} needs {need}"
            for need in needs
            if lock.get(canonicalize_name(need.name), "0") not in need.specifier
        ]
    assert missing == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("forbidden", "expected"),
    [("1", {"failed": 1, "skipped": 1, "error": 2}), ("", {"skipped": 4})],
)
def test_skips_for_want_of_a_program_fail_where_forbidden(
    tmp_path: Path, forbidden: str, expected: dict[str, int]
) -> None:
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path)
    (tmp_path / "test_sample.py").write_text(
        "import pytest\n"
        "def test_call(): pytest.skip('needs h5dump')\n"
        "@pytest.mark.skipif(True, reason='needs a browser')\n"
        "def test_mark(): pass\n"
        "def test_other(): pytest.skip('no real data')\n"
    )
    (tmp_path / "test_module.py").write_text(
        "import pytest\npytest.skip('needs a database server', allow_module_level=True)\n"
    )
    options = ["-q", "-p", "no:cacheprovider", "--continue-on-collection-errors"]
    result = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(tmp_path)],
        cwd=tmp_path,
        env={**os.environ, "REGENGINE_CI_FORBID_SKIPS": forbidden, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    summary = result.stdout.splitlines()[-1]
    counts = re.findall(r"(\d+) (failed|skipped|error)", summary)
    assert {kind: int(number) for number, kind in counts} == expected
