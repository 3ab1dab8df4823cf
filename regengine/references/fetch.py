"""Fetch what shows the lights of a region: map tiles of any service, or NASA's Black Marble."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from string import Formatter
from urllib.parse import urljoin, urlsplit

from PIL import Image, UnidentifiedImageError

from regengine.errors import ConfigError, LightMapError
from regengine.io.atomic import write_whole
from regengine.io.folders import cache_folder
from regengine.io.http import HttpFailure
from regengine.references.downloader import (
    TOKEN_VARIABLE,
    Downloader,
    Progress,
    WrongContent,
    may_have_token,
)
from regengine.references.source import Bounds, date_of_name, product_of_name
from regengine.references.tiles import (
    DESCRIPTION_FILE,
    MAX_TILE_PX,
    PICTURE_FORMATS,
    list_tiles,
    read_description,
    ten_degree_tiles_in_region,
)

# NASA's Global Imagery Browse Services; needs no key.
GIBS_BLACK_MARBLE = (
    "https://gibs.earthdata.nasa.gov/wmts/epsg3857/best/VIIRS_Black_Marble/default/2016-01-01/"
    "GoogleMapsCompatible_Level8/{z}/{y}/{x}.png"
)
MAX_LEVEL = 22
SAMPLED = 24  # tiles by whose sizes those of the others are told
ORDER = "{z}/{x}/{y}"
# NASA's LAADS archive lists the files of a product and day; each entry has the link that honours
# the token
LAADS = "https://ladsweb.modaps.eosdis.nasa.gov/api/v2/content/details/allData/5200"
PRODUCTS = ("VNP46A2", "VNP46A3", "VNP46A4")
FILE_NAME = r"{product}\.A\d{{7}}\.h(\d\d)v(\d\d)\.\d{{3}}\.\d+\.h5"
HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
MAGICS = (b"\x89PNG", b"\xff\xd8\xff", b"RIFF")


def tile_folder_name(template: str) -> str:
    """Name of the folder of a service's tiles in the cache: its host and layer."""
    parts = urlsplit(template)
    words = [parts.hostname or "tiles", *parts.path.split("{")[0].strip("/").split("/")]
    return "-".join(word for word in words if word).replace(":", "-")[:120]


