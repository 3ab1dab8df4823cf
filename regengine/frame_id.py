"""What a frame is called: the archive's id where the file name holds one."""

from __future__ import annotations

import re
from pathlib import Path

# Matches ISS030-E-184140, iss030e184140_lrg, Osaka_ISS006-E-22876 and iss073e0206244: expedition,
# "E" for an electronic camera, number. The archive writes three digits for the expedition and the
# number without leading zeros.
_ARCHIVE_ID = re.compile(
    r"(?<![a-z0-9])iss[-_ ]?(\d{1,3})[-_ ]?e[-_ ]?(\d{1,7})(?!\d)", re.IGNORECASE
)


def archive_frame_id(text: str) -> str | None:
    """Archive id found in a text, in the archive's own spelling.

    Parameters
    ----------
    text : str
        A file name or a cell of a table.

    Returns
    -------
    str or None
        Such as ``"ISS030-E-184140"``; None where the text holds no archive id.
    """
    found = _ARCHIVE_ID.search(text)
    if found is None:
        return None
    return f"ISS{int(found[1]):03d}-E-{int(found[2])}"


def frame_id_of(path: Path) -> str:
    """Archive id of a photo by its file name, else the name without its extension.

    Parameters
    ----------
    path : Path
        The photo's file; only its name is looked at.

    Returns
    -------
    str
        ``"ISS073-E-206244"`` for ``iss073e0206244.jpg``, ``"espana"`` for ``espana.png``.
    """
    return archive_frame_id(path.stem) or path.stem
