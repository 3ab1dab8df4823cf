"""Calibration files that go into a package as they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from regengine.errors import ConfigError
from regengine.export.names import photo_name, photo_names
from regengine.lens_profile import LensProfile
from regengine.lens_profile_file import load_profile
from regengine.packages.frames import PackedFrame
from regengine.packages.sinks import ChangedError, file_sha256

FOLDER = "calibration"
KINDS = {
    "lenses": "lens profiles of `regengine lens fit`",
    "flats": "flat fields: evenly lit, for vignetting and dust",
    "darks": "dark frames: lens covered, for hot pixels and bias",
    "others": "other calibration files",
}


@dataclass(frozen=True, kw_only=True)
class CalibrationFile:
    """A file that the user names.

    Attributes
    ----------
    kind : str
        One of `KINDS`.
    name : str
        In the package.
    source : Path
        Where it lies.
    sha256 : str
        Of its content.
    profile : LensProfile or None
        Of a lens.
    """

    kind: str
    name: str
    source: Path
    sha256: str
    profile: LensProfile | None = None

    def fits(self, frame: PackedFrame) -> bool:
        """Whether it is the profile of a photo's camera and focal length."""
        result = frame.frame.result
        return self.profile is not None and self.profile.fits(
            result.camera_body, None, result.focal_mm
        )


def calibration_files(named: Mapping[str, Sequence[Path]]) -> list[CalibrationFile]:
    """Files to pack.

    Parameters
    ----------
    named : mapping of str to sequence of Path
        By `KINDS`. Folders of lenses stand for the profiles in them.

    Raises
    ------
    ConfigError
        If one is no file, cannot be read, or is no lens profile where it should be one.
    """
    found = []
    for kind, paths in named.items():
        sources = [one for path in paths for one in _inside(path, kind)]
        hashes = dict(enumerate(map(_sha256, sources)))
        own = {number: photo_name(path.name, number) for number, path in enumerate(sources)}
        names = photo_names(own, hashes)
        found += [
            CalibrationFile(
                kind=kind,
                name=f"{FOLDER}/{kind}/{names[number]}",
                source=path,
                sha256=hashes[number],
                profile=load_profile(path) if kind == "lenses" else None,
            )
            for number, path in enumerate(sources)
        ]
    return found


def _inside(path: Path, kind: str) -> list[Path]:
    if kind == "lenses" and path.is_dir():
        return sorted(path.glob("*.toml"))
    if not path.is_file():
        raise ConfigError(f"{path} is no file: name the calibration files one by one.")
    return [path]


def _sha256(path: Path) -> str:
    try:
        return file_sha256(path)
    except ChangedError as error:
        raise ConfigError(f"{error}: check its permissions.") from error
