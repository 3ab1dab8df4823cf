"""What reads each kind of file, by the same ways as the commands take."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from regengine.errors import RegengineError

Reader = Callable[[Path], None]
INSIDES = re.compile(r"object at 0x|<class|Traceback|\bb'")  # of Python
LONG_SIDE_PX = 1500  # what `regengine detect` brings photos down to
WHEN = datetime(2012, 3, 28, 15, 46, 41, tzinfo=UTC)


class Unforeseen(Exception):
    """A command said that something unforeseen happened; the message is its sentence."""


def read_photo(path: Path) -> None:
    """Header, EXIF and hash; then the picture as it is measured, classified and drawn."""
    from regengine.photo.fits import is_fits, read_headers
    from regengine.photo.frame import read_frame
    from regengine.photo.image import read_display_rgb, read_linear_light
    from regengine.scene.picture import read_scene_picture

    if is_fits(path):
        try:
            read_headers(path)
        except RegengineError as error:
            checked_sentence(error, path)
    read_frame(path)
    read_linear_light(path, max_long_side_px=LONG_SIDE_PX)
    read_display_rgb(path, LONG_SIDE_PX)
    read_scene_picture(path)


def read_elements(path: Path) -> None:
    """Element sets, and where they put the camera, then and a week later."""
    from regengine.orbit.propagation import camera_position, drag_shift_km
    from regengine.orbit.tle import load_tle_file
    from regengine.sky.satellites.catalogue import load_catalogue

    tles = load_tle_file(path)
    for when in (WHEN, tles[0].epoch_utc, tles[0].epoch_utc + timedelta(days=7)):
        try:
            camera_position(tles, when)
            drag_shift_km(tles.best_for(when), when)
        except RegengineError as error:
            checked_sentence(error)
    load_catalogue(path)


def read_records(path: Path) -> None:
    """A table of frame records."""
    from regengine.photo.frame_records import load_frame_records

    load_frame_records(path)


def read_labels(path: Path) -> None:
    """Labels of scenes, lights and streaks, told apart by the name of the sound file."""
    from regengine.evaluate.detections import read_light_labels
    from regengine.evaluate.streak_labels import read_streak_labels, read_yolo_labels
    from regengine.scene.samples import read_scene_labels
    from regengine.sky.stars.photo import camera_of_record, read_solved

    if path.name == "scenes.csv":
        read_scene_labels(path)
    elif path.name == "lights.csv":
        read_light_labels(path)
    elif path.name == "streaks.csv":
        for photo in read_streak_labels(path):
            photo.candidates(96, 72)
    elif path.name == "boxes.txt":
        path.with_suffix(".png").touch()
        for photo in read_yolo_labels(path.parent):
            photo.candidates(96, 72)
    else:
        for record in read_solved(path).values():
            try:
                camera_of_record(record, 96, 72)
            except RegengineError as error:  # names the frame, not the file
                checked_sentence(error)


def read_lens(path: Path) -> None:
    """A lens profile, and its words."""
    from regengine.photo.lens_profile import profile_lines
    from regengine.photo.lens_profile_file import load_profile

    profile_lines(load_profile(path))


def read_settings_file(path: Path) -> None:
    """A settings file, as every command takes it."""
    run_command("--config", str(path), "config", "show")


def read_model(path: Path) -> None:
    """A model of scenes, with an answer of it; or a calibration."""
    import numpy as np

    from regengine.registration.calibration import read_calibration
    from regengine.scene.model_file import read_scene_model

    if path.name.startswith("calibration"):
        read_calibration(path)
        return
    model = read_scene_model(path)
    with np.errstate(all="ignore"):
        model.answer(np.zeros(len(model.feature_names)))


def read_result_store(path: Path) -> None:
    """A store with its frames, as `regengine show` lists them."""
    from regengine.records import record_line
    from regengine.store.snapshot import read_store

    for frame in read_store(path):
        record_line(frame.result)


def read_map(path: Path) -> None:
    """A night-light map, some of it at two resolutions."""
    from regengine.lights import open_light_map

    light_map = open_light_map([path])
    west, south, east, north = light_map.info.bounds
    region = (west, max(south, north - 0.5), min(east, west + 0.5), north)
    for factor in (1.0, 3.0):
        light_map.window(*region, max(light_map.info.resolution_deg, 1 / 960) * factor)


def read_tile_folder(path: Path) -> None:
    """The description of a folder of tiles."""
    from regengine.lights.tiles import read_description

    read_description(path.parent)


# The same photos through whole commands
COMMANDS: dict[str, tuple[str, ...]] = {
    "classify": ("classify", "--json", "--quality", "--features"),
    "lights": ("detect", "lights", "--json"),
    "stars": ("detect", "stars", "--json", "--whole-frame"),
    "streaks": ("detect", "streaks", "--json", "--whole-frame"),
    "solve": ("solve", "--json", "--max-seconds", "0.2"),
}


def run_command(*arguments: str) -> None:
    """Run a command in this process."""
    from typer.testing import CliRunner

    from regengine.commands import app

    result = CliRunner().invoke(app, list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    if result.exit_code == 0:
        return
    said = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    if not said or "unforeseen" in result.stderr:
        raise Unforeseen(result.stderr.strip()[-500:] or f"exit code {result.exit_code}")
    raise RegengineError(said[-1].removeprefix("Error: "))


def through_command(name: str) -> Reader:
    """A reader that runs a command on a photo."""
    return lambda path: run_command(*COMMANDS[name], str(path))


class UnclearSentence(Exception):
    """A refusal that is not one clear sentence; the message is what was said."""


def checked_sentence(error: Exception, path: Path | None = None) -> str:
    """A refusal's sentence."""
    text = str(error)
    clear = (
        text.isprintable()
        and len(text.replace(str(path), "")) <= 600
        and not INSIDES.search(text)
        and any(mark in text for mark in ("; ", ": "))
        and (path is None or path.name in text)
    )
    if not clear:
        raise UnclearSentence(repr(text))
    return text
