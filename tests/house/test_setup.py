"""The set-up: locks, `.ci/setup.sh`, the OpenCV swap, `.ci/run`, forbidden skips."""

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
EXTRAS = ("raw", "catalogue", "stac", "tables", "dev")
# What `make` has, so that a checkout lacks none of them
IN_CORE = ("review", "scenes", "places", "fits")


def read_lock(name: str) -> dict[str, str]:
    lines = (CI / f"requirements-{name}.txt").read_text().splitlines()
    pins = [line.split("==") for line in lines if line and not line.startswith("#")]
    assert [pin for pin in pins if len(pin) != 2] == []
    return dict(pins)  # type: ignore[arg-type]


CORE, DEV, DOCS = read_lock("core"), read_lock("dev"), read_lock("docs")


def needed_by(requirements: list[str], extra: str = "") -> list[Requirement]:
    parsed = [Requirement(text) for text in requirements]
    return [one for one in parsed if one.marker is None or one.marker.evaluate({"extra": extra})]


@pytest.mark.parametrize("name", ["core", "dev", "docs"])
def test_locks_pin_exact_versions_and_name_no_address(name: str) -> None:
    for package, version in read_lock(name).items():
        assert canonicalize_name(package) == package
        assert re.fullmatch(r"[0-9][0-9a-z.]*", version)


def test_locks_satisfy_what_the_project_declares() -> None:
    extras = PROJECT["optional-dependencies"]
    used = [*PROJECT["dependencies"], *(text for name in IN_CORE for text in extras[name])]
    tested = [text for name in EXTRAS for text in extras[name]]
    for lock, declared in ((CORE, used), (CORE | DEV, tested), (DOCS, extras["docs"])):
        for requirement in needed_by(declared):
            assert lock[canonicalize_name(requirement.name)] in requirement.specifier
    assert CORE["setuptools"] in Requirement("setuptools>=77").specifier


def test_the_locks_have_nothing_twice() -> None:
    assert set(CORE) & set(DEV) == set()
    assert set(CORE) & set(DOCS) == set()
    assert {name: DEV[name] for name in DOCS if name in DEV} == {
        name: DOCS[name] for name in DOCS if name in DEV
    }


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


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert not path.is_symlink(), "writing would change what the link points to"
    path.write_text(text)
    path.chmod(0o755)
    return path


