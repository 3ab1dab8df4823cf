"""The demonstration runs without a network, and its answers are true."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "data_samples"

# Every Python process of the run imports this first. Attempts are written down, so that one which
# is caught and survived still counts.
NO_NETWORK = """
import os
import socket


class OfflineSocket(socket.socket):
    def connect(self, address):
        if self.family in (socket.AF_INET, socket.AF_INET6):
            refuse("connect", address)
        return super().connect(address)

    connect_ex = connect


def refuse(*what, **_):
    with open(os.environ["NETWORK_ATTEMPTS"], "a") as attempts:
        attempts.write(f"{what}\\n")
    raise OSError("the network is off limits here")


socket.socket = OfflineSocket
socket.getaddrinfo = refuse
"""


def offline(tmp_path: Path, command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a command without a network: refused in Python, and absent where the system lets us."""
    modules = tmp_path / "modules"
    modules.mkdir(exist_ok=True)
    (modules / "sitecustomize.py").write_text(NO_NETWORK)
    environment = {
        **os.environ,
        "PYTHONPATH": str(modules),
        "NETWORK_ATTEMPTS": str(tmp_path / "attempts"),
    }
    apart = ["unshare", "--map-root-user", "--net"]  # libraries in C do not ask Python
    can_part = (
        shutil.which("unshare") is not None
        and subprocess.run([*apart, "true"], capture_output=True, check=False).returncode == 0
    )
    return subprocess.run(
        [*(apart if can_part else []), *command],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_guard_sees_attempts_that_are_survived(tmp_path: Path) -> None:
    survived = (
        "import urllib.request\n"
        "try:\n    urllib.request.urlopen('http://localhost:9')\n"
        "except OSError:\n    print('survived')\n"
    )
    result = offline(tmp_path, [sys.executable, "-c", survived])
    assert result.stdout == "survived\n"
    assert "localhost" in (tmp_path / "attempts").read_text()


@pytest.mark.slow
def test_the_demonstration_needs_no_network_and_is_right(tmp_path: Path) -> None:
    photos = sorted(str(path) for path in SAMPLES.glob("*.jpg"))
    assert len(photos) == 6
    store, overlays = tmp_path / "demo.h5", tmp_path / "overlays"
    registered = offline(
        tmp_path,
        [
            *(sys.executable, "cli.py", "register", *photos, "--store", str(store)),
            *("--tle", str(SAMPLES / "tle.txt"), "--lights", str(SAMPLES / "lights.tif")),
            *("--overlay", str(overlays)),
        ],
    )
    assert registered.returncode == 0, registered.stderr
    assert len(list(overlays.glob("*.png"))) == len(photos)
    judged = offline(
        tmp_path, [sys.executable, "-m", "benchmarks", "demo-truth", str(store), str(overlays)]
    )
    assert judged.returncode == 0, judged.stdout + judged.stderr
    assert not (tmp_path / "attempts").exists()
