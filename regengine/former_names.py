"""Names that options had once: accepted wherever their present names are, and shown nowhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_FORM = {"as": "format"}
_BOX = {"region": "bbox"}

# Of each command, former names with the present ones, as a settings file spells them
FORMER_NAMES: Mapping[str, Mapping[str, str]] = {
    "register": {"share": "neighbours"},
    "report": {"overlays": "overlay"},
    "export": {"as": "files"},
    "merge": {"into": "out"},
    "catalogue places": _FORM,
    "catalogue best": _FORM,
    "catalogue coverage": _FORM,
    "catalogue changes": _FORM,
    "catalogue query": _FORM,
    "catalogue tasking": {"start": "time"},
    "lights get": _BOX,
    "streets build": _BOX,
    "day get": _BOX,
    "day build": _BOX,
    "tle get": {"around": "time"},
}


def former_names(command: Sequence[str]) -> Mapping[str, str]:
    """Former names of the options of a command such as ("lights", "get"), with the present ones."""
    return FORMER_NAMES.get(" ".join(command), {})


def with_present_names(arguments: Sequence[str], former: Mapping[str, str]) -> list[str]:
    """Arguments of a command line with the present names of options, up to a lone ``--``."""
    spelt = {f"--{old}": f"--{new}" for old, new in former.items()}
    spelt |= {f"--no-{old}": f"--no-{new}" for old, new in former.items()}
    end = arguments.index("--") if "--" in arguments else len(arguments)
    present = []
    for argument in arguments[:end]:
        name, equals, value = argument.partition("=")
        present.append(f"{spelt.get(name, name)}{equals}{value}")
    return [*present, *arguments[end:]]
