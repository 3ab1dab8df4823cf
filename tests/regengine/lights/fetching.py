"""A circle of tiles and its download, for the tests of downloading."""

from __future__ import annotations

from pathlib import Path

from tile_server import TileServer

from regengine.lights.downloader import Downloader
from regengine.lights.fetch import Fetched, fetch_tiles
from regengine.lights.tiles import Circle, map_tiles_in_circle

LON, LAT, LEVEL = 136.9, 35.7, 8
CIRCLE = Circle(LON, LAT, 60.0)


def fetch(server: TileServer, folder: Path, downloader: Downloader, **more: object) -> Fetched:
    """Tiles around a place, from a server of the tests."""
    template = f"{server.url}/{{z}}/{{y}}/{{x}}.png"
    return fetch_tiles(
        CIRCLE,
        folder,
        template=template,
        level=LEVEL,
        downloader=downloader,
        **more,
    )  # type: ignore[arg-type]


def wanted_paths() -> list[str]:
    """What `fetch` asks the server for."""
    return [f"/{LEVEL}/{y}/{x}.png" for x, y in map_tiles_in_circle(CIRCLE, LEVEL)]


def leftovers(folder: Path) -> list[str]:
    """Hidden files that a download has left behind."""
    return [path.name for path in folder.rglob("*") if path.name.startswith(".")]
