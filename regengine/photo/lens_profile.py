"""Calibration of one camera with one lens from stars: geometry, falloff, photometry; TOML files."""

from __future__ import annotations

import json
import logging
import math
import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

import numpy as np

from detectors.constants import FOCAL_RANGE_MM
from detectors.types import FloatArray
from matchers.geometry.camera import Lens
from matchers.geometry.sky_camera import LENS_PARAMETERS
from regengine.errors import ConfigError
from regengine.io.atomic import write_whole
from regengine.io.plain import format_count
from regengine.io.tables import decode_text

Matrix = tuple[tuple[float, ...], ...]
# Constraints on a number in a file
ABOVE_ZERO, FROM_ZERO = {"above": 0.0}, {"min": 0.0}
FOCAL_MM = dict(zip(("min", "max"), FOCAL_RANGE_MM, strict=True))

# A lens does not transmit more light off its axis than on it. The sky that determines the falloff
# may be brighter there by the first value; noise may let the curve rise by the second
MAX_LIGHT, MAX_RISE = 1.2, 0.05
# BP - RP of the Sun (Casagrande & VandenBerg 2018, MNRAS 479, L102), near the mean of bright stars
SUN_COLOUR = 0.82


@dataclass(frozen=True, kw_only=True)
class Falloff:
    """Vignetting: a share 1 + a1 r^2 + a2 r^4 + a3 r^6 of the on-axis light arrives.

    r is the distance from the principal point in half diagonals of the picture.
    """

    coefficients: tuple[float, float, float]  # a1, a2, a3
    covariance: Matrix  # 3 x 3
    frames: int  # number of frames whose backgrounds were fitted
    reach: float = field(metadata=ABOVE_ZERO)  # largest r of the fitted backgrounds

    def arrives(self, r: FloatArray | float) -> FloatArray:
        r2 = np.asarray(r, float) ** 2
        a1, a2, a3 = self.coefficients
        return np.asarray(1.0 + r2 * (a1 + r2 * (a2 + r2 * a3)), float)

    def impossibility(self) -> str:
        """Return why this falloff is impossible within `reach`; empty if it is possible."""
        r = np.linspace(0.0, self.reach, 101)
        share = self.arrives(r)
        rise = share - np.minimum.accumulate(share)
        for wrong, what in (
            (share <= 0.0, "is negative"),
            (share > MAX_LIGHT, "exceeds 120 %"),
            (rise > MAX_RISE, "increases outwards"),
        ):
            if wrong.any():
                at = int(np.argmax(wrong))
                return f"the falloff {what} ({100 * share[at]:.0f} % at {r[at]:.2f} half diagonals)"
        return ""

    def sigma(self, r: FloatArray | float) -> FloatArray:
        """Return one sigma of the share of the light that arrives."""
        r2 = np.asarray(r, float) ** 2
        powers = np.stack([r2, r2**2, r2**3], axis=-1)
        square = np.einsum("...i,ij,...j->...", powers, np.array(self.covariance), powers)
        return np.asarray(np.sqrt(np.maximum(square, 0.0)), float)


@dataclass(frozen=True, kw_only=True)
class ChannelPhotometry:
    """Photometry of stars in one colour channel: red, green or blue; light for grey pictures.

    A star of Gaia magnitude G and colour BP - RP has, corrected for falloff, the flux
    ``10 ** (0.4 * (zero_point_mag - G - colour_term * (BP - RP - SUN_COLOUR)))``, in full scales
    of a pixel times stored pixels per second. ``colour_term`` is 0 with sigma 0 if too few stars
    have known colours; ``scatter_mag`` is the robust scatter of single stars about this relation.
    """

    channel: str
    zero_point_mag: float
    zero_point_sigma: float = field(metadata=FROM_ZERO)
    colour_term: float
    colour_term_sigma: float = field(metadata=FROM_ZERO)
    scatter_mag: float = field(metadata=FROM_ZERO)
    stars: int


