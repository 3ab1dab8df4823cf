"""Render HTML pages from one template with head, styles, lightbox and content security policy."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
import re
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from regengine.io.atomic import write_whole
from regengine.io.plain import plain, restore_bytes

THUMBNAIL_PX = 240  # twice the displayed height, for dense screens: some 8 kB each
THUMBNAIL_QUALITY = 78
_OF_A_URL = ":/?#[]@!$&'()*+,;=%~"  # RFC 3986: characters that may stand unescaped in a URL
# Control characters, line and paragraph separators, characters that change the writing direction (a
# name could show its end first), and single surrogates, which no encoding can represent
_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


def escape_invisible(text: str) -> str:
    r"""Escape invisible characters of untrusted text as ``\uXXXX``.

    Line breaks are escaped, too; the result can be encoded as UTF-8.
    """
    return _UNSEEN.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def render_page(content: str, data: Any, *, title: str) -> str:
    """Return an HTML page of a kind with its data.

    ``content`` is what the kind of page adds to the template: style rules, ``<!--BODY-->``, markup,
    ``<!--SCRIPT-->``, script. It comes from the program and contains nothing of a photo. ``data``,
    which the script reads from ``page.data``, and ``title`` may contain any text. The content
    security policy of the page lists the hashes of its scripts and styles. Nothing else is run or
    fetched, whatever the data are. Images may be data URLs and local files.
    """
    style, _, rest = content.partition("<!--BODY-->")
    body, _, script = rest.partition("<!--SCRIPT-->")
    page = files("regengine.io").joinpath("page.html").read_text(encoding="utf-8")
    title = html.escape(escape_invisible(title))
    for slot, text in (("STYLE", style), ("BODY", body), ("SCRIPT", script), ("TITLE", title)):
        page = page.replace(f"<!--{slot}-->", text)
    hashes = {}
    for kind in ("script", "style"):
        digests = [
            base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
            for text in re.findall(rf"<{kind}>(.*?)</{kind}>", page, re.S)
        ]
        hashes[kind] = " ".join(f"'sha256-{digest}'" for digest in digests)
    policy = (
        f"default-src 'none'; script-src {hashes['script']}; style-src {hashes['style']}; "
        "img-src data: file: 'self'; base-uri 'none'; form-action 'none'"
    )
    values = json.dumps(
        plain(data, escape_invisible), ensure_ascii=True, allow_nan=False, separators=(",", ":")
    )
    values = values.replace("<", "\\u003c")  # cannot end the ``<script>`` element that it is in
    return page.replace("<!--POLICY-->", policy).replace("<!--DATA-->", values)


def write_page(path: Path, page: str) -> None:
    """Write a page of `render_page` atomically; StoreError if that fails."""
    write_whole(path, page.encode())


def link_to(path: str | Path, folder: Path) -> str:
    """Return the link to a photo, by its file or http address, from a page in a folder.

    The link is relative if possible, so that page and photo can be moved together. Characters that
    could begin a scheme (``javascript:``) are percent-encoded.
    """
    text = restore_bytes(str(path))
    if text.lower().startswith(("http://", "https://")):
        return quote(_octets(text), safe=_OF_A_URL)
    # Only needs the working directory: works for names that no file can have
    return quote(_octets(os.path.relpath(text or os.curdir, folder)))


def _octets(text: str) -> bytes:
    """Return the bytes of a file name."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")


def thumbnail_jpeg(rgb: NDArray[Any]) -> bytes:
    """Return a small JPEG, `THUMBNAIL_PX` on its longer side, to embed in a page.

    ``rgb``, shape (h, w, 3), is in display colours: uint8, or floats of 0 to 1.
    """
    import cv2

    height, width = rgb.shape[:2]
    scale = THUMBNAIL_PX / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA))
    if small.dtype != np.uint8:
        small = np.rint(255.0 * np.clip(small, 0.0, 1.0)).astype(np.uint8)
    quality = [cv2.IMWRITE_JPEG_QUALITY, THUMBNAIL_QUALITY]
    return bytes(cv2.imencode(".jpg", np.ascontiguousarray(small[..., ::-1]), quality)[1])


def data_address(jpeg: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode('ascii')}"
