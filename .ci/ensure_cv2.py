"""Swaps OpenCV for its headless build of the same version where the ordinary one cannot load.

The ordinary build needs libGL, which slim systems lack. ``import cv2`` decides.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version

ORDINARY = "opencv-contrib-python"
HEADLESS = "opencv-contrib-python-headless"


def import_error() -> str:
    """Last line of what ``import cv2`` says in a new process; "" where it succeeds."""
    tried = subprocess.run(
        [sys.executable, "-c", "import cv2"], capture_output=True, text=True, check=False
    )
    if tried.returncode == 0:
        return ""
    return (tried.stderr.strip().splitlines() or [f"exit code {tried.returncode}"])[-1]


def installed_builds() -> dict[str, str]:
    """Name and version of each build that is installed."""
    found = {}
    for name in (ORDINARY, HEADLESS):
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def main() -> None:
    """Swap the builds if that is needed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pip", default=f"{shlex.quote(sys.executable)} -m pip")
    pip = shlex.split(parser.parse_args().pip)

    reason = import_error()
    if not reason:
        return
    builds = installed_builds()
    wanted = f"{HEADLESS}=={next(iter(builds.values()))}"
    print(f"OpenCV cannot be imported here ({reason}): installing {wanted} instead", flush=True)
    # Both builds fill the same folder, so what is there goes first.
    subprocess.run([*pip, "uninstall", "--quiet", "--yes", *builds], check=True)
    subprocess.run([*pip, "install", "--quiet", "--no-deps", wanted], check=True)
    reason = import_error()
    if reason:
        sys.exit(f"OpenCV cannot be imported in its headless build either ({reason}).")


if __name__ == "__main__":
    main()