@dataclass(frozen=True, kw_only=True)
class ExposureSettings:
    """Exposure settings of the photometry: zero points depend on aperture and sensitivity.

    If the exposure time is unknown, fluxes are per exposure and not per second. The limiting
    magnitude is the Gaia G of stars with a signal-to-noise ratio of 5 in the luminance of the
    frames; its scatter is the robust scatter of its values for single stars.
    """

    exposure_s: float | None = field(metadata=ABOVE_ZERO)
    aperture_f: float | None = field(metadata=ABOVE_ZERO)
    iso: float | None = field(metadata=ABOVE_ZERO)
    limiting_mag: float
    limiting_scatter_mag: float = field(metadata=FROM_ZERO)


@dataclass(frozen=True, kw_only=True)
class LensProfile:
    """One camera with one lens at one focal length; terms as in `matchers.geometry.camera.Lens`."""

    camera: str | None  # names as in the photos
    lens: str | None
    # As written by the camera: identifies the photos of this lens
    focal_mm: float | None = field(metadata=FOCAL_MM)
    width_px: int  # of the picture that all pixel values of this profile refer to
    height_px: int
    focal_px: float = field(metadata=ABOVE_ZERO)
    principal_point: tuple[float, float]
    distortion: tuple[float, float, float, float, float]
    free: tuple[str, ...]  # members of `LENS_PARAMETERS` that were fitted to the stars
    covariance: Matrix  # 8 x 8, of `LENS_PARAMETERS`
    stars: int
    frames: int
    rms_px: float = field(metadata=ABOVE_ZERO)  # residual per axis of the fitted stars
    # Residual of held-out stars; None if there were too few to hold out any
    held_out_px: float | None = field(metadata=ABOVE_ZERO)
    catalogue: str  # star catalogue of the fit
    catalogue_epoch: float = field(metadata=ABOVE_ZERO)  # Julian year of its positions
    made_with: str  # program and version
    made_at: str  # ISO 8601, UTC
    falloff: Falloff | None = None
    exposure: ExposureSettings | None = None
    channels: tuple[ChannelPhotometry, ...] = ()

    def sigma(self, parameter: str) -> float:
        """One sigma of one of `LENS_PARAMETERS`, for the profile's own picture size."""
        row = LENS_PARAMETERS.index(parameter)
        return float(np.sqrt(self.covariance[row][row]))

    def fits(self, camera: str | None, lens: str | None, focal_mm: float | None) -> bool:
        """Whether a photo with these names and this focal length was taken with this lens.

        Camera and focal length must be known on both sides and agree; names of lenses must agree
        if both are known.
        """
        if camera is None or focal_mm is None or self.camera is None or self.focal_mm is None:
            return False
        if _plain(camera) != _plain(self.camera):
            return False
        if lens is not None and self.lens is not None and _plain(lens) != _plain(self.lens):
            return False
        # Nominal focal lengths from cameras differ by rounding: 85 and 85.0, 17 and 17.35
        return abs(focal_mm / self.focal_mm - 1.0) <= 0.03

    def for_picture(self, width_px: int, height_px: int) -> Lens | None:
        """Return the lens for a stored picture of another size; None for another aspect ratio.

        Distortion has no unit (tangents of angles); focal length and principal point scale with the
        picture. A picture of another aspect ratio was cropped in an unknown position.
        """
        long_side, own_long = max(width_px, height_px), max(self.width_px, self.height_px)
        factor = long_side / own_long
        off_px = self.width_px * factor - width_px, self.height_px * factor - height_px
        if max(map(abs, off_px)) > 1.0:
            return None
        # Each side was rounded to whole pixels; the centre of the picture stays the centre
        px, py = self.principal_point
        across, down = px - (self.width_px - 1) / 2.0, py - (self.height_px - 1) / 2.0
        middle = (width_px - 1) / 2.0 + across * factor, (height_px - 1) / 2.0 + down * factor
        return Lens(
            width_px=width_px,
            height_px=height_px,
            focal_px=self.focal_px * factor,
            principal_point=middle,
            distortion=self.distortion,
        )


