"""What a store says of its making: time, command line, versions of packages."""

from __future__ import annotations

import json
import platform
import shlex
import sys
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version

# Packages whose version may change a result or a file.
PACKAGES = (
    "regengine",
    "astropy",
    "h5py",
    "numpy",
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
    "pillow",
    "pyproj",
    "rasterio",
    "scipy",
    "sgp4",
)


def root_attributes() -> dict[str, str]:
    """Attributes of a store written by this process now.

    Returns
    -------
    dict of str to str
        ``created`` (ISO 8601, UTC), ``command_line``, ``package_versions`` (a JSON object).
    """
    return {
        "created": utc_now(),
        "command_line": shlex.join(sys.argv),
        "package_versions": json.dumps(package_versions()),
    }


@cache
def package_versions() -> dict[str, str]:
    """Versions of Python and of the installed packages that results depend on."""
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:  # OpenCV comes under one of two names
            continue
    return versions


def utc_now() -> str:
    """The time, ISO 8601, UTC, whole seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
