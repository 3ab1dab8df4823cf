"""Stores made for exports, decisions of people beside them, and pystac with schemas at hand."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pystac
from numpy.typing import NDArray
from PIL import Image
from pystac.validation.stac_validator import JsonSchemaSTACValidator
from scipy.spatial.transform import Rotation

from matchers.geometry.camera import Camera
from matchers.geometry.earth import incidence_deg
from regengine.io.checksums import fingerprint
from regengine.store.result import Choice, FrameResult
from regengine.store.reviews import Decisions, decisions_path
from tests.world.program import Said, run
from tests.world.results import nadir_camera, nothing_found, proposal, solved
from tests.world.stores import write_store
from tests.world.towns import ecef as ecef_of
from tests.world.towns import geodetic

__all__ = [
    "above", "decide", "ecef_of", "engine_points", "export", "nadir_camera", "nothing_found",
    "of_photo", "photographed", "placed", "proposal", "seen_by", "seen_places",
    "settings_with", "turned", "valid_items", "work", "write_store",
]  # fmt: skip

SCHEMAS = Path(__file__).parent / "stac_schemas"
ALL = ("--verdict", "all")
LENS = (-0.08, 0.01, 0.001, -0.002, 0.0)


def turned(camera: Camera, bearing_deg: float) -> Camera:
    """The camera turned clockwise about the vertical below it."""
    lon, lat, _ = geodetic(camera.position_ecef_m)
    down = ecef_of(lon, lat, 0.0) - ecef_of(lon, lat, 1.0)
    turn = Rotation.from_rotvec(down * bearing_deg, degrees=True)
    quaternion = (turn * Rotation.from_quat(camera.quaternion)).as_quat()
    return replace(camera, quaternion=tuple(quaternion.tolist()))


def seen_places(
    camera: Camera,
    height_m: float = 0.0,
    limit_deg: float = 79.9,
    count: tuple[int, int] = (23, 19),
) -> tuple[NDArray[np.float64], ...]:
    """Pixels x, y of a lattice, and the places that they see at a height, lon, lat."""
    x, y = (
        a.ravel()
        for a in np.meshgrid(
            np.linspace(0.0, camera.width_px - 1.0, count[0]),
            np.linspace(0.0, camera.height_px - 1.0, count[1]),
        )
    )
    angle = incidence_deg(camera.position_ecef_m, camera.pixel_to_ecef(x, y, height_m))
    x, y = x[angle < limit_deg], y[angle < limit_deg]
    return x, y, *camera.pixel_to_lonlat(x, y, height_m)


def settings_with(lights: Path) -> tuple[str, str]:
    """Settings of a run with that map of lights, and their hash."""
    told = {"name": lights.name, "path": str(lights), "fingerprint": fingerprint(lights)}
    return json.dumps({"lights": [told]}), "0" * 64


def seen_by(result: FrameResult, camera: Camera) -> FrameResult:
    """The result with another camera; points and footprint stay."""
    return replace(result, solved=solved(camera, 0.0))


def above(name: str, lon: float, lat: float, tilt_deg: float = 0.0, **changed: Any) -> FrameResult:
    """The result of a camera above a place, its points where the camera has them."""
    camera = replace(nadir_camera(lon, lat, tilt_deg=tilt_deg), **changed)
    return placed(seen_by(proposal(name), camera))


def placed(result: FrameResult) -> FrameResult:
    """The result with its points where its camera has them, without those of the sky."""
    points = [
        replace(point, lon=float(there[0]), lat=float(there[1]))
        for point in result.control_points
        if np.isfinite(there := result.solved.camera.pixel_to_lonlat(point.x, point.y)).all()
    ]
    return replace(result, control_points=tuple(points))


def photographed(result: FrameResult, path: Path) -> FrameResult:
    """The same result for a photo that is there: colours that tell where a pixel is."""
    y, x = np.mgrid[: result.height_px, : result.width_px]
    picture = np.stack([x % 256, y % 256, (x // 256) * 16 + y // 256], axis=-1).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned; coordinates are of the picture as stored
    Image.fromarray(picture).save(path, quality=95, exif=exif)
    return of_photo(result, path)


def of_photo(result: FrameResult, path: Path) -> FrameResult:
    """The same result for the photo of a path."""
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return replace(result, path=str(path), sha256=sha256)


def export(store: Path, name: str, out: Path, *words: object, code: int = 0) -> Said:
    """``regengine export``, which is to end with this code."""
    said = run("export", store, "--format", name, "--out", out, *words)
    assert said.code == code, said.err
    return said


def work(camera: Camera | None, points: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What a person did: a camera, points, and words."""
    return {
        "camera": None if camera is None else json.loads(json.dumps(asdict(camera))),
        "points": list(points),
        "hypothesis": None,
        "comment": "=1+1",
        "tags": ["delta", "haze"],
        "quality": 4,
        "place": {"name": "Ōsaka", "country": "Japan", "lon": 1, "lat": 2, "population": 3},
    }


def engine_points(result: FrameResult) -> list[dict[str, Any]]:
    """The control points of a result, as the review page sends them."""
    return [
        {"x": p.x, "y": p.y, "lon": p.lon, "lat": p.lat, "sigma_px": p.sigma_px, "origin": "engine"}
        for p in result.control_points
    ]


def decide(
    store: Path, number: int, result: FrameResult, choice: Choice, done: dict[str, Any], who: str
) -> None:
    """Keep a person's decision beside a store."""
    decisions = Decisions(decisions_path(store))
    decisions.save(number, result, who, choice, done)
    decisions.close()


def valid_items(folder: Path) -> dict[str, pystac.Item]:
    """Items that the collection of a folder links to, by their ids; all of it is valid."""
    validator = JsonSchemaSTACValidator()  # which fetches what it has not
    for path in SCHEMAS.glob("*.json"):
        name, _, version = path.stem.rpartition("-")
        uri = f"https://stac-extensions.github.io/{name}/{version}/schema.json"
        validator.schema_cache[uri] = json.loads(path.read_text(encoding="utf-8"))
    found = pystac.Collection.from_file(folder / "collection.json")
    found.validate(validator=validator)
    items = list(found.get_items())
    for item in items:
        assert item.get_collection() is found
        assert item.get_root() is found
        item.validate(validator=validator)
    assert len({item.id for item in items}) == len(items)
    return {item.id: item for item in items}
