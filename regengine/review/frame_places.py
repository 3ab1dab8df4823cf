"""The town that each frame of the queue shows, worked out beside everything else."""

from __future__ import annotations

import logging
from threading import Lock, Timer

import numpy as np
from numpy.typing import NDArray

from regengine.io.html import visible_text
from regengine.review.frame_columns import FrameColumns

# So long nothing else is done than what the first picture needs
FIRST_PICTURE_S = 2.0
NO_ROWS = np.zeros(0, dtype=np.int64)


class FramePlaces:
    """Towns by row; the list of the world's towns takes a second to read, so none waits for it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._rows: FrameColumns | None = None
        self._numbers: NDArray[np.int64] = NO_ROWS
        self._names: dict[int, str] = {-1: ""}
        self._wanted: FrameColumns | None = None

    def ready(self, rows: FrameColumns) -> bool:
        """Whether the towns of these frames are known; if not, they soon will be."""
        with self._lock:
            if self._rows is rows:
                return True
            if self._wanted is not rows:
                self._wanted = rows
                timer = Timer(FIRST_PICTURE_S, self._work_out, (rows,))
                timer.daemon = True
                timer.start()
            return False

    def name(self, rows: FrameColumns, row: int) -> str | None:
        """Town and country that a frame shows; None where there is none, or not yet."""
        if not self.ready(rows):
            return None
        return self._names[int(self._numbers[row])] or None

    def near(self, lon_deg: float, lat_deg: float) -> str | None:
        """Town and country at a place; None where there is none, or the towns are not read yet."""
        with self._lock:
            if self._rows is None:
                return None
        from regengine.places import place_index

        place = place_index().nearest(lon_deg, lat_deg)
        return None if place is None else visible_text(f"{place.name}, {place.country}")

    def hold(self, rows: FrameColumns, sought: str) -> NDArray[np.bool_]:
        """Which frames show a town of such a name or country, in small letters."""
        if not self.ready(rows):
            return np.zeros(len(rows), bool)
        found = [number for number, name in self._names.items() if sought in name.casefold()]
        return np.isin(self._numbers, found)

    def _work_out(self, rows: FrameColumns) -> None:
        try:
            from regengine.places import place_index

            index = place_index()
            numbers = index.nearest_of(rows.shown_lon, rows.shown_lat)
            names = {-1: ""}
            for number in np.unique(numbers[numbers >= 0]).tolist():
                place = index.place(number)
                names[number] = (
                    "" if place is None else visible_text(f"{place.name}, {place.country}")
                )
        except Exception as error:  # names are a help, not the matter
            logging.getLogger("regengine").warning("frames go without their towns: %s", error)
            numbers, names = np.full(len(rows), -1), {-1: ""}
        # What the first search and the first other order would wait for
        _ = rows.searched, rows.by_time_known, rows.by_name
        with self._lock:
            self._rows, self._numbers, self._names = rows, numbers, names
