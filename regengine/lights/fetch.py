"""Fetch the map tiles around a place from an XYZ or WMTS service into a folder."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from string import Formatter
from urllib.parse import urlsplit

from PIL import Image, UnidentifiedImageError

from regengine.errors import ConfigError, LightMapError
from regengine.lights.circle import map_tiles_in_circle
from regengine.lights.naming import date_of_name, product_of_name
from regengine.lights.net import BrokenDownload, Downloader, Progress, WrongContent
from regengine.lights.tiles import (
    DESCRIPTION_FILE,
    MAX_TILE_PX,
    PICTURE_FORMATS,
    list_tiles,
    read_description,
)

# NASA's Global Imagery Browse Services; needs no key.
GIBS_BLACK_MARBLE = (
    "https://gibs.earthdata.nasa.gov/wmts/epsg3857/best/VIIRS_Black_Marble/default/2016-01-01/"
    "GoogleMapsCompatible_Level8/{z}/{y}/{x}.png"
)
DEFAULT_LEVEL = 8  # 20 arcsec a pixel, the finest of Black Marble
CACHE_VARIABLE = "REGENGINE_CACHE"
ORDER = "{z}/{x}/{y}"
MAX_TILES = 20_000  # at level 8 the horizon of the ISS encloses 600 to 2,500
MAGICS = (b"\x89PNG", b"\xff\xd8\xff", b"RIFF")


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """What a fetch did: the folder, and how many tiles came, were there, and do not exist."""

    folder: Path
    downloaded: int
    present: int
    absent: int


def cache_folder(environment: Mapping[str, str] = os.environ, system: str = "") -> Path:
    """Folder for what is downloaded: REGENGINE_CACHE, or the platform's place for caches.

    Parameters
    ----------
    environment : mapping, optional
        Environment variables.
    system : str, optional
        "Linux", "Darwin" or "Windows"; this machine's if not given.
    """
    if environment.get(CACHE_VARIABLE):
        return Path(environment[CACHE_VARIABLE])
    system = system or platform.system()
    if system == "Windows" and environment.get("LOCALAPPDATA"):
        return Path(environment["LOCALAPPDATA"]) / "regengine" / "Cache"
    if system == "Darwin":
        return Path.home() / "Library" / "Caches" / "regengine"
    return Path(environment.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "regengine"


def tile_folder_name(template: str) -> str:
    """Name of the folder of a service's tiles in the cache: its host and layer."""
    parts = urlsplit(template)
    words = [parts.hostname or "tiles", *parts.path.split("{")[0].strip("/").split("/")]
    return "-".join(word for word in words if word).replace(":", "-")[:120]


def fetch_tiles(
    lon: float,
    lat: float,
    radius_km: float,
    folder: Path | None = None,
    *,
    template: str = GIBS_BLACK_MARBLE,
    level: int = DEFAULT_LEVEL,
    downloader: Downloader | None = None,
    progress: Progress = lambda done, total: None,
) -> Fetched:
    """Fetch all tiles that a circle touches; those already there are not fetched again.

    Parameters
    ----------
    lon, lat : float
        Centre, degrees.
    radius_km : float
        Radius on the ground, kilometres; the horizon of the ISS is 2,200 km away.
    folder : Path, optional
        Where to put them, together with ``tiles.json``; a folder in the cache if not given.
    template : str, optional
        Address with {z}, {x} and {y} (or {-y}, counted from the south).
    level : int, optional
        Zoom level.
    downloader : Downloader, optional
        How patiently to download.
    progress : callable, optional
        Called with tiles done and in total.

    Returns
    -------
    Fetched
        The folder, to be opened with `open_light_map`, and counts.

    Raises
    ------
    ConfigError
        The address, the place or the level makes no sense, or the folder holds other tiles.
    LightMapError
        The service cannot be reached or answers something else; what came is kept.
    """
    check_place(lon, lat, radius_km)
    _check_template(template, level)
    folder = folder or cache_folder() / "tiles" / tile_folder_name(template)
    downloader = downloader or Downloader()
    wanted = map_tiles_in_circle(lon, lat, radius_km, level)
    if len(wanted) > MAX_TILES:
        raise ConfigError(
            f"The circle of {radius_km:g} km takes {len(wanted)} tiles at level {level}, more than "
            f"{MAX_TILES}: choose a lower --level or a smaller --radius-km."
        )
    _describe(folder, template)
    known = set(list_tiles(folder, ORDER).get(level, {}))
    absent = {tile for tile in wanted if _absent_marker(folder, level, tile).exists()}
    missing = [tile for tile in wanted if tile not in known and tile not in absent]
    downloader.save_all(
        [partial(_fetch_one, downloader, template, folder, level, tile) for tile in missing],
        progress,
    )
    absent_now = sum(_absent_marker(folder, level, tile).exists() for tile in missing)
    return Fetched(
        folder=folder,
        downloaded=len(missing) - absent_now,
        present=len(known & set(wanted)),
        absent=len(absent) + absent_now,
    )


