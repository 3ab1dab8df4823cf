"""Stores made for exports, decisions of people beside them, and pystac with schemas at hand."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pystac
from PIL import Image
from pystac.validation.stac_validator import JsonSchemaSTACValidator

from matchers.geometry.camera import Camera
from regengine.io.checksums import fingerprint
from regengine.result import Choice, FrameResult
from regengine.store.reviews import Decisions, decisions_path, describe_judged_state
from tests.example_results import nadir_camera, nothing_found, proposal, solved
from tests.world.program import Said, run
from tests.world.stores import write_store

__all__ = [
    "decide", "engine_points", "export", "nadir_camera", "nothing_found", "of_photo",
    "offline_validator", "photographed", "proposal", "seen_by", "valid_items", "work",
    "write_store",
]  # fmt: skip

SCHEMAS = Path(__file__).parent / "stac_schemas"


def settings_with(lights: Path) -> tuple[str, str]:
    """Settings of a run with that map of lights, and their hash."""
    told = {"name": lights.name, "path": str(lights), "fingerprint": fingerprint(lights)}
    return json.dumps({"lights": [told]}), "0" * 64


def seen_by(result: FrameResult, camera: Camera) -> FrameResult:
    """The result with another camera; points and footprint stay."""
    return replace(result, solved=solved(camera, 0.0))


def photographed(result: FrameResult, path: Path) -> FrameResult:
    """The same result for a photo that is there: colours that tell where a pixel is."""
    assert result.width_px is not None
    assert result.height_px is not None
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


def work(camera: Camera | None, points: list[dict[str, Any]]) -> dict[str, Any]:
    """What a person did: a camera, points, and words."""
    return {
        "camera": None if camera is None else json.loads(json.dumps(asdict(camera))),
        "points": points,
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
    decisions.save(describe_judged_state(number, result), who, choice, done)
    decisions.close()


def offline_validator() -> JsonSchemaSTACValidator:
    """pystac's validator, which fetches what it has not."""
    validator = JsonSchemaSTACValidator()
    for path in SCHEMAS.glob("*.json"):
        name, _, version = path.stem.rpartition("-")
        uri = f"https://stac-extensions.github.io/{name}/{version}/schema.json"
        validator.schema_cache[uri] = json.loads(path.read_text(encoding="utf-8"))
    return validator


def valid_items(folder: Path) -> dict[str, pystac.Item]:
    """Items that the collection of a folder links to, by their ids; all of it is valid."""
    validator = offline_validator()
    found = pystac.Collection.from_file(folder / "collection.json")
    found.validate(validator=validator)
    items = list(found.get_items())
    for item in items:
        assert item.get_collection() is found
        assert item.get_root() is found
        item.validate(validator=validator)
    assert len({item.id for item in items}) == len(items)
    return {item.id: item for item in items}
