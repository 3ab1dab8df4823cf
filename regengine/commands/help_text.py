"""How ``--help`` shows a command: options under headings, and what to write for a value."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

GROUPED_FROM = 10  # options; fewer are seen at once
INPUT, SELECTION, KNOWN = "Input", "Selection", "What is known"
SEARCH, OUTPUT, RUN = "Search", "Output", "Run"
# Headings in the order of the help, with their options; one of a single command has that before it
HEADINGS = {
    INPUT: {
        *(
            "lights",
            "streets",
            "day",
            "index",
            "tle",
            "station-tle",
            "metadata",
            "lens",
            "model",
            "photos",
        ),
        *(
            "satellites wcs",
            "calibration",
            "places",
            "layer",
            "classify fit",
            "flashes",
            "glm",
            "lis",
        ),
    },
    SELECTION: {"verdict", "reviewed", "where", "sort"},
    KNOWN: {
        *("time", "nadir", "centre", "radius-km", "altitude-km", "focal-mm", "pixel-pitch-um"),
        *("clock-window", "fov-deg", "exposure-s", "clock-sigma-s", "mount"),
        "cloud-height-km",
    },
    SEARCH: {
        *("max-seconds", "effort", "any-category", "neighbours", "stars", "blind", "bbox"),
        *("mission", "method", "max-side-px", "whole-frame", "tracks-only", "map-sigma-m"),
    },
    OUTPUT: {
        *("out", "store", "overlay", "json", "format", "export table", "sheet", "labels", "plot"),
        *("force", "files", "layers", "crs", "resolution", "dialect", "matches", "features"),
        *("quality", "solve wcs", "link"),
    },
    RUN: {
        *("workers", "max-memory-mb", "resume", "retry", "shard", "scheduler", "dry-run", "quiet"),
        *(
            "log-json",
            "seed",
            "host",
            "port",
            "browser",
            "reviewer",
            "review blind",
            "readonly",
            "help",
        ),
    },
}
# Options of these that no heading names choose frames
SELECTING = ("catalogue", "frames")
# What to write for an option, by its name, the end of its name, or its type
METAVARS = {
    "NAME": {"camera", "credit", "format", "lens fit lens", "method", "product", "reviewer"},
    "DATE": {"date", "from", "to"},
    "FILE": {"lights get from"},
    "DIR": {"catalogue package out", "frames download out", "radiometry out"},
    "N": {"best"},
    "FRAME": {"frame"},
    "PLACE": {"place"},
    "COUNTRY": {"country"},
    "MISSION": {"mission"},
    "MONTH": {"month"},
    "TIME": {"time"},
    "SECONDS": {"clock-window"},
    "MAG": {"faintest"},
    "NUMBER": {"satellite"},
    "VERDICTS": {"verdict"},
    "SQL": {"where"},
    "EPSG:CODE": {"crs"},
    "URL": {"url"},
    "ADDRESS": {"host"},
}
UNITS = {
    "KM": ("-km",),
    "METRES": ("-m",),
    "MM": ("-mm",),
    "MICROMETRES": ("-um",),
    "DEGREES": ("-deg",),
    "PIXELS": ("-px",),
    "SECONDS": ("-s", "-seconds"),
    "DAYS": ("days",),
    "MB": ("-mb", "-megabytes"),
    "GB": ("-gigabytes",),
}
TYPES = {"path": "FILE", "Path": "FILE", "str": "TEXT", "int": "N", "float": "NUMBER"}


def prepare_help(command: Any, name: str) -> None:
    """Let a command of a name, such as ``tle get``, show its help so."""
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    for parameter in arguments:
        parameter.metavar = (parameter.metavar or parameter.name).rstrip(".").upper()
    for parameter in command.params:
        if parameter.param_type_name == "option" and not parameter.is_flag:
            parameter.metavar = parameter.metavar or _metavar(parameter, name)

    def usage_pieces(ctx: Any) -> list[str]:
        return [command.options_metavar, *(_usage(parameter) for parameter in arguments)]

    def format_options(ctx: Any, formatter: Any) -> None:
        records = [
            (_usage(parameter), parameter.get_help_record(ctx)[1]) for parameter in arguments
        ]
        _write_section(formatter, "Arguments", records)
        sections: dict[str, list[tuple[str, str]]] = {}
        shown = [one for one in command.get_params(ctx) if one.param_type_name == "option"]
        for parameter in shown:
            if (record := parameter.get_help_record(ctx)) is None:
                continue
            heading = _heading(_name(parameter), name) if len(shown) > GROUPED_FROM else "Options"
            sections.setdefault(heading, []).append((record[0], _in_words(record[1])))
        for heading in sorted(sections, key=[*HEADINGS, "Options"].index):
            _write_section(formatter, heading, sections[heading])

    command.collect_usage_pieces = usage_pieces
    command.format_options = format_options


def _write_section(formatter: Any, heading: str, records: Sequence[tuple[str, str]]) -> None:
    if records:
        with formatter.section(heading):
            formatter.write_dl(records)


def _in_words(text: str) -> str:
    """A help whose range of numbers, ``1.0<=x<=20.0`` of Typer's, is one that people write."""
    text = re.sub(
        r"([-\d.]+)<=x<=([-\d.]+)",
        lambda found: f"{_number(found[1])} to {_number(found[2])}",
        text,
    )
    text = re.sub(r"x>=([-\d.]+)", lambda found: f"at least {_number(found[1])}", text)
    return re.sub(r"x<=([-\d.]+)", lambda found: f"at most {_number(found[1])}", text)


def _number(text: str) -> str:
    return f"{float(text):g}"


def _name(parameter: Any) -> str:
    return str(max(parameter.opts, key=len)).lstrip("-")


def _usage(argument: Any) -> str:
    """``PHOTOS...``, in brackets where none need be given."""
    several = "..." if argument.nargs != 1 else ""
    return f"{argument.metavar}{several}" if argument.required else f"[{argument.metavar}]{several}"


def _heading(option: str, command: str) -> str:
    selects = command.split()[0] in SELECTING
    for name in (f"{command} {option}", option):
        for heading, names in HEADINGS.items():
            if name in names:
                return SELECTION if selects and heading in (KNOWN, SEARCH) else heading
    return SELECTION if selects else "Options"


def _metavar(parameter: Any, command: str) -> str:
    option = _name(parameter)
    if parameter.type_descriptor.is_choice:
        choices = parameter.display_type(None).removeprefix("<").removesuffix(">")
        return f"[{choices}]"
    for names in ({f"{command} {option}"}, {option}):
        for metavar, options in METAVARS.items():
            if names & options:
                return metavar
    for metavar, endings in UNITS.items():
        if option.endswith(endings):
            return metavar
    kind = parameter.display_type(None).strip("<>").removeprefix("list[").rstrip("]")
    return TYPES.get(kind.partition(" ")[0], kind.upper())
