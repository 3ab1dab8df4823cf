"""Stars of many photos, looked at together by camera: hot pixels stay where they are."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from detectors.star_sequence import marked_hot
from regengine.errors import FrameError
from regengine.exif import read_exif
from regengine.image_header import read_image_header
from regengine.photo_stars import PhotoStars

MOST_TOGETHER = 24  # so many photos are looked at before the first of them is told
Find = Callable[[Path], PhotoStars]
Camera = tuple[str | None, int, int]


class StarSequences:
    """Finds the stars of photos that are asked for one after the other.

    Photos of one camera body and size that follow each other are looked at together, at most
    `MOST_TOGETHER` at a time: what stays at its pixel in three of them while the stars move is
    flagged as hot (`detectors.star_sequence.fixed_to_the_sensor`).

    Parameters
    ----------
    paths : sequence of Path
        All photos, in the order in which they will be asked for.
    find : callable
        From a photo to its stars; raises `FrameError`.
    """

    def __init__(self, paths: Sequence[Path], find: Find) -> None:
        self._left = deque(paths)
        self._find = find
        self._found: dict[Path, PhotoStars | FrameError] = {}

    def stars_of(self, path: Path) -> PhotoStars:
        """The stars of the next photo.

        Raises
        ------
        FrameError
            If the file is no readable image.
        """
        if path not in self._found:
            self._look_ahead()
        found = self._found.pop(path)
        if isinstance(found, FrameError):
            raise found
        return found

    def _look_ahead(self) -> None:
        """Find the stars of the next photos of one camera."""
        camera: Camera | None = None
        together: list[PhotoStars] = []
        while self._left and len(together) < MOST_TOGETHER:
            path = self._left[0]
            try:
                own = _camera(path)
                if camera not in (None, own):
                    break
                together.append(self._find(path))
                camera = own
            except FrameError as error:
                self._found[path] = error
            self._left.popleft()
        marked = marked_hot([one.stars for one in together])
        for one, stars in zip(together, marked, strict=True):
            self._found[one.path] = replace(one, stars=stars)


def _camera(path: Path) -> Camera:
    """Body and size; FrameError where the file is no readable image."""
    header = read_image_header(path)
    return read_exif(path).camera_body, header.width_px, header.height_px
