"""What the page asks first: which store, who reviews, what can be filtered by."""

from __future__ import annotations

from dataclasses import asdict
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter

from regengine.io.html import visible_text
from regengine.review.context import ReviewContext

if TYPE_CHECKING:
    from regengine.lights.map import LightMap


def router(context: ReviewContext) -> APIRouter:
    """Routes of the session."""
    routes = APIRouter(prefix="/api")
    engine_version = version("regengine")  # reads a file

    @routes.get("/session")
    def session() -> dict[str, Any]:
        light_map = context.light_map
        return {
            "store": visible_text(context.store.name),
            "frames": len(context.frames.rows),
            "reviewer": context.reviewer,
            "readonly": context.readonly,
            "version": engine_version,
            "lights": light_map is not None,
            "lights_name": "" if light_map is None else _name(light_map),
            "layers": [asdict(layer) for layer in context.layers],
        }

    return routes


def _name(light_map: LightMap) -> str:
    """The product's, else the names of its files."""
    info = light_map.info
    return visible_text(info.product or ", ".join(path.name for path in info.paths))