# A Python that makes an environment out of itself and writes down what it is asked to install.
STUB_PYTHON = f"""#!/bin/sh
case "$1 $2" in
"-m venv") mkdir -p .venv/bin && cp "$0" .venv/bin/python && echo "venv" >>log; exit ;;
"-m pip") [ "$3" = --version ] || echo "pip $*" >>log; exit ;;
".ci/ensure_cv2.py ") echo "ensure_cv2" >>log; exit ;;
esac
exec {sys.executable} "$@"
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    shutil.copytree(CI, tmp_path / ".ci")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    script(tmp_path / "python", STUB_PYTHON)
    return tmp_path


def set_up(checkout: Path, what: str, python: str | None = None) -> tuple[int, str, list[str]]:
    """Run the set-up; its exit code, its complaint and what it did."""
    log = checkout / "log"
    log.unlink(missing_ok=True)
    result = subprocess.run(
        ["sh", ".ci/setup.sh", what],
        cwd=checkout,
        env={**os.environ, "PYTHON": python or str(checkout / "python")},
        capture_output=True,
        text=True,
        check=False,
    )
    done = log.read_text().splitlines() if log.exists() else []
    # the last word of a pip command says what it installs
    done = [line.split()[-1] if line.startswith("pip") else line for line in done]
    return result.returncode, result.stderr, done


CORE_STEPS = [".ci/requirements-core.txt", "ensure_cv2", "."]


def test_set_up_installs_the_core_alone_and_only_once(checkout: Path) -> None:
    assert set_up(checkout, "core") == (0, "", ["venv", *CORE_STEPS])
    assert set_up(checkout, "core") == (0, "", [])


def test_set_up_adds_what_tests_need(checkout: Path) -> None:
    set_up(checkout, "core")
    assert set_up(checkout, "dev") == (0, "", [".ci/requirements-dev.txt"])
    assert set_up(checkout, "dev") == (0, "", [])


def test_a_changed_lock_is_installed_again(checkout: Path) -> None:
    set_up(checkout, "dev")
    with (checkout / ".ci" / "requirements-core.txt").open("a") as lock:
        lock.write("# newer\n")
    assert set_up(checkout, "dev") == (0, "", CORE_STEPS[:2])


def test_a_moved_checkout_is_installed_again(checkout: Path, tmp_path: Path) -> None:
    set_up(checkout, "core")
    moved = checkout.rename(tmp_path.parent / f"{tmp_path.name}-moved")
    assert set_up(moved, "core") == (0, "", ["."])


def test_a_broken_environment_is_made_anew(checkout: Path) -> None:
    set_up(checkout, "core")
    script(checkout / ".venv" / "bin" / "python", "#!/bin/sh\nexit 1\n")
    for stamp in (checkout / ".venv").glob("stamp-*"):
        stamp.unlink()  # `venv --clear` empties the folder; the stub does not
    assert set_up(checkout, "core")[2][0] == "venv"


def test_another_python_makes_the_environment_anew(checkout: Path) -> None:
    set_up(checkout, "core")
    other = script(
        checkout / "other", STUB_PYTHON.replace("esac", '"-c "*%d.%d*) echo 3.99; exit ;;\nesac')
    )
    assert set_up(checkout, "core", str(other))[2][0] == "venv"


def test_an_old_python_is_met_with_one_sentence(checkout: Path) -> None:
    old = script(checkout / "old", '#!/bin/sh\ncase "$2" in *print*) echo 3.9 ;; *) exit 1 ;; esac')
    code, complaint, done = set_up(checkout, "core", str(old))
    assert (code, done, complaint.count("\n")) == (1, [], 1)
    assert "3.11 or newer" in complaint
    assert "3.9" in complaint


def test_a_python_without_venv_is_met_with_one_sentence(checkout: Path) -> None:
    bare = script(
        checkout / "bare", STUB_PYTHON.replace("esac", '"-c import ensurepip"*) exit 1 ;;\nesac')
    )
    code, complaint, done = set_up(checkout, "core", str(bare))
    assert (code, done, complaint.count("\n")) == (1, [], 1)
    assert "python3-venv" in complaint


def test_a_missing_library_is_met_with_one_sentence(checkout: Path) -> None:
    slim = script(
        checkout / "slim",
        STUB_PYTHON.replace(
            "esac", '"-c import rasterio") echo "no libexpat" >&2; exit 1 ;;\nesac'
        ),
    )
    code, complaint, done = set_up(checkout, "core", str(slim))
    assert (code, done[-1], complaint.count("\n")) == (1, "ensure_cv2", 1)
    assert "no libexpat" in complaint
    assert "apt-get install libexpat1" in complaint


def swap(tmp_path: Path, module: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Run the OpenCV check with this text as the module cv2 and a pip that only takes notes."""
    script(tmp_path / "modules" / "cv2.py", module)
    pip = script(
        tmp_path / "pip",
        f'#!/bin/sh\necho "$*" >>{tmp_path}/log\n[ "$1" != install ] || touch {tmp_path}/swapped\n',
    )
    result = subprocess.run(
        [sys.executable, str(CI / "ensure_cv2.py"), "--pip", str(pip)],
        env={**os.environ, "PYTHONPATH": str(tmp_path / "modules")},
        capture_output=True,
        text=True,
        check=False,
    )
    log = tmp_path / "log"
    return result, log.read_text().splitlines() if log.exists() else []


BROKEN = "raise ImportError('libGL.so.1: cannot open shared object file')"


def test_opencv_that_loads_is_left_alone(tmp_path: Path) -> None:
    result, calls = swap(tmp_path, "")
    assert (result.returncode, result.stdout, calls) == (0, "", [])


def test_opencv_without_opengl_is_swapped_for_the_same_version(tmp_path: Path) -> None:
    module = f"import os\nif not os.path.exists('{tmp_path}/swapped'):\n    {BROKEN}\n"
    result, calls = swap(tmp_path, module)
    wanted = f"opencv-contrib-python-headless=={CORE['opencv-contrib-python']}"
    assert result.returncode == 0, result.stderr
    assert "libGL.so.1" in result.stdout
    assert [call.split()[0] for call in calls] == ["uninstall", "install"]
    assert calls[0].split()[-1].startswith("opencv-contrib-python")
    assert calls[1].split()[-2:] == ["--no-deps", wanted]


