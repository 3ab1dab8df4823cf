"""Fetch Black Marble tiles (VNP46) around a place from NASA's LAADS archive."""

from __future__ import annotations

import json
import os
import re
from datetime import date
from functools import partial
from pathlib import Path
from urllib.parse import urljoin, urlsplit

from regengine.errors import ConfigError, LightMapError
from regengine.lights.circle import ten_degree_tiles_in_circle
from regengine.lights.fetch import Fetched, cache_folder, check_place
from regengine.lights.net import (
    TOKEN_VARIABLE,
    BrokenDownload,
    Downloader,
    Progress,
    WrongContent,
    may_have_token,
)

# Lists the files of a product and day; each entry has the link that honours the token.
LAADS = "https://ladsweb.modaps.eosdis.nasa.gov/api/v2/content/details/allData/5200"
PRODUCTS = ("VNP46A2", "VNP46A3", "VNP46A4")
FILE_NAME = r"{product}\.A\d{{7}}\.h(\d\d)v(\d\d)\.\d{{3}}\.\d+\.h5"
HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"


def fetch_vnp46(
    lon: float,
    lat: float,
    radius_km: float,
    folder: Path | None = None,
    *,
    product: str,
    when: str,
    downloader: Downloader,
    archive: str = LAADS,
    progress: Progress = lambda done, total: None,
) -> Fetched:
    """Fetch the 10-degree tiles that a circle touches; those already there are kept.

    Parameters
    ----------
    lon, lat : float
        Centre, degrees.
    radius_km : float
        Radius on the ground, kilometres.
    folder : Path, optional
        Where to put them; a folder in the cache if not given.
    product : str
        "VNP46A2" (daily), "VNP46A3" (monthly) or "VNP46A4" (annual).
    when : str
        "2020", "2020-03" or "2020-03-14", as fine as the product is.
    downloader : Downloader
        With the Earthdata token.
    archive : str, optional
        Address of the archive's listing.
    progress : callable, optional
        Called with files done and in total.

    Returns
    -------
    Fetched
        The folder, to be opened with `open_light_map`, and counts.

    Raises
    ------
    ConfigError
        Product, date or place make no sense, or there is no token.
    LightMapError
        The archive cannot be reached, refuses, or has no such files.
    """
    check_place(lon, lat, radius_km)
    day = day_of(product, when)
    if not downloader.token:
        raise ConfigError(
            f"{product} needs an Earthdata token: get one at urs.earthdata.nasa.gov and put it "
            f"into the environment variable {TOKEN_VARIABLE}."
        )
    folder = folder or cache_folder() / product / when
    wanted = set(ten_degree_tiles_in_circle(lon, lat, radius_km))
    links = _list_files(downloader, f"{archive}/{product}/{day:%Y/%j}", folder, product)
    chosen = {tile: link for tile, link in links.items() if tile in wanted}
    if not chosen:
        raise LightMapError(
            f"{urlsplit(archive).hostname} has no {product} of {when} for that place: choose "
            "another date."
        )
    missing = {
        link: folder / link.rsplit("/", 1)[-1]
        for link in chosen.values()
        if not (folder / link.rsplit("/", 1)[-1]).exists()
    }

    def fetch_one(link: str, path: Path) -> None:
        if not downloader.save(link, path, check_hdf5):
            raise LightMapError(f"{path.name} is listed but not there: try again later.")

    downloader.save_all([partial(fetch_one, *item) for item in missing.items()], progress)
    return Fetched(
        folder=folder,
        downloaded=len(missing),
        present=len(chosen) - len(missing),
        absent=len(wanted) - len(chosen),
    )


def day_of(product: str, when: str) -> date:
    """Day under which the archive files a product of a year, month or day.

    Raises
    ------
    ConfigError
        The product is unknown or the date not as fine as it.
    """
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


def check_hdf5(path: Path) -> None:
    """Make sure that a file is a whole HDF5 file.

    Raises
    ------
    BrokenDownload
        It is the beginning of one.
    WrongContent
        It is something else, such as a log-in page.
    """
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
        raise BrokenDownload("an HDF5 file arrived broken") from error


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
