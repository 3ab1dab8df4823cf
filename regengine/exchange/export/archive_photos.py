"""Links and credits for photos of NASA's archive of astronaut photography."""

from __future__ import annotations

from regengine.photo.frame_ids import archive_frame_id

UNIT = "Earth Science and Remote Sensing Unit, NASA Johnson Space Center"
HOME = "https://eol.jsc.nasa.gov/"
GUIDELINES = "https://www.nasa.gov/nasa-brand-center/images-and-media/"
# As required by NASA's Gateway to Astronaut Photography of Earth
COURTESY = f"Image courtesy of the {UNIT}"
FIRST_MADE_UP = 900  # expedition number: such ids are of simulated photos, as in our samples


def archive_page(frame: str) -> str | None:
    """URL of a photo's page; None if its id is not one of the archive's."""
    if archive_frame_id(frame) != frame:
        return None
    mission, roll, number = frame.split("-")
    return f"{HOME}SearchPhotos/photo.pl?mission={mission}&roll={roll}&frame={number}"
