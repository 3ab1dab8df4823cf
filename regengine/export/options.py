"""What can be chosen of what is written."""

from __future__ import annotations

from dataclasses import dataclass

from regengine.errors import ConfigError

DIALECTS = ("mysql", "postgresql")


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """Options of all formats; each reads those that it knows.

    Attributes
    ----------
    table : str
        ``points``: a row a control point; ``frames``: a row a frame.
    kinds : tuple of str
        Which of several files that a format can write; empty for its usual one.
    layers : tuple of str
        Which of ``footprints``, ``nadirs``, ``points``; empty for all.
    crs : str
        Coordinate reference system of warped pictures, as PROJ understands it.
    resolution : float or None
        Size of their pixels in units of that system; None for the photo's own detail.
    dialect : str or None
        Of SQL: one of `DIALECTS`.
    """

    table: str = "points"
    kinds: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    crs: str = "EPSG:4326"
    resolution: float | None = None
    dialect: str | None = None


def check_dialect(format_name: str, dialect: str | None) -> None:
    """See to it that ``sql``, and no other format, is told for which server it is.

    Raises
    ------
    ConfigError
        If not.
    """
    if format_name != "sql" and dialect is not None:
        raise ConfigError(f"--dialect {dialect} says how SQL is written: take --format sql.")
    if format_name == "sql" and dialect not in DIALECTS:
        said = "--format sql" if dialect is None else f"--dialect {dialect}"
        raise ConfigError(
            f"{said}: say for which server, --dialect {' or --dialect '.join(DIALECTS)}."
        )