def _fetch_one(
    downloader: Downloader, template: str, folder: Path, level: int, tile: tuple[int, int]
) -> None:
    """Fetch one tile, or note that the service has none there."""
    x, y = tile
    values = {"{z}": level, "{x}": x, "{y}": y, "{-y}": 2**level - 1 - y}
    url = template
    for key, value in values.items():
        url = url.replace(key, str(value))
    suffix = Path(urlsplit(template).path).suffix.lower()
    suffix = suffix if suffix in (".png", ".jpg", ".jpeg", ".webp") else ".png"
    path = folder / str(level) / str(x) / f"{y}{suffix}"
    if not downloader.save(url, path, check_picture):
        marker = _absent_marker(folder, level, tile)
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()


def _absent_marker(folder: Path, level: int, tile: tuple[int, int]) -> Path:
    return folder / str(level) / str(tile[0]) / f"{tile[1]}.absent"


def check_picture(path: Path) -> None:
    """Make sure that a file is a whole picture.

    Raises
    ------
    BrokenDownload
        It is the beginning of one.
    WrongContent
        It is something else.
    """
    with path.open("rb") as file:
        start = file.read(512)
    if not start.startswith(MAGICS):
        page = b"<html" in start.lower() or b"<!doctype" in start.lower()
        raise WrongContent(
            f"with {'a web page' if page else 'something else'} instead of a picture: check the "
            "address of the tiles, or log in to the network first"
        )
    try:
        with Image.open(path, formats=PICTURE_FORMATS) as picture:
            if max(picture.size) > MAX_TILE_PX:
                raise WrongContent(f"with a picture of {picture.width} x {picture.height} pixels")
            picture.load()
    except (OSError, SyntaxError, ValueError, UnidentifiedImageError) as error:
        raise BrokenDownload(f"a picture arrived broken ({error})") from error


def check_place(lon: float, lat: float, radius_km: float) -> None:
    """Make sure that a circle lies on the Earth.

    Raises
    ------
    ConfigError
        It does not.
    """
    if not (-360.0 <= lon <= 360.0 and -90.0 <= lat <= 90.0 and 0.0 < radius_km <= 20_000.0):
        raise ConfigError(
            f"A circle of {radius_km:g} km around longitude {lon:g}, latitude {lat:g} is not on "
            "the Earth: give --nadir LON,LAT in degrees and --radius-km between 0 and 20000."
        )


def _check_template(template: str, level: int) -> None:
    try:
        fields = sorted(name for _, name, _, _ in Formatter().parse(template) if name is not None)
    except ValueError:
        fields = []
    complete = fields in (["x", "y", "z"], ["-y", "x", "z"])
    web = urlsplit(template).scheme in ("http", "https")
    if not (complete and web) or any(letter.isspace() for letter in template):
        raise ConfigError(
            f"{template!r} is no address of map tiles: it must begin with https:// or http:// and "
            "hold {z}, {x} and {y} (or {-y}) once each."
        )
    if not 0 <= level <= 22:
        raise ConfigError(f"Level {level} does not exist: choose 0 (the world) to 22.")


def _describe(folder: Path, template: str) -> None:
    """Write ``tiles.json``, or make sure that the one there is of the same service."""
    path = folder / DESCRIPTION_FILE
    if path.exists():
        said = read_description(folder)
        if said.get("url") != template or said["order"] != ORDER:
            raise ConfigError(
                f"{folder} holds tiles of another service ({said.get('url', 'unknown')}): choose "
                "another folder with --out."
            )
        return
    said = {
        "order": ORDER,
        "url": template,
        "product": product_of_name(template) or urlsplit(template).hostname or "map tiles",
        "date": date_of_name(template),
    }
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
        os.replace(temporary, path)
    except OSError as error:
        raise LightMapError(
            f"{folder} cannot be written to ({error.strerror}): choose another folder with --out."
        ) from error