def choose_profile(
    profiles: Sequence[LensProfile],
    *,
    camera: str | None,
    lens: str | None,
    focal_mm: float | None,
    width_px: int,
    height_px: int,
) -> LensProfile | None:
    """Return the profile of a photo's camera and lens; of several, the one with the most stars.

    Names, focal length and size (as stored) are those of the photo.
    """
    own = [profile for profile in profiles if profile.fits(camera, lens, focal_mm)]
    fitting = [profile for profile in own if profile.for_picture(width_px, height_px) is not None]
    return max(fitting, key=lambda profile: profile.stars, default=None)


def _plain(name: str) -> str:
    return "".join(character for character in name.casefold() if character.isalnum())


def profile_lines(profile: LensProfile) -> list[str]:
    """Describe a profile for users, one property per line."""
    name = " with ".join(part for part in (profile.camera, profile.lens) if part) or "unnamed"
    nominal = "" if profile.focal_mm is None else f", {profile.focal_mm:g} mm"
    px, py = profile.principal_point
    off = px - (profile.width_px - 1) / 2.0, py - (profile.height_px - 1) / 2.0

    def with_sigma(value: float, parameter: str, form: str) -> str:
        return f"{value:{form}} +- {profile.sigma(parameter):{form.lstrip('+')}}"

    place = f"{with_sigma(px, 'x_px', '.2f')}, {with_sigma(py, 'y_px', '.2f')} px"
    terms = zip(("k1", "k2", "p1", "p2", "k3"), profile.distortion, strict=True)
    left_out = profile.held_out_px
    held_out = "" if left_out is None else f", {left_out:.3f} for held-out stars"
    counts = format_count(profile.stars, "star"), format_count(profile.frames, "photo")
    origin = f"{' of '.join(counts)}, residual {profile.rms_px:.3f} px"
    rows = [
        ("focal length", f"{with_sigma(profile.focal_px, 'focal_px', '.3f')} px"),
        ("principal point", f"{place} ({off[0]:+.2f}, {off[1]:+.2f} from the image centre)"),
        *((term, with_sigma(value, term, "+.6f")) for term, value in terms if term in profile.free),
        ("from", f"{origin} per axis{held_out}"),
    ]
    if profile.falloff is not None:
        r = min(profile.falloff.reach, 1.0)
        corner, sigma = profile.falloff.arrives(r), profile.falloff.sigma(r)
        where = "in the corners" if r > 0.9 else f"at {r:.2f} of the corner's radius"
        share = f"{100 * corner:.1f} +- {100 * sigma:.1f} % of the light {where}"
        rows.append(("falloff", f"{share} ({format_count(profile.falloff.frames, 'photo')})"))
    if (given := profile.exposure) is not None:
        words = (given.exposure_s, "{:g} s"), (given.aperture_f, "f/{:g}"), (given.iso, "ISO {:g}")
        settings = ", ".join(form.format(value) for value, form in words if value is not None)
        limit = f"G {given.limiting_mag:.2f} at a signal-to-noise ratio of 5"
        rows.append(("limit", f"{limit} ({settings})" if settings else limit))
    rows += [
        (
            one.channel,
            f"zero point {one.zero_point_mag:.3f} +- {one.zero_point_sigma:.3f}, colour term "
            f"{one.colour_term:+.3f} +- {one.colour_term_sigma:.3f}, scatter "
            f"{one.scatter_mag:.3f} mag ({format_count(one.stars, 'star')})",
        )
        for one in profile.channels
    ]
    epoch = np.round(profile.catalogue_epoch, 1)
    made = f"{profile.made_at} by {profile.made_with}, {profile.catalogue} at {epoch}"
    return [
        f"{name}{nominal}: {profile.width_px} x {profile.height_px} px",
        *(f"  {label:16s} {text}" for label, text in [*rows, ("made", made)]),
    ]


