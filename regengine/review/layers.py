"""Online layers of the map that a user allows; without any, nothing is asked of the internet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from regengine.errors import ConfigError

LONGEST = 500
PLACEHOLDERS = ("{z}", "{x}", "{y}")


@dataclass(frozen=True, kw_only=True)
class OnlineLayer:
    """Map tiles of somebody else's server.

    Attributes
    ----------
    name : str
        What the page calls it.
    url : str
        Address of a tile, Web Mercator, with ``{z}``, ``{x}`` and ``{y}``.
    attribution : str
        Whom the page names as its maker.
    """

    name: str
    url: str
    attribution: str

    @property
    def origin(self) -> str:
        """The server, as a content security policy names it."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"


def parse_layers(texts: Sequence[str]) -> tuple[OnlineLayer, ...]:
    """Layers out of ``NAME | URL | ATTRIBUTION``, of which the last may be left out.

    Parameters
    ----------
    texts : sequence of str
        One a layer.

    Returns
    -------
    tuple of OnlineLayer

    Raises
    ------
    ConfigError
        If one is no such text, or two have one name.
    """
    layers = tuple(_parse(text) for text in texts)
    if len({layer.name for layer in layers}) < len(layers):
        raise ConfigError("--layer: two layers have the same name; give each its own.")
    return layers


def _parse(text: str) -> OnlineLayer:
    name, url, attribution = (part.strip() for part in f"{text}||".split("|")[:3])
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        known = parts.scheme in ("http", "https") and parts.username is None
        known &= bool(host) and host.replace("-", "").replace(".", "").isalnum() and host.isascii()
        known &= parts.port is None or parts.port > 0
    except ValueError:
        known = False
    whole = name.isprintable() and attribution.isprintable() and len(text) <= LONGEST
    if not (name and whole and known and all(part in url for part in PLACEHOLDERS)):
        raise ConfigError(
            f'--layer {text}: write "NAME | URL | ATTRIBUTION", the URL that of a tile with {{z}}, '
            "{x} and {y}, such as https://tiles.example.org/{z}/{x}/{y}.png."
        )
    return OnlineLayer(name=name, url=url, attribution=attribution)
