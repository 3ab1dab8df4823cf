"""One frame for all pages: head, styles, lightbox, and a policy that lets nothing else run."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

from regengine.errors import StoreError
from regengine.page.text import script_json, shown
from regengine.store.atomic import write_whole

_SLOT = re.compile(r"<!--(POLICY|TITLE|STYLE|BODY|DATA|SCRIPT)-->")


def render_page(content: str, data: Any, *, title: str) -> str:
    """A page of a kind with its data.

    Parameters
    ----------
    content : str
        What the kind of page adds to the template: style rules, ``<!--BODY-->``, markup,
        ``<!--SCRIPT-->``, script. It is the program's own; nothing of a photo is in it.
    data : object
        What the script reads from ``page.data``; may hold any text, see `script_json`.
    title : str
        Of the window; any text.

    Returns
    -------
    str
        HTML. Its content security policy names the hashes of its scripts and styles, so nothing
        else runs or is fetched whatever the data are; images may be data and local files.
    """
    style, _, rest = content.partition("<!--BODY-->")
    body, _, script = rest.partition("<!--SCRIPT-->")
    template = files("regengine.page").joinpath("page.html").read_text(encoding="utf-8")
    parts = {"STYLE": style, "BODY": body, "SCRIPT": script, "TITLE": html.escape(shown(title))}
    bare = _SLOT.sub(lambda slot: parts.get(slot[1], slot[0]), template)
    parts = {"POLICY": _policy(bare), "DATA": script_json(data)}
    return _SLOT.sub(lambda slot: parts[slot[1]], bare)


def write_page(path: Path, page: str) -> None:
    """Write a page, whole or not at all.

    Parameters
    ----------
    path : Path
        The HTML file; replaced if it exists.
    page : str
        Of `render_page`.

    Raises
    ------
    StoreError
        The file cannot be written.
    """
    try:
        write_whole(path, page.encode())
    except OSError as error:
        raise StoreError(
            f"{path} could not be written ({error.strerror or error}); "
            "name a folder that exists and has room"
        ) from error


def _policy(page: str) -> str:
    scripts = " ".join(map(_hash, re.findall(r"<script>(.*?)</script>", page, re.S)))
    styles = " ".join(map(_hash, re.findall(r"<style>(.*?)</style>", page, re.S)))
    return (
        f"default-src 'none'; script-src {scripts}; style-src {styles}; "
        "img-src data: file: 'self'; base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
