"""Download a region from services: image tiles, or NASA's archive of Black Marble."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property, partial
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from matchers.geometry.footprint import Bounds
from regengine.errors import ConfigError, MapError, check_known
from regengine.io.atomic import cache_folder, hold_lock, make_refusal
from regengine.io.hdf5 import HDF5_SIGNATURE
from regengine.io.http import HttpClient, HttpFailure, RetryPolicy, Sentences
from regengine.io.urls import parse_host
from regengine.maps.build import Progress, encode
from regengine.maps.lights import (
    KINDS,
    KindName,
    date_of_name,
    display_saturation,
    display_table,
    lights_only_luma,
    product_of_name,
)
from regengine.maps.reference import PixelGrid

# NASA's Global Imagery Browse Services; need no key.
GIBS = "https://gibs.earthdata.nasa.gov/wmts/epsg3857/best/{}/GoogleMapsCompatible_Level8/"
SERVICES: dict[str, str] = {
    "lights": GIBS.format("VIIRS_Black_Marble/default/2016-01-01") + "{z}/{y}/{x}.png",
    "day": GIBS.format("BlueMarble_NextGeneration/default") + "{z}/{y}/{x}.jpeg",
}
# Finer pictures by day: Sentinel-2 cloudless 2016, of 10 m a pixel at level 14; no key, CC BY 4.0
SENTINEL = "https://tiles.maps.eox.at/wmts/1.0.0/s2cloudless_3857/default/g/{z}/{y}/{x}.jpg"
NASA_LEVEL, SENTINEL_LEVEL = 8, 14  # the finest of each
CREDITS = {
    "tiles.maps.eox.at": "Sentinel-2 cloudless (s2maps.eu) by EOX IT Services GmbH, contains "
    "modified Copernicus Sentinel data 2016 & 2017, CC BY 4.0",
}
# NASA's LAADS archive lists the files of a product and day; each entry has the link that honours
# the token
LAADS = "https://ladsweb.modaps.eosdis.nasa.gov/api/v2/content/details/allData/5200"
PRODUCTS = {"VNP46A2": "YYYY-MM-DD", "VNP46A3": "YYYY-MM", "VNP46A4": "YYYY"}
FILE_NAME = r"{product}\.A\d{{7}}\.h(\d\d)v(\d\d)\.\d{{3}}\.\d+\.h5"
# Name of the environment variable, not its content
TOKEN_VARIABLE = "EARTHDATA_TOKEN"  # noqa: S105
TOKEN_HOSTS = ("earthdata.nasa.gov", "earthdatacloud.nasa.gov", "eosdis.nasa.gov")
# What serves without a network
OWN_FILES: dict[KindName, str] = {
    "lights": "your own map with regengine maps build MAP",
    "streets": "your own extract with regengine maps build ROADS --kind streets",
    "day": "your own picture with regengine maps build PICTURES --kind day",
}
REJECTED = "{host} rejects the request with status {status}: check the address, or try again later."
UNREACHABLE = (
    "{{host}} cannot be reached ({}): check the network and run the same command again "
    "(what was fetched is kept), or give {{own}}."
)
SENTENCES: Sentences = {
    "absent": REJECTED,
    "gone": REJECTED,
    "denied": REJECTED,
    "refused": REJECTED,
    "circles": REJECTED,
    "failing": "{host} failed with status {status} in {tries} attempts: try again later; what was "
    "fetched is kept.",
    "wrong": "{host} answered {failure}.",
    "away": "{host} answered with a redirection to an invalid web address.",
    "cut": UNREACHABLE.format("only {failure}"),
    "other": UNREACHABLE.format("{failure}"),
}
OF_LIGHTS: Sentences = {
    **SENTENCES,
    "denied": "{host} denies access (status {status}): get a token at urs.earthdata.nasa.gov, put "
    f"it into the environment variable {TOKEN_VARIABLE}, and accept the product's terms there "
    "if it has any.",
}
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
MAGICS = (b"\x89PNG", b"\xff\xd8\xff", b"RIFF")
# Pillow would run Ghostscript on a PostScript file, whatever its name says
PICTURE_FORMATS = ("PNG", "JPEG", "WEBP")
# Web Mercator (EPSG:3857): a sphere in geodetic latitudes, the world in 2 ** zoom tiles a side
MAX_LAT_DEG = 85.0511287798066  # where the square map of the world ends
MAX_LEVEL = 22  # pixels of 4 cm
MAX_TILE_PX = 4096  # a side; services have 256 to 1,024

Tile = tuple[int, int]  # column, row, from the west and the north


@dataclass(frozen=True, kw_only=True)
class Downloader:
    """Downloads files, some at a time: tried again, checked, the token only where it belongs."""

    kind: KindName = "lights"
    connections: int = 4  # files at a time
    total_s: float = 1800.0  # longest time for one file
    # Earthdata bearer token, sent to NASA's Earthdata hosts over https and nowhere else.
    token: str = field(default="", repr=False)

    def save(
        self,
        url: str,
        path: Path,
        check: Callable[[Path], None] = lambda part: None,
        begin: Progress = lambda there, total: None,
        progress: Progress = lambda done, total: None,
    ) -> str | None:
        """Download one file, going on where it was interrupted; it appears when it is whole.

        One process downloads it at a time: what another one fetched meanwhile is taken as it is.
        For ``check``, ``begin`` and ``progress`` see `HttpClient.resume`. Returns its
        Last-Modified, or "", and None if the server has no such file (404). MapError if the
        host cannot be reached, refuses, or keeps failing; StoreError if the file cannot be written.
        """
        part = path.with_name(path.name + ".part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with hold_lock(path):
                if path.exists():
                    return ""
                made = self.client.resume(url, part, check, begin, progress)
                part.replace(path)
                return made
        except HttpFailure as failure:
            if failure.status in (404, 410):
                return None
            raise explain_failure(failure, url, self.kind) from failure
        except OSError as error:
            instead = "set REGENGINE_CACHE to another folder"
            raise make_refusal(path, error, instead=instead) from error

    def read_list(
        self, url: str, key: str, hint: str, *, may_be_missing: bool = False
    ) -> list[dict[str, Any]]:
        """Read the entries of a JSON object under a key; MapError if the download fails."""
        try:
            # At most 64 MB (of extracts, 2024: 10)
            return [{**entry} for entry in json.loads(self.client.read(url, 64))[key]]
        except HttpFailure as failure:
            if may_be_missing and failure.status in (404, 410):
                return []
            raise explain_failure(failure, url, self.kind) from failure
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise MapError(
                f"{parse_host(url)} answered with something other than a list of files: {hint}."
            ) from error

    def save_all(
        self, jobs: Sequence[Callable[[], object]], progress: Progress = lambda done, total: None
    ) -> None:
        """Run jobs, a few at a time; a failure cancels those not started and is raised."""
        with ThreadPoolExecutor(max_workers=self.connections) as pool:
            try:
                for done, _ in enumerate(pool.map(lambda job: job(), jobs), start=1):
                    progress(done, len(jobs))
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    @cached_property
    def client(self) -> HttpClient:
        """Client for all servers; redirections are followed, the token is sent only to NASA."""
        return HttpClient(
            RetryPolicy(total_s=self.total_s),
            may_follow=lambda source, target: True,
            authorization=lambda url: (
                f"Bearer {self.token}" if self.token and may_have_token(url) else None
            ),
            connections=self.connections,
        )


def find_service(kind: KindName, level: int) -> str:
    if kind == "day" and level > NASA_LEVEL:
        return os.environ.get("REGENGINE_SENTINEL") or SENTINEL
    return SERVICES[kind]


def may_have_token(url: str) -> bool:
    """Whether an address is one of NASA's Earthdata hosts, over https."""
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    return parts.scheme == "https" and any(
        host == name or host.endswith(f".{name}") for name in TOKEN_HOSTS
    )