@dataclass(frozen=True, kw_only=True)
class TileJob:
    """Tiles of one level of a service, and the folder that they go to."""

    wanted: tuple[tuple[int, int], ...]  # x, y
    folder: Path
    template: str
    level: int
    downloader: Downloader

    @classmethod
    def prepared(
        cls,
        wanted: Sequence[tuple[int, int]],
        folder: Path | None = None,
        *,
        template: str = GIBS_BLACK_MARBLE,
        level: int = 8,
        downloader: Downloader | None = None,
    ) -> TileJob:
        """A job whose address and level make sense and whose folder says what it holds.

        ``template`` is an address with {z}, {x} and {y} (or {-y}, counted from the south),
        ``level`` the zoom level. ConfigError if the address or the level makes no sense, or the
        folder holds other tiles.
        """
        _check_template(template, level)
        folder = folder or cache_folder() / "tiles" / tile_folder_name(template)
        _describe(folder, template)
        return cls(
            wanted=tuple(wanted),
            folder=folder,
            template=template,
            level=level,
            downloader=downloader or Downloader(),
        )

    def missing(self) -> list[tuple[int, int]]:
        """The tiles that are not there and may exist."""
        known = list_tiles(self.folder, ORDER).get(self.level, {})
        return [tile for tile in self.wanted if tile not in known and not self.absent([tile])]

    def absent(self, tiles: Sequence[tuple[int, int]]) -> int:
        """How many of some tiles the service is known not to have."""
        return sum(_absent_marker(self.folder, self.level, tile).exists() for tile in tiles)

    def fetch(
        self, tiles: Sequence[tuple[int, int]], progress: Progress = lambda done, total: None
    ) -> None:
        """Fetch some tiles; LightMapError if that fails: what came is kept."""
        self.downloader.save_all(
            [
                partial(_fetch_one, self.downloader, self.template, self.folder, self.level, tile)
                for tile in tiles
            ],
            progress,
        )

    def bytes_of(self, tiles: Sequence[tuple[int, int]]) -> float:
        """About how large some tiles are: by a few of them, which are fetched."""
        few = tiles[:: max(1, len(tiles) // SAMPLED)]
        self.fetch(few)
        at_hand = list_tiles(self.folder, ORDER).get(self.level, {})
        sizes = [at_hand[tile].stat().st_size if tile in at_hand else 0 for tile in few]
        return len(tiles) * sum(sizes) / max(len(sizes), 1)


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
    if not downloader.save(url, path, _check_picture):
        marker = _absent_marker(folder, level, tile)
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()


def _absent_marker(folder: Path, level: int, tile: tuple[int, int]) -> Path:
    return folder / str(level) / str(tile[0]) / f"{tile[1]}.absent"


def _check_picture(path: Path) -> None:
    """Make sure that a file is a whole picture."""
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
        raise HttpFailure("broken", f"a picture arrived broken ({error})", passes=True) from error


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
    if not 0 <= level <= MAX_LEVEL:
        raise ConfigError(f"Level {level} does not exist: choose 0 (the world) to 22.")


def _describe(folder: Path, template: str) -> None:
    """Write ``tiles.json``, or make sure that the one there is of the same service."""
    path = folder / DESCRIPTION_FILE
    if path.exists():
        said = read_description(folder)
        if said.get("url") != template or said["order"] != ORDER:
            raise ConfigError(
                f"{folder} holds tiles of another service ({said.get('url', 'unknown')}): remove "
                "it, or let REGENGINE_CACHE name another folder."
            )
        return
    said = {
        "order": ORDER,
        "url": template,
        "product": product_of_name(template) or urlsplit(template).hostname or "map tiles",
        "date": date_of_name(template),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(path, (json.dumps(said, indent=1) + "\n").encode())
    except OSError as error:
        raise LightMapError(
            f"{folder} cannot be written to ({error.strerror}): let REGENGINE_CACHE name a "
            "folder that you may write to."
        ) from error


def fetch_vnp46(
    bounds: Bounds,
    *,
    product: str,
    when: str,
    downloader: Downloader,
    archive: str = LAADS,
    progress: Progress = lambda done, total: None,
) -> Path:
    """Fetch the 10-degree tiles of a region into a folder of the cache; those there are kept.

    ``product`` is "VNP46A2" (daily), "VNP46A3" (monthly) or "VNP46A4" (annual); ``when`` is "2020",
    "2020-03" or "2020-03-14", as fine as the product is. ``downloader`` has the Earthdata token,
    ``archive`` is the address of the archive's listing; ``progress`` is called with files done and
    in total. ConfigError if product or date make no sense, or there is no token; LightMapError if
    the archive cannot be reached, refuses, or has no such files.
    """
    day = day_of(product, when)
    if not downloader.token:
        raise ConfigError(
            f"{product} needs an Earthdata token: get one at urs.earthdata.nasa.gov and put it "
            f"into the environment variable {TOKEN_VARIABLE}."
        )
    folder = cache_folder() / product / when
    wanted = ten_degree_tiles_in_region(bounds)
    links = _list_files(downloader, f"{archive}/{product}/{day:%Y/%j}", folder, product)
    chosen = {
        folder / link.rsplit("/", 1)[-1]: links[t] for t, link in links.items() if t in wanted
    }
    if not chosen:
        raise LightMapError(
            f"{urlsplit(archive).hostname} has no {product} of {when} for that place: choose "
            "another date."
        )

    def fetch_one(path: Path, link: str) -> None:
        if not downloader.save(link, path, _check_hdf5):
            raise LightMapError(f"{path.name} is listed but not there: try again later.")

    missing = [partial(fetch_one, *item) for item in chosen.items() if not item[0].exists()]
    downloader.save_all(missing, progress)
    return folder


def day_of(product: str, when: str) -> date:
    """Day under which the archive files a product of a year, month or day."""
    if product not in PRODUCTS:
        raise ConfigError(f"Product {product!r} is unknown: choose {', '.join(PRODUCTS)}.")
    pieces = {"VNP46A2": 3, "VNP46A3": 2, "VNP46A4": 1}[product]
    try:
        if not re.fullmatch(r"\d{4}" + r"-\d\d" * (pieces - 1), when):
            raise ValueError(when)
        return date.fromisoformat(f"{when}-01-01"[:10])
    except ValueError as error:
        form = ("YYYY", "YYYY-MM", "YYYY-MM-DD")[pieces - 1]
        raise ConfigError(f"{product} goes by {form}: {when!r} is no such date.") from error


def _check_hdf5(path: Path) -> None:
    """Make sure that a file is a whole HDF5 file."""
    import h5py

    with path.open("rb") as file:
        start = file.read(8)
    if start != HDF5_MAGIC:
        raise WrongContent(
            f"with something else instead of HDF5: the token in {TOKEN_VARIABLE} may have expired "
            "or the product's terms not be accepted yet at urs.earthdata.nasa.gov"
        )
    try:
        with h5py.File(path, "r"):
            pass
    except OSError as error:
        raise HttpFailure("broken", "an HDF5 file arrived broken", passes=True) from error


def _list_files(
    downloader: Downloader, url: str, folder: Path, product: str
) -> dict[tuple[int, int], str]:
    """Links of a product's files of one day by tile; of several productions the latest."""
    listing = folder / f".listing.{os.getpid()}.json"
    try:
        if not downloader.save(f"{url}?fields=all&formats=json", listing, _check_listing):
            return {}
        entries = json.loads(listing.read_text(encoding="utf-8"))["content"]
    finally:
        listing.unlink(missing_ok=True)
    links: dict[tuple[int, int], str] = {}
    for entry in sorted(entries, key=lambda item: str(item.get("name", ""))):
        # The name becomes a path: only what looks exactly like a tile's name is taken.
        found = re.fullmatch(FILE_NAME.format(product=product), str(entry.get("name", "")))
        link = urljoin(url, str(entry.get("downloadsLink", "")))
        # A listing may send us nowhere but to the host that was asked, or to NASA's own.
        same = urlsplit(link)[:2] == urlsplit(url)[:2] or may_have_token(link)
        if found and link.endswith("/" + found[0]) and same:
            links[int(found[1]), int(found[2])] = link
    return links


def _check_listing(path: Path) -> None:
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        if not all(isinstance(entry, dict) for entry in said["content"]):
            raise ValueError("content")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise WrongContent(
            "with something else instead of a list of files: the token in "
            f"{TOKEN_VARIABLE} may have expired"
        ) from error