def test_opencv_that_never_loads_stops_the_set_up(tmp_path: Path) -> None:
    result, calls = swap(tmp_path, BROKEN)
    assert result.returncode == 1
    assert "headless build either" in result.stderr
    assert len(calls) == 2


def ci_machine(tmp_path: Path, apt_get: str) -> dict[str, str]:
    """A machine with a handful of commands, none of which the tests need."""
    commands = tmp_path / "commands"
    commands.mkdir()
    (tmp_path / "usr" / "sbin").mkdir(parents=True)
    for name in ("bash", "chmod", "dirname", "id", "rm", "tee", "touch"):
        script(commands / name, f'#!/bin/sh\nexec {shutil.which(name)} "$@"\n')
    script(commands / "sleep", "#!/bin/sh\necho waits\n")
    script(commands / "apt-get", apt_get)
    script(commands / "sudo", '#!/bin/sh\nshift\nexec "$@"\n')
    script(commands / "make", '#!/bin/sh\necho "make $* $REGENGINE_CI_FORBID_SKIPS"\n')
    return {"PATH": str(commands), "REGENGINE_CI_ROOT": str(tmp_path)}


def run_ci(machine: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [str(CI / "run")]
    return subprocess.run(command, env=machine, capture_output=True, text=True, check=True)


SERVERS = r"mariadb-server postgresql ^postgresql-[0-9]+-postgis-3$ ^postgresql-[0-9]+-q3c$"


def test_ci_installs_what_tests_need_and_forbids_skips(tmp_path: Path) -> None:
    machine = ci_machine(tmp_path, '#!/bin/sh\necho "apt-get $*"\n')
    result = run_ci(machine)
    lines = result.stdout.splitlines()
    assert lines[0] == "apt-get update -qq"
    assert lines[1].startswith("apt-get install")
    assert lines[1].endswith(f" hdf5-tools chromium-headless-shell nodejs npm {SERVERS}")
    assert lines[2:] == ["make test 1", "make test-rest 1"]


def test_ci_tries_again_and_leaves_what_is_there_alone(tmp_path: Path) -> None:
    machine = ci_machine(tmp_path, "#!/bin/sh\nexit 1\n")
    again = run_ci(machine)
    assert again.stdout.splitlines() == ["waits", "waits", "make test 1", "make test-rest 1"]
    assert "hdf5-tools" in again.stderr
    for program in ("h5dump", "chromium-headless-shell", "node", "npm"):
        script(tmp_path / "commands" / program, "#!/bin/sh\n")
    for file in (
        "sbin/mariadbd",
        "lib/postgresql/17/bin/initdb",
        "share/postgresql/17/extension/postgis.control",
        "share/postgresql/17/extension/q3c.control",
    ):
        script(tmp_path / "usr" / file, "")
    present = run_ci(machine)
    assert present.stdout.splitlines() == ["make test 1", "make test-rest 1"]


@pytest.mark.parametrize("before", [None, "#!/bin/sh\nexit 0\n"], ids=["none", "another"])
def test_ci_lets_debian_start_no_servers(tmp_path: Path, before: str | None) -> None:
    policy = tmp_path / "usr" / "sbin" / "policy-rc.d"
    # Says what invoke-rc.d would be told: 101 forbids
    machine = ci_machine(tmp_path, f'#!/bin/sh\n"{policy}"\necho "told $?"\nexit 1\n')
    if before is not None:
        script(policy, before)
    result = run_ci(machine)
    told = [line for line in result.stdout.splitlines() if line.startswith("told")]
    assert told == [f"told {101 if before is None else 0}"] * 3
    assert policy.exists() == (before is not None)


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
        env={**os.environ, "REGENGINE_CI_FORBID_SKIPS": forbidden},
        capture_output=True,
        text=True,
        check=False,
    )
    summary = result.stdout.splitlines()[-1]
    counts = re.findall(r"(\d+) (failed|skipped|error)", summary)
    assert {kind: int(number) for number, kind in counts} == expected
