"""Which method of detection a name stands for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from regengine.errors import ConfigError

D = TypeVar("D")


def chosen_detector(methods: Mapping[str, D], name: str | None, *, best: str, what: str) -> D:
    """The method of that name; the best one for None.

    Parameters
    ----------
    methods : mapping of str to object
        All that there are, as `detectors.registry` finds them.
    name : str or None
        As given to ``--method``.
    best : str
        Name of the method that did best in the benchmark.
    what : str
        What they find, in the plural.

    Returns
    -------
    object
        One of the methods.

    Raises
    ------
    ConfigError
        If there is no such method.
    """
    wanted = best if name is None else name
    if wanted not in methods:
        raise ConfigError(
            f"--method {wanted!r} is no method that finds {what}: use one of {', '.join(methods)}."
        )
    return methods[wanted]
