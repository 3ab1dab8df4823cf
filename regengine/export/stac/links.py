"""Addresses of an item's files: relative where they can be, so that folders can be moved."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from regengine.page.links import link_to
from regengine.remote.urls import SCHEMES, is_url, without_secrets

_OF_A_URL = ":/?#[]@!$&'()*+,;=%~"  # RFC 3986: what may stand in an address as it is


def photo_href(path: str, found: Path | None, store: Path, folder: Path) -> str:
    """Address of a photo as seen from a folder.

    Parameters
    ----------
    path : str
        Of the photo, as the store has it: a path, or an address.
    found : Path or None
        Its file, if it is there.
    store : Path
        The store: in its folder a photo that is gone may have been.
    folder : Path
        Where the item lies.

    Returns
    -------
    str
        Percent-encoded. No scheme but those that photos are read by begins it.
    """
    if is_url(path) and path.partition(":")[0].lower() in SCHEMES:
        return quote(without_secrets(path).encode("utf-8", "replace"), safe=_OF_A_URL)
    return href(found or store.absolute().parent / path, folder)


def href(path: Path, folder: Path) -> str:
    """Address of a file as seen from a folder."""
    text = link_to(path, folder)
    return text if text.startswith(("../", "file:")) else f"./{text}"
