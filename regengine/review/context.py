"""What all parts of the review server share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from regengine.review.photo_pyramid import PhotoPyramids
from regengine.review.same_photo import SamePhotos

if TYPE_CHECKING:
    from regengine.lights.map import LightMap
    from regengine.pipeline import RunInputs
    from regengine.review.decisions import Decisions
    from regengine.review.frames import ReviewFrames
    from regengine.review.layers import OnlineLayer
    from regengine.tle import TleSet


@dataclass(frozen=True, kw_only=True)
class ReviewContext:
    """What a running review works on; the parts of the server take it and keep nothing else.

    Attributes
    ----------
    store : Path
        The store under review.
    frames : ReviewFrames
        Its frames: the queue, and single frames by their number.
    decisions : Decisions
        What people decided; SQLite beside the store.
    light_map : LightMap or None
        Night-light map; None where none was given.
    tles : TleSet or None
        Element sets; None where none were given.
    search_inputs : callable or None
        Makes what a search needs; None where there is no map.
    reviewer : str
        Name under which decisions are kept.
    readonly : bool
        Whether nothing may be decided.
    layers : tuple of OnlineLayer
        Online layers that the page may show.
    pyramids : PhotoPyramids
        Decoded photos.
    same_photos : SamePhotos
        Whether files are still the photos of the store.
    """

    store: Path
    frames: ReviewFrames
    decisions: Decisions
    light_map: LightMap | None
    tles: TleSet | None
    search_inputs: Callable[[], RunInputs] | None
    reviewer: str
    readonly: bool = False
    layers: tuple[OnlineLayer, ...] = ()
    pyramids: PhotoPyramids = field(default_factory=PhotoPyramids)
    same_photos: SamePhotos = field(default_factory=SamePhotos)

    @cached_property
    def inputs(self) -> RunInputs | None:
        """What a search needs, made when first asked: it loads the whole engine."""
        return None if self.search_inputs is None else self.search_inputs()
