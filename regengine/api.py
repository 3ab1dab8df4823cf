"""The Python interface: photos in, results out; commands call these functions.

Options have the names and meanings of the commands' (``--max-seconds`` is ``max_seconds``). Errors
are those of `regengine.errors`. Unknown values are None, with a reason in the result.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from datetime import datetime
from functools import partial
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args

from regengine.errors import ConfigError, Option, check_known
from regengine.frames.outcomes import Detections, Registration, StarField, Store
from regengine.options import (
    AnyPath,
    ClassifyOptions,
    DetectOptions,
    KindOptions,
    Options,
    Paths,
    RegisterOptions,
    RunOptions,
    SolveOptions,
    Time,
    takes,
)

if TYPE_CHECKING:
    from regengine.io.urls import Url
    from regengine.maps.reference import RasterMap
    from regengine.photo.frame import FrameOptions
    from regengine.runs.register import RegisterRun
    from regengine.runs.run_inputs import RunInputs
    from regengine.scene.classify import ClassifyInputs
    from regengine.scene.detection import PhotoDetections
    from regengine.scene.result import Scene
    from regengine.sky.stars.photo import SolveJob


SCHEMES = ("tcp://", "tls://", "ucx://", "ws://", "wss://")  # of a Dask scheduler's address


def run_inputs(photos: Sequence[Path | Url], options: RegisterOptions) -> RunInputs:
    """Return the checked options of photos, with map, element sets and records read.

    Raises ConfigError, EphemerisError or MapError if an option is invalid, or a file cannot be
    used.
    """
    from regengine.io.atomic import check_folder
    from regengine.maps.at_hand import choose_element_sets, choose_maps
    from regengine.maps.index.earth import BlindOptions, Mode
    from regengine.orbit.position import ANY_KM, find_records, mission_heights_km
    from regengine.registration.parameters import EFFORTS, WORK_BUDGETS, RegisterParams
    from regengine.runs.run_inputs import RunInputs

    check_known("effort", (options.effort,), EFFORTS)
    check_known("fetch", (options.fetch or "maps",), ("maps",))
    check_known("blind", (options.blind,), get_args(Mode))
    mission, overlays = options.mission, _path(options.overlay)
    if options.blind == "never" and mission is not None:
        raise ConfigError(Option("mission"), " needs ", Option("blind"), " always or auto.")
    params = options.params or RegisterParams(work_budget=WORK_BUDGETS[options.effort])  # type: ignore[index]
    inputs = RunInputs(
        lights=choose_maps("lights", _paths(options.lights)),
        streets=choose_maps("streets", _paths(options.streets)),
        day=choose_maps("day", _paths(options.day)),
        tle=choose_element_sets(_path(options.tle)),
        metadata=_path(options.metadata),
        alike=find_records(_path(options.metadata), photos),
        frame=_frame_options(options),
        register=replace(
            params,
            clock_window_s=options.clock_window,
            max_seconds=options.max_seconds,
            any_category=options.any_category,
        ),
        overlays=overlays,
        overlay_names_hashed=len({path.stem for path in photos}) < len(photos),
        neighbours=options.neighbours,
        stars=options.stars,
        blind=BlindOptions(
            mode=cast(Mode, options.blind),
            index=_path(options.index),
            altitude_km=ANY_KM if mission is None else mission_heights_km(mission),
        ),
    )
    if overlays is not None:
        check_folder(overlays)
    light_map, _, _ = inputs.open()
    for doubt in light_map.doubts:
        logging.getLogger("regengine").warning("%s", doubt)
    return inputs


def _frame_options(options: Options) -> FrameOptions:
    """What options say of each photo; those that their class does not have are unknown."""
    from regengine.maps.places import parse_lon_lat, require_town
    from regengine.photo.frame import FrameOptions
    from regengine.photo.lens_profile import load_profiles

    given = vars(options)
    known: dict[str, Any] = {one.name: given.get(one.name) for one in fields(FrameOptions)}
    if known["place"] is not None:
        require_town(known["place"])
    for name in ("nadir", "centre"):
        if known[name] is not None:
            known[name] = parse_lon_lat(known[name], name)
    time = given.get("time")
    known["time_utc"] = None if time is None else utc_time(time)
    known["lenses"] = load_profiles(_paths(given.get("lens")))
    return FrameOptions(**known)


def utc_time(time: Time) -> datetime:
    """Convert a time to UTC; without a time zone it is UTC."""
    from regengine.io.times import parse_iso_time

    moment = parse_iso_time(time if isinstance(time, str) else time.isoformat())
    if moment is None:
        raise ConfigError(
            Option("time", repr(time)), " is not a valid time: write it like 2012-03-28T15:46:41Z."
        )
    return moment


def _path(path: AnyPath | None) -> Path | None:
    return None if path is None else Path(path)


def _paths(paths: Paths | None) -> list[Path]:
    return [Path(path) for path in _texts(paths)]


def _texts(paths: Paths | None) -> list[str]:
    given = [paths] if isinstance(paths, str | PathLike) else paths or ()
    return [fspath(path) for path in given]


# Registration


@takes(RegisterOptions)
def register(photo: AnyPath, options: RegisterOptions) -> Registration:
    """Place one photo on the map: by city lights, streets, or ground by day.

    Parameters
    ----------
    photo : path
        JPEG, PNG, TIFF, FITS or raw file; or the id of a photo in the archive of astronaut photos,
        ``"ISS030-E-188140"``, which is downloaded with its record and kept.
    lights : path or sequence of paths, optional
        Night-light map; by default, those of the data folder, then the package's.
    streets : path or sequence of paths, optional
        Street maps, for telephoto frames; by default, those of the data folder.
    day : path or sequence of paths, optional
        Daytime images of the Earth, for daytime photos; by default, those of the data folder, then
        the package's.
    tle : path, optional
        Element sets around the photo's date, a file or a folder of files; by default, those of the
        data folder and the package.
    time, nadir : optional
        A datetime or ISO 8601 text, UTC without a time zone; (lon, lat) in degrees, or text such as
        ``"136.9,35.7"``. Both have priority over the values of the photo and ``tle``.
    centre, radius_km : optional
        A place, in the form of ``nadir``, that some part of the picture shows within this radius
        (default 100 km), if that is what is known.
    place : str, optional
        Instead of ``centre``, the name of a town, ``"Portland, Oregon"``; several are all tried.
    params : RegisterParams, optional
        All tunable parameters of the search (`regengine.registration.parameters`); their work
        budget replaces that of ``effort``.

    Returns
    -------
    Registration

    Raises
    ------
    FrameError
        If the photo cannot be read.
    ConfigError, EphemerisError, MapError
        If an option is invalid, or a file cannot be used.

    Examples
    --------
    >>> r = register("photo.jpg")
    >>> r.verdict, r.probability
    >>> r.camera.pixel_to_lonlat([0, 639], [0, 425])
    """
    from regengine.io.urls import Url, is_url
    from regengine.runs.pipeline import process_photo
    from regengine.runs.remote import add_needed_maps, fetch_photo_path

    if is_url(fspath(photo)):
        url = Url(fspath(photo))
        raise ConfigError(f"{url} is a URL: register needs a file; register_many downloads URLs.")
    inputs = run_inputs((Path(photo),), options)
    path = fetch_photo_path(fspath(photo))
    if options.fetch:
        inputs = add_needed_maps([path], inputs)
    result = process_photo(path, inputs)
    return Registration(result, inputs.lights, inputs.streets, inputs.day)


@takes(RunOptions)
def register_many(photos: Paths, options: RunOptions) -> Store:
    """Register photos into a store; the same call resumes an interrupted run.

    Parameters
    ----------
    photos : path or sequence of paths
        Files, folders, patterns, URLs, ids of archive photos, or ``@LIST``.
    store : path
        Store for the results; they are added to an existing one.
    workers : int
        Worker processes; 0 works in this process. With workers, a script needs the usual
        ``if __name__ == "__main__":``.
    retry : collection of str
        Verdicts in the store that are processed again.
    progress : bool
        Show a progress bar on standard error, or log the progress periodically.

    Returns
    -------
    Store
        Includes failed photos, with the reason.

    Raises
    ------
    NoPhotoError
        If there is no such photo.
    StoreError
        If the store cannot be used.
    ConfigError, EphemerisError, MapError, WorkerError, ClusterError
        If an option is invalid, or a file, the workers or the cluster cannot be used.
    KeyboardInterrupt
        After an interrupt, once the finished results are stored.
    """
    from regengine.io import console
    from regengine.store.writer import StoreWriter

    run = register_run(_texts(photos), options)
    with (
        StoreWriter(run.store) as writer,
        console.show_progress(len(run.photos), quiet=not options.progress) as advance,
    ):
        summary = replace(run, advance=advance).start(writer, lambda result: None)
    if summary.interrupted:
        raise KeyboardInterrupt
    return Store(run.store, run.inputs.lights)


def register_run(photos: Sequence[str], options: RunOptions) -> RegisterRun:
    """Return a run that is ready to start; see `register_many`."""
    from regengine.io.console import VERDICTS
    from regengine.io.urls import hide_secrets
    from regengine.runs.register import RegisterRun, collect_settings
    from regengine.runs.remote import find_given, select_share

    given = (options.lights, options.day, options.overlay)
    named = find_given(photos, exclude=[path for paths in given for path in _paths(paths)])
    share = named if options.shard is None else select_share(named, options.shard)
    inputs, address = run_inputs(named, options), options.scheduler
    check_known("retry", options.retry, VERDICTS)
    if address is not None and not address.startswith(SCHEMES):
        raise ConfigError(
            Option("scheduler", repr(hide_secrets(address))),
            " is not a valid address: write it like tcp://node1:8786, as dask scheduler prints it.",
        )
    return RegisterRun(
        photos=share,
        inputs=inputs,
        settings=collect_settings(inputs),
        store=Path(options.store),
        fetches_maps=options.fetch is not None,
        scheduler=address,
        resume=options.resume,
        retry=frozenset(options.retry),
        workers=options.workers if len(share) > 1 else 0,
        limit_s=60.0 + 5.0 * options.max_seconds,
        memory_mb=options.max_memory_mb,
        # A time that the user gave for all photos does not determine their clock errors
        neighbours=bool(options.neighbours and inputs.tle and inputs.frame.time_utc is None),
    )


def open_store(path: AnyPath, *, lights: Paths = ()) -> Store:
    """Open the store of a run, which may still be running.

    Parameters
    ----------
    path : path
        ``run.h5``.
    lights : path or sequence of paths, optional
        Night-light maps for the overlays of its photos.

    Raises
    ------
    StoreError
        If it cannot be read.
    """
    return Store(path, tuple(_paths(lights)))


# Scenes, detections, star fields, maps


def classify_inputs(photos: Sequence[Path], options: ClassifyOptions) -> ClassifyInputs:
    """Return the common inputs of photos to classify, checked and read."""
    from regengine.maps.at_hand import choose_element_sets
    from regengine.orbit.position import element_sets, find_records
    from regengine.scene.classify import ClassifyInputs
    from regengine.scene.models import load_scene_model

    count_stars = None
    if options.solve:  # about a second each, with the detection
        sky = solve_job([], SolveOptions(max_seconds=0.4))
        count_stars = replace(sky, max_long_side_px=700).count_stars
    inputs = ClassifyInputs(
        model=_path(options.model),
        tle=choose_element_sets(_path(options.tle)),
        metadata=_path(options.metadata),
        alike=find_records(_path(options.metadata), photos),
        frame=_frame_options(options),
        features=options.features,
        quality=options.quality,
        thumbnails=options.thumbnails,
        count_stars=count_stars,
    )
    # Errors are raised before the first photo
    load_scene_model(inputs.model)
    element_sets(inputs.tle)
    return inputs


@takes(ClassifyOptions)
def classify(photo: AnyPath, options: ClassifyOptions) -> Scene:
    """Classify what a photo shows: ``category``, ``probabilities``, and the rest of `Scene`.

    Raises
    ------
    FrameError
        If the photo cannot be read.
    ConfigError, EphemerisError
        If an option is invalid, or a file cannot be used.
    """
    from regengine.scene.classify import classify_photo

    return classify_photo(Path(photo), classify_inputs((Path(photo),), options))


@takes(KindOptions)
def detect(photo: AnyPath, options: KindOptions) -> Detections:
    """Find the lights, lightning, stars or streaks of a photo.

    Parameters
    ----------
    photo : path
    kind : str
        ``lights``, ``lightning``, ``stars`` or ``streaks``.

    Raises
    ------
    FrameError
        If the photo cannot be read.
    ConfigError
        If there is no such kind or method.
    """
    return Detections(detect_job(options.kind, options)(Path(photo)), options.kind)


def detect_job(kind: str, options: DetectOptions) -> Callable[[Path], PhotoDetections[Any]]:
    """Return the function with which `detect` processes the path of a photo."""
    from regengine.scene.detection import SOUGHT

    if kind not in SOUGHT:
        raise ConfigError(f"{kind!r} cannot be detected: choose one of {', '.join(SOUGHT)}.")
    return partial(
        SOUGHT[kind].in_photo,
        detector=SOUGHT[kind].detector(options.method),
        max_long_side_px=options.max_side_px,
        sky_only=not options.whole_frame,
    )


def solve_job(photos: Sequence[Path], options: SolveOptions) -> SolveJob:
    """Return the function with which `solve` processes each of these photos; picklable."""
    from regengine.scene.detection import STARS
    from regengine.scene.drawing import picture_paths
    from regengine.sky.stars import solve as solver
    from regengine.sky.stars.photo import SolveJob, load_sky

    wcs, overlay = _path(options.wcs), _path(options.overlay)
    job = SolveJob(
        detector=STARS.detector(options.method),
        frame_options=_frame_options(options),
        options=solver.SolveParams(max_seconds=options.max_seconds),
        fov_deg=options.fov_deg,
        headers=None if wcs is None else picture_paths(photos, wcs, "wcs", ending=".fits"),
        overlays=None if overlay is None else picture_paths(photos, overlay, "solved"),
    )
    load_sky()
    return job


@takes(SolveOptions)
def solve(photo: AnyPath, options: SolveOptions) -> StarField:
    """Identify the stars of a photo; the lens need not be known.

    Raises
    ------
    FrameError
        If the photo cannot be read.
    ConfigError, EphemerisError
        If an option is invalid, or a file cannot be used.
    """
    return StarField(solve_job([Path(photo)], options)(Path(photo)))


def open_light_map(maps: Paths) -> RasterMap:
    """Open night-light maps as one; its ``window(west, south, east, north, …)`` returns a part.

    Parameters
    ----------
    maps : path or sequence of paths
        Files, or folders of files.

    Raises
    ------
    MapError
        If a map cannot be used.
    """
    from regengine.maps import opening

    return opening.open_light_map(_paths(maps))
