"""The first picture is made while the browser starts and the rest of the server is loaded."""

from __future__ import annotations

import logging
from threading import Thread

from regengine.review.context import ReviewContext
from regengine.review.photo_of_frame import PhotoFile, photo_of_frame
from regengine.review.standings import Standings

PREVIEW_PX = 2048  # as the page asks for


def prepare_first_picture(context: ReviewContext) -> Thread:
    """Decode the photo that the page will show first, in a thread that was started.

    Parameters
    ----------
    context : ReviewContext
        The review.
    """
    thread = Thread(target=_prepare, args=(context,), name="first picture", daemon=True)
    thread.start()
    return thread


def _prepare(context: ReviewContext) -> None:
    rows = context.frames.rows
    standings = Standings(context.decisions, context.reviewer)
    try:
        standings.update(rows)
        open_rows = rows.by_doubt[~standings.decided[rows.by_doubt]]
        if len(open_rows):
            photo = photo_of_frame(context, int(rows.frame_index[open_rows[0]]))
            if isinstance(photo, PhotoFile):
                context.pyramids.preview(photo.path, PREVIEW_PX)
    except Exception as error:  # the page asks for the same, and is told what is wrong
        logging.getLogger("regengine").debug("no first picture yet: %s", error)
