"""Searches made of parts, for the tests of single steps."""

from __future__ import annotations

import heapq
from dataclasses import replace
from pathlib import Path

import numpy as np

from matchers.camera import Camera
from matchers.photo_light import LightImage
from regengine.orbit.propagation import position_from_nadir
from regengine.photo.frame import Frame
from regengine.registration.candidates import Look
from regengine.registration.map_window import HasWindows
from regengine.registration.search import PhotoLights, RegisterParams, Search
from regengine.registration.search_order import plan
from regengine.registration.tracks import Track
from tests.matchers.lamp_world import LampWorld, log_picture
from tests.regengine.registration.recording_map import RecordingMap


def made_search(
    stored: Camera,
    light_map: HasWindows | None = None,
    lights: PhotoLights | LightImage | None = None,
    *,
    tracks: tuple[Track, ...] = (),
    may_be_cropped: bool = False,
    **given: object,
) -> Search:
    """A search at 410 km above the Gulf of Guinea for what is given."""
    frame = Frame(
        path=Path("made.png"),
        frame_id="made",
        sha256="0" * 64,
        width_px=stored.width_px,
        height_px=stored.height_px,
        may_be_cropped=may_be_cropped,
    )
    settings = {
        "frame": frame,
        "position": position_from_nadir(0.0, 0.0, 410.0, "option"),
        "parameters": RegisterParams(),
        "focal_known": True,
        **given,
    }
    search = Search(stored=stored, light_map=light_map or RecordingMap(), **settings)  # type: ignore[arg-type]
    search.tracks = tracks
    if isinstance(lights, LightImage):
        lights = PhotoLights(sharp=lights, hazy=lights, flat=lights)
    if lights is not None:
        search.lights = lights
    return search


def lights_of(camera: Camera, lamps: LampWorld) -> PhotoLights:
    """A photo of lamps without noise; its image for haze and its flat one are dark."""
    values = log_picture(camera, lamps)
    sharp = LightImage(values=values, weight=np.ones_like(values), factor=1.0)
    dark = replace(sharp, values=np.zeros_like(values))
    return PhotoLights(sharp=sharp, hazy=dark, flat=dark)


def begun_anew(search: Search, lights: LightImage | None = None, **found: object) -> Search:
    """The same search before anything was found, but for what is given."""
    new = Search(
        frame=search.frame,
        position=search.position,
        light_map=search.light_map,
        parameters=replace(search.parameters),
        stored=search.stored,
        focal_known=search.focal_known,
        **found,  # type: ignore[arg-type]
    )
    new.lights = search.lights
    if lights is not None:
        new.lights = PhotoLights(sharp=lights, hazy=lights, flat=lights)
    return new


def planned_looks(search: Search) -> list[Look]:
    """All looks by figures and pictures in the order in which a search takes them."""
    figures, pictures = plan(search, sparse=True), plan(search, sparse=False)
    return [look for _, look in heapq.merge(figures, pictures, key=lambda option: option[0])]
