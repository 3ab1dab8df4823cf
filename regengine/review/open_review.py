"""From a store and options to a review."""

from __future__ import annotations

import getpass
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from regengine.errors import ConfigError
from regengine.review.context import ReviewContext
from regengine.review.decision_file import decisions_path
from regengine.review.decisions import Decisions
from regengine.review.frames import ReviewFrames
from regengine.review.layers import parse_layers

if TYPE_CHECKING:
    from regengine.lights.map import LightMap
    from regengine.pipeline import RunInputs
    from regengine.tle import TleSet

LONGEST_NAME = 80


@contextmanager
def open_review(
    store: Path,
    *,
    lights: Sequence[Path] = (),
    tle: Path | None = None,
    metadata: Path | None = None,
    reviewer: str | None = None,
    readonly: bool = False,
    layers: Sequence[str] = (),
) -> Iterator[ReviewContext]:
    """Open what a review works on.

    Parameters
    ----------
    store : Path
        The store.
    lights : sequence of Path, optional
        Night-light maps.
    tle, metadata : Path, optional
        For tracks and searches.
    reviewer : str, optional
        Who decides; without it, the user's name.
    readonly : bool, optional
        Whether nothing may be decided.
    layers : sequence of str, optional
        Online layers, see `regengine.review.layers.parse_layers`.

    Yields
    ------
    ReviewContext

    Raises
    ------
    StoreError, LightMapError, EphemerisError, ConfigError
        If one of them cannot be used.
    """
    name, allowed = reviewer_name(reviewer), parse_layers(layers)
    frames = ReviewFrames(store)
    try:
        light_map, tles = _maps_and_orbits(lights, tle, metadata)
        decisions = Decisions(decisions_path(store), readonly=readonly)
        try:
            yield ReviewContext(
                store=store,
                frames=frames,
                decisions=decisions,
                light_map=light_map,
                tles=tles,
                search_inputs=partial(_run_inputs, lights, tle, metadata) if lights else None,
                reviewer=name,
                readonly=readonly,
                layers=allowed,
            )
        finally:
            decisions.close()
    finally:
        frames.close()


def _maps_and_orbits(
    lights: Sequence[Path], tle: Path | None, metadata: Path | None
) -> tuple[LightMap | None, TleSet | None]:
    """What the page shows itself; all files are read, so that bad ones are told at once."""
    from regengine.opened import element_sets, frame_records

    if metadata is not None:
        frame_records(metadata.absolute())
    tles = None if tle is None else element_sets(tle.absolute())
    if not lights:
        return None, tles
    from regengine.lights.map import open_light_map

    return open_light_map([path.absolute() for path in lights]), tles


def _run_inputs(lights: Sequence[Path], tle: Path | None, metadata: Path | None) -> RunInputs:
    from regengine.pipeline import RunInputs

    return RunInputs(lights=tuple(lights), tle=tle, metadata=metadata).found_anywhere()


def reviewer_name(given: str | None) -> str:
    """Under which name decisions are kept.

    Parameters
    ----------
    given : str or None
        As it was given; None takes the user's name on this machine.

    Returns
    -------
    str

    Raises
    ------
    ConfigError
        If there is none, or it is no name.
    """
    name = given
    if name is None:
        try:
            name = getpass.getuser()
        except (OSError, KeyError):  # a user without an entry, as in containers
            name = ""
    name = name.strip()
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise ConfigError(
            f"--reviewer: name the person who decides, in at most {LONGEST_NAME} letters."
        )
    return name
