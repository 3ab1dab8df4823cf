"""What is said of photos of NASA's archive of astronaut photography: whose they are, where."""

from __future__ import annotations

from dataclasses import dataclass

from regengine.frame_id import archive_frame_id

UNIT = "Earth Science and Remote Sensing Unit, NASA Johnson Space Center"
HOME = "https://eol.jsc.nasa.gov/"
GUIDELINES = "https://www.nasa.gov/nasa-brand-center/images-and-media/"
FIRST_MADE_UP = 900  # expedition: such ids are of simulated photos, as our samples


@dataclass(frozen=True, kw_only=True)
class ArchivePhoto:
    """A photo of the archive.

    Attributes
    ----------
    credit : str
        The line that the archive asks for.
    page : str
        Address of its page there.
    """

    credit: str
    page: str


def archive_photo(frame: str) -> ArchivePhoto | None:
    """What is said of a frame; None where its id is none of the archive's.

    Parameters
    ----------
    frame : str
        Frame id, such as ``ISS030-E-184140``.
    """
    if archive_frame_id(frame) != frame:
        return None
    mission, roll, number = frame.split("-")
    if int(mission.removeprefix("ISS")) >= FIRST_MADE_UP:
        return None
    return ArchivePhoto(
        credit=f"Image courtesy of the {UNIT}, {frame}",
        page=f"{HOME}SearchPhotos/photo.pl?mission={mission}&roll={roll}&frame={number}",
    )
