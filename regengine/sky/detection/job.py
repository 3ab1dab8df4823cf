"""What ``regengine detect`` does with each photo, and what it says of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from regengine.batch.each_photo import Answer
from regengine.batch.plan import Failure
from regengine.sky.detection import (
    lights as photo_lights,
)
from regengine.sky.detection import (
    stars as photo_stars,
)
from regengine.sky.detection import (
    streaks as photo_streaks,
)
from regengine.sky.detection.detect import PhotoDetections, csv_rows, csv_text, json_line
from regengine.sky.detection.overlay import PicturePaths
from regengine.sky.detection.stars import with_hot_pixels


class Sought(StrEnum):
    """What is sought."""

    LIGHTS = "lights"
    STARS = "stars"
    STREAKS = "streaks"


CSV_COLUMNS = {
    Sought.LIGHTS: photo_lights.CSV_COLUMNS,
    Sought.STARS: photo_stars.CSV_COLUMNS,
    Sought.STREAKS: photo_streaks.CSV_COLUMNS,
}


@dataclass(frozen=True, kw_only=True)
class DetectJob:
    """What to do with each photo; call it with a path.

    Attributes
    ----------
    sought : Sought
    detector : LightDetector, StarDetector or StreakDetector
        A method that finds it.
    max_long_side_px : int
        Larger photos are averaged down to this.
    sky_only : bool
        Leave out what lies below the Earth's limb; lights are sought everywhere.
    pictures : PicturePaths or None
        Overlays to draw.
    """

    sought: Sought
    detector: Any
    max_long_side_px: int
    sky_only: bool = True
    pictures: PicturePaths | None = None

    def __call__(self, path: Path) -> PhotoDetections[Any]:
        """Find, and draw the overlay if one is wanted.

        Raises
        ------
        FrameError
            If the photo cannot be read, or the overlay not be written.
        """
        found = self._find(path)
        if self.pictures is not None:
            self._draw(found, self.pictures.of(path))
        return found

    def _find(self, path: Path) -> PhotoDetections[Any]:
        side = self.max_long_side_px
        if self.sought == Sought.LIGHTS:
            return photo_lights.detect_lights(path, self.detector, max_long_side_px=side)
        if self.sought == Sought.STARS:
            return photo_stars.detect_photo_stars(
                path, self.detector, max_long_side_px=side, sky_only=self.sky_only
            )
        return photo_streaks.detect_photo_streaks(
            path, self.detector, max_long_side_px=side, sky_only=self.sky_only
        )

    def _draw(self, found: PhotoDetections[Any], target: Path) -> None:
        from regengine.sky.detection.overlay import draw_lights, draw_stars, draw_streaks

        if self.sought == Sought.LIGHTS:
            draw_lights(found.path, found.found, target)
        elif self.sought == Sought.STARS:
            draw_stars(found.path, found.found, target)
        else:
            draw_streaks(found.path, found.found, target)


@dataclass(frozen=True)
class DetectAnswers:
    """The answers of a job; call it with a path."""

    job: DetectJob
    profiles: bool = False

    def __call__(self, path: Path) -> Answer:
        """The photo's record and rows."""
        return answer_of(self.job.sought, self.job(path), profiles=self.profiles)


def answer_of(sought: Sought, photo: PhotoDetections[Any], *, profiles: bool = False) -> Answer:
    """The record and the rows of one photo."""
    values: dict[str, Any] = {}
    if sought == Sought.LIGHTS:
        records = photo_lights.light_records(photo.found)
    elif sought == Sought.STARS:
        records = photo_stars.star_records(photo.found)
        values = {"trail_px": photo_stars.trail_record(photo.found)}
    else:
        records = photo_streaks.streak_records(photo.found, profiles=profiles)
    line = json_line(photo, **{str(sought): records}, **values)
    return Answer(line=line, text=csv_text(csv_rows(photo, records, CSV_COLUMNS[sought])))


def answers_of_sequence(
    found: Sequence[PhotoDetections[Any] | Failure],
) -> list[Answer | Failure]:
    """The answers for photos of one camera that follow each other, hot pixels flagged."""
    return [
        one if isinstance(one, Failure) else answer_of(Sought.STARS, one)
        for one in with_hot_pixels(found)
    ]