FORMAT, VERSION = "regengine lens profile", 1
CHANNELS = ("red", "green", "blue", "light")
_ABOUT = "# Camera and lens, calibrated on stars; docs/methods/lenses.md explains each value.\n"
_TABLES = ("falloff", "exposure", "channels")
_LARGEST_FILE = 1 << 20


def save_profile(profile: LensProfile, path: Path) -> None:
    """Write a profile atomically as TOML, without values of None; StoreError if that fails."""
    lines = [_ABOUT, f"format = {json.dumps(FORMAT)}", f"format_version = {VERSION}"]
    parts: list[tuple[list[str], Any]] = [([], profile)]
    parts += [(["", "[falloff]"], profile.falloff), (["", "[exposure]"], profile.exposure)]
    parts += [(["", "[[channels]]"], channel) for channel in profile.channels]
    for heading, part in parts:
        if part is not None:
            names = (one.name for one in fields(part) if one.name not in _TABLES)
            pairs = ((name, getattr(part, name)) for name in names)
            lines += heading
            lines += [f"{name} = {_toml(value)}" for name, value in pairs if value is not None]
    write_whole(path, "".join(f"{line}\n" for line in lines).encode())


def load_profiles(paths: Iterable[Path]) -> tuple[LensProfile, ...]:
    """Read profile files, and folders of them (``*.toml``); ConfigError if a folder has none."""
    files: list[Path] = []
    for path in paths:
        inside = sorted(path.glob("*.toml")) if path.is_dir() else [path]
        if not inside:
            raise ConfigError(f"{path}: no lens profile (*.toml) in this folder.")
        files += inside
    return tuple(load_profile(file) for file in files)