def explain_failure(failure: HttpFailure, url: str, kind: KindName) -> MapError:
    """Make the error of a failed download, with a sentence that says what to do."""
    sentences = OF_LIGHTS if kind == "lights" else SENTENCES
    text = failure.sentence(sentences, host=parse_host(url), own=OWN_FILES[kind])
    has_answered = failure.kind in SENTENCES and failure.kind != "cut"
    return MapError(text) if has_answered else MapError(text, code="offline")


@dataclass(frozen=True, kw_only=True)
class TileSet:
    """Tiles of one level of a service of pictures in Web Mercator, and where they are kept.

    ``template`` is an address with {z}, {x} and {y} (or {-y}, counted from the south). ConfigError
    if the address or the level makes no sense.
    """

    kind: KindName
    template: str
    level: int
    bounds: Bounds

    def __post_init__(self) -> None:
        names = sorted(re.findall(r"\{(.*?)\}", self.template))
        is_url = re.fullmatch(r"https?://([^\s{}]|\{[-xyz]+\})+", self.template)
        if not is_url or names not in (["x", "y", "z"], ["-y", "x", "z"]):
            raise ConfigError(
                f"{self.template!r} is not a valid address of map tiles: it must begin with "
                "https:// or http:// and contain {z}, {x} and {y} (or {-y}) once each."
            )
        if not 0 <= self.level <= MAX_LEVEL:
            raise ConfigError(f"Level {self.level} does not exist: choose 0 (the world) to 22.")

    @cached_property
    def folder(self) -> Path:
        """Folder of the service's tiles in the cache, by its host, layer and address."""
        parts = urlsplit(self.template)
        place = f"{parts.hostname}{parts.path.partition('{')[0]}".rstrip("/")
        digest = hashlib.sha256(self.template.encode()).hexdigest()
        return cache_folder() / "tiles" / f"{re.sub('[:/]+', '-', place)[:120]}-{digest[:8]}"

    @cached_property
    def wanted(self) -> list[Tile]:
        """List all tiles in the bounds, row by row from the north."""
        west, south, east, north = self.bounds
        count = 2**self.level
        top, bottom = (float(mercator_row(lat, self.level)) for lat in (north, south))
        left, right = ((lon + 180.0) / 360.0 * count for lon in (west, east))
        columns = range(math.floor(left), min(math.ceil(right), math.floor(left) + count))
        rows = range(max(math.floor(top), 0), min(math.ceil(bottom), count))
        return [(x % count, y) for y in rows for x in columns]

    def path_of(self, tile: Tile, suffix: str = "") -> Path:
        ending = Path(urlsplit(self.template).path).suffix.lower()
        suffix = suffix or (ending if ending in SUFFIXES else ".png")
        return self.folder / str(self.level) / str(tile[0]) / f"{tile[1]}{suffix}"

    def missing(self) -> list[Tile]:
        """List the tiles that are not in the cache and may exist."""
        return [
            tile
            for tile in self.wanted
            if not self.path_of(tile).exists() and not self.path_of(tile, ".absent").exists()
        ]

    def fetch(self, tiles: Sequence[Tile], progress: Progress = lambda done, total: None) -> None:
        """Fetch some tiles; MapError if that fails. Tiles already fetched are kept."""
        downloader = Downloader(kind=self.kind)
        hint = "check the address of the tiles, or log in to the network first"
        check = partial(_check_file, magics=MAGICS, what="a picture", hint=hint, read=read_tile)

        def fetch_one(tile: Tile) -> None:
            """Fetch one tile, or note that the service has none there."""
            x, y = tile
            place = {"z": self.level, "x": x, "y": y, "-y": 2**self.level - 1 - y}
            if downloader.save(self.template.format(**place), self.path_of(tile), check) is None:
                self.path_of(tile, ".absent").touch()

        downloader.save_all([partial(fetch_one, tile) for tile in tiles], progress)

    @cached_property
    def tile_px(self) -> int:
        """Side of the tiles in the cache, in pixels."""
        at_hand = (self.path_of(tile) for tile in self.wanted)
        path = next((path for path in at_hand if path.exists()), None)
        if path is None:
            raise MapError(
                f"{urlsplit(self.template).hostname} has no tile of that region: check the "
                "address, the zoom level and the region."
            )
        return read_tile(path, kind=self.kind).shape[-1]

    @property
    def grid(self) -> PixelGrid:
        """Square pixels of longitude and latitude over the bounds, as wide as the tiles'."""
        north = float(row_lat_deg(min(y for _, y in self.wanted), self.level))
        step = 360.0 / 2**self.level / self.tile_px
        whole = PixelGrid(west=-180.0, north=north, step_deg=step, cols=1, rows=1)
        west, south, east, top = self.bounds
        return whole.covering((west, max(south, -MAX_LAT_DEG), east, min(top, north)))

    @property
    def tags(self) -> dict[str, str]:
        """Tags of a reference that is made from the tiles."""
        host = urlsplit(self.template).hostname or "map tiles"
        limit = round(display_saturation() / KINDS["lights"].scale)
        shown = {"KIND": "display", "SATURATION_CODE": str(limit)} if self.kind == "lights" else {}
        product = product_of_name(self.template) or host
        day = date_of_name(self.template)
        credit = CREDITS.get(host, host)
        return {"PRODUCT": product, "DATE": day, "CREDIT": credit, "SOURCES": host, **shown}

    def read_block(self, block: PixelGrid) -> NDArray[Any]:
        """Codes of a block: means over the smaller rows of the tiles, at least half of them there.

        Mercator rows are no higher than those of the grid: nothing is skipped, nothing counted
        twice.
        """
        size, lat = self.tile_px, block.north - block.step_deg * np.arange(block.rows + 1)
        edges = mercator_row(lat, self.level) * size
        first, last = math.floor(edges[0]), max(math.ceil(edges[-1]), math.floor(edges[0]) + 1)
        left = round((block.west + 180.0) / block.step_deg)
        rows = []
        for y in range(first // size, (last - 1) // size + 1):
            columns = range(left // size, (left + block.cols - 1) // size + 1)
            paths = [self.path_of((x % 2**self.level, y)) for x in columns]
            absent = np.zeros((4, size, size), np.uint8)
            tiles = [read_tile(p, size, self.kind) if p.exists() else absent for p in paths]
            rows.append(np.concatenate(tiles, axis=-1)[..., left % size :][..., : block.cols])
        rgba = np.concatenate(rows, axis=-2)[:, first % size :][:, : last - first]
        valid = rgba[3] > 0
        if self.kind == "lights":
            values = display_table()[lights_only_luma(rgba[:3])]
        else:
            values = rgba[:3].astype(np.float32)
        edges = edges - first
        weight = _integrate_rows(valid.astype(np.float32), edges)
        half_valid = (weight >= 0.5 * np.diff(edges)[:, None]) & (weight > 0.0)
        total = _integrate_rows(np.where(valid, values, np.float32(0.0)), edges)
        mean = np.where(half_valid, total / np.maximum(weight, 1e-9), 0.0)
        return encode(self.kind, mean.astype(np.float32), half_valid)


def _integrate_rows(samples: NDArray[np.floating], edges: NDArray[Any]) -> NDArray[np.float64]:
    """Integrate samples over row intervals [edges[i], edges[i + 1]]."""
    rows, cols = samples.shape[-2:]
    below = np.zeros((*samples.shape[:-2], rows + 1, cols))
    np.cumsum(samples, axis=-2, out=below[..., 1:, :])
    whole = np.minimum(edges.astype(int), rows - 1)  # rounding may put the last edge beyond
    part = (edges - whole)[:, None]
    lower, upper = below[..., whole, :], below[..., whole + 1, :]
    return np.diff(lower + part * (upper - lower), axis=-2)


def read_tile(
    path: Path, tile_px: int | None = None, kind: KindName = "lights"
) -> NDArray[np.uint8]:
    """Read red, green, blue and opacity of a tile; MapError if its size is wrong."""
    try:
        with (
            warnings.catch_warnings(action="ignore"),
            Image.open(path, formats=PICTURE_FORMATS) as picture,
        ):
            sides = {*picture.size, tile_px or picture.width}
            if len(sides) > 1 or picture.width > MAX_TILE_PX:
                raise ValueError(picture.size)
            return np.moveaxis(np.asarray(picture.convert("RGBA")), -1, 0)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise MapError(
            f"{path} is not a complete square tile like the others: delete it and run `regengine "
            f"maps get --kind {kind}` again."
        ) from error


def mercator_row(lat_deg: ArrayLike, zoom: int) -> NDArray[np.float64]:
    lat = np.radians(np.clip(np.asarray(lat_deg, float), -MAX_LAT_DEG, MAX_LAT_DEG))
    return np.asarray((0.5 - np.arctanh(np.sin(lat)) / (2.0 * np.pi)) * 2.0**zoom)


def row_lat_deg(row: ArrayLike, zoom: int) -> NDArray[np.float64]:
    height = np.pi * (1.0 - 2.0 * np.asarray(row, float) / 2.0**zoom)
    return np.asarray(np.degrees(np.arctan(np.sinh(height))))


def _check_file(
    path: Path, magics: tuple[bytes, ...], what: str, hint: str, read: Callable[[Path], object]
) -> None:
    """Check by reading it that a file is complete and of the right type, or raise HttpFailure."""
    with path.open("rb") as file:
        start = file.read(512)
    if not start.startswith(magics):
        page = b"<html" in start.lower() or b"<!doctype" in start.lower()
        came = "a web page" if page else "another format"
        raise HttpFailure("wrong", f"with {came} instead of {what}: {hint}")
    try:
        read(path)
    except (MapError, OSError) as error:
        raise HttpFailure("broken", f"{what} arrived broken", passes=True) from error


def fetch_vnp46(
    bounds: Bounds, *, product: str, when: str, archive: str, progress: Progress
) -> Path:
    """Fetch the 10-degree tiles of a region into a folder of the cache; those there are kept.

    ``product`` is "VNP46A2" (daily), "VNP46A3" (monthly) or "VNP46A4" (annual); ``when`` is "2020",
    "2020-03" or "2020-03-14", as fine as the product is. ``archive`` is the address of the listing;
    ``progress`` is called with files done and in total. ConfigError if product or date make no
    sense, or there is no token; MapError if the archive cannot be reached, refuses, or has no
    such files.
    """
    check_known("product", (product,), PRODUCTS)
    try:
        day = date.fromisoformat(f"{when}-01-01"[:10])
        if day.isoformat()[: len(PRODUCTS[product])] != when:
            raise ValueError(when)
    except ValueError as error:
        raise ConfigError(
            f"{product} is published by {PRODUCTS[product]}: {when!r} is not a valid date of it."
        ) from error
    token = os.environ.get(TOKEN_VARIABLE, "").strip()
    if not token:
        raise ConfigError(
            f"{product} needs an Earthdata token: get one at urs.earthdata.nasa.gov and put it "
            f"into the environment variable {TOKEN_VARIABLE}."
        )
    west, south, east, north = bounds
    columns = range(math.floor((west + 180.0) / 10.0), math.ceil((east + 180.0) / 10.0))
    rows = range(math.floor((90.0 - north) / 10.0), math.ceil((90.0 - south) / 10.0))
    wanted = {(h % 36, v) for v in rows for h in columns}
    folder = cache_folder() / product / when
    url = f"{archive}/{product}/{day:%Y/%j}"
    hint = f"the token in {TOKEN_VARIABLE} may have expired"
    address = f"{url}?fields=all&formats=json"
    downloader = Downloader(connections=2, token=token)  # files of about 100 MB
    listed = downloader.read_list(address, "content", hint, may_be_missing=True)
    chosen: dict[tuple[int, int], str] = {}  # of several productions the latest
    for entry in sorted(listed, key=lambda item: str(item.get("name", ""))):
        # The name becomes a path: only what looks exactly like a tile's name is taken.
        match = re.fullmatch(FILE_NAME.format(product=product), str(entry.get("name", "")))
        link = urljoin(url, str(entry.get("downloadsLink", "")))
        # A listing may send us nowhere but to the host that was asked, or to NASA's own.
        same = urlsplit(link)[:2] == urlsplit(url)[:2] or may_have_token(link)
        tile = (int(match[1]), int(match[2])) if match else (-1, -1)
        if match and tile in wanted and link.endswith("/" + match[0]) and same:
            chosen[tile] = link
    if not chosen:
        raise MapError(
            f"{parse_host(url)} has no {product} of {when} for that place: choose another date."
        )

    import h5py

    check = partial(
        _check_file,
        magics=(HDF5_SIGNATURE,),
        what="an HDF5 file",
        hint=f"{hint} or the product's terms not be accepted yet at urs.earthdata.nasa.gov",
        read=lambda path: h5py.File(path, "r").close(),
    )

    def fetch_one(link: str) -> None:
        path = folder / link.rsplit("/", 1)[-1]
        if not path.exists() and downloader.save(link, path, check) is None:
            raise MapError(f"{path.name} is listed but missing: try again later.")

    downloader.save_all([partial(fetch_one, link) for link in chosen.values()], progress)
    return folder