def load_profile(path: Path) -> LensProfile:
    """Read a profile; unknown names are errors.

    A physically impossible falloff is left out with a warning.

    Raises ConfigError if the file cannot be read, is not a lens profile, or has invalid names or
    values.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(_LARGEST_FILE)
        content = tomllib.loads(decode_text(data))
    except OSError as error:
        raise ConfigError(
            f"{path}: the lens profile cannot be read ({error.strerror}): check the path."
        ) from error
    except (ValueError, RecursionError) as error:  # not text, or not TOML
        why = f"it is not valid TOML ({error})."
        raise ConfigError(f"{path} is not a lens profile: {why}") from error
    if content.pop("format", None) != FORMAT:
        raise ConfigError(f"{path} is not a lens profile: make one with regengine lens fit.")
    if content.pop("format_version", None) != VERSION:
        raise ConfigError(
            f"{path} is a lens profile of a version other than {VERSION}: make it again with "
            "regengine lens fit."
        )
    try:
        profile: LensProfile = _read("the file", content, LensProfile)
        unknown = set(profile.free) - set(LENS_PARAMETERS)
        if unknown:
            raise ValueError(f"free names the unknown parameter {sorted(unknown)[0]!r}")
        # The same range as for a lens of this focal length on a full-frame camera
        low, high = (mm / 36.0 for mm in FOCAL_RANGE_MM)
        if not low <= profile.focal_px / max(profile.width_px, profile.height_px) <= high:
            raise ValueError("focal_px is impossible for a picture of this size")
        _check_covariance("covariance", profile.covariance, len(LENS_PARAMETERS))
        if profile.falloff is not None:
            _check_covariance("falloff.covariance", profile.falloff.covariance, 3)
        if any(channel.channel not in CHANNELS for channel in profile.channels):
            raise ValueError(f"a channel is not one of {', '.join(CHANNELS)}")
    except ValueError as error:
        raise ConfigError(
            f"{path} is a damaged lens profile: {error}; make it again with regengine lens fit."
        ) from error
    if profile.falloff is None or not (why := profile.falloff.impossibility()):
        return profile
    logging.getLogger("regengine").warning(
        f"{path}: {why}: the falloff and the zero points that depend on it are ignored, the "
        "geometry is used; make the profile again with regengine lens fit."
    )
    return replace(profile, falloff=None, channels=())


def _read(where: str, table: Any, kind: type) -> Any:
    """Build a dataclass from a table that must have exactly its names."""
    if not isinstance(table, dict):
        raise ValueError(f"{where} is not a table")
    types = get_type_hints(kind)
    unknown = table.keys() - types.keys()
    if unknown:
        raise ValueError(f"{where} has the unknown value {sorted(unknown)[0]!r}")
    values = {}
    for one in fields(kind):
        if one.name in table:
            values[one.name] = _value(one.name, table[one.name], types[one.name], one.metadata)
        elif NoneType in get_args(types[one.name]):
            values[one.name] = None
        elif one.default is MISSING:
            raise ValueError(f"{where} lacks {one.name}")
    return kind(**values)


def _value(name: str, value: Any, kind: Any, limits: Mapping[str, float]) -> Any:
    """Convert a value to an annotated type; ValueError if it is invalid or out of range."""
    if NoneType in get_args(kind):
        (kind,) = (one for one in get_args(kind) if one is not NoneType)
    if isinstance(kind, type) and is_dataclass(kind):
        return _read(name, value, kind)
    if get_origin(kind) is tuple:
        kinds = get_args(kind)
        if not isinstance(value, list):
            raise ValueError(f"{name} is not a list" + " of tables" * is_dataclass(kinds[0]))
        if kinds[-1] is Ellipsis:
            kinds = (kinds[0],) * len(value)
        if len(kinds) != len(value):
            raise ValueError(f"{name} is not a list of {len(kinds)} numbers")
        pairs = zip(value, kinds, strict=True)
        return tuple(_value(f"{name}[{k}]", *pair, {}) for k, pair in enumerate(pairs))
    if kind is str:
        if not isinstance(value, str) or not value.strip():
            raise ValueError(f"{name} is not a text")
        return value
    if kind is int:
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"{name} is not a whole number above zero")
        return value
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not abs(value) <= sys.float_info.max:
        raise ValueError(f"{name} is not a finite number")
    if value <= limits.get("above", -math.inf):
        raise ValueError(f"{name} is not above zero")
    least, most = limits.get("min", -math.inf), limits.get("max", math.inf)
    if not least <= value <= most:
        between = f"not from {least:g} to {most:g}" if most < math.inf else f"below {least:g}"
        raise ValueError(f"{name} is {between}")
    return float(value)


def _check_covariance(name: str, matrix: tuple[tuple[float, ...], ...], size: int) -> None:
    if [len(row) for row in matrix] != [size] * size:
        raise ValueError(f"{name} is not a matrix of {size} x {size} numbers")
    values = np.array(matrix)
    scale = np.sqrt(np.maximum(np.diag(values), 0.0))
    scale = np.where(scale > 0.0, scale, 1.0)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        scaled = values / np.outer(scale, scale)
    if (
        not np.isfinite(scaled).all()
        or not np.allclose(scaled, scaled.T, atol=1e-6)
        or np.linalg.eigvalsh(scaled).min() < -1e-6
    ):
        raise ValueError(f"{name} is not a covariance matrix")


def _toml(value: Any) -> str:
    if isinstance(value, tuple):
        if value and isinstance(value[0], tuple):
            return "[\n" + "".join(f"    {_toml(row)},\n" for row in value) + "]"
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, str):
        # A JSON string is a basic string of TOML, except for unprintable characters
        printable = "".join(c for c in value if c.isprintable())
        return json.dumps(printable, ensure_ascii=False)
    return repr(int(value) if isinstance(value, int) else float(value))
