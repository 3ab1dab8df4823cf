"""Tables of fields for the pages, and types for the review's page, from the fields of results.

``python docs/field_tables.py`` writes the types into ``types.ts``. Pages have ``<!-- fields: NAME
-->`` where the site has the table of that name (`TABLES`).
"""

from __future__ import annotations

import re
import types
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from regengine.frames.catalogue import NAMES, OF_NAME
from regengine.frames.columns import FRAME_COLUMNS, MATCH_COLUMNS, POINT_COLUMNS
from regengine.pages.review.bodies import CameraFields, PlaceBody, PointBody
from regengine.store.reasons import list_keys, load_reasons
from regengine.store.result import (
    Column,
    ControlPoint,
    HypothesisRecord,
    PatchProof,
    list_columns,
)
from regengine.store.rows import GROUP_DESCRIPTIONS, GROUPS, OF_FRAME

# Where types of the page are, between two lines
TYPES_TS = Path(__file__).parents[1] / "regengine/pages/review/page/src/types.ts"
MARK = re.compile(r"<!-- fields: ([\w ]+) -->")
FIRST, LAST = "// Made by docs/field_tables.py", "// End of what is made"


def table(titles: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A table in Markdown."""
    titles = list(titles)
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)


def store_tables() -> str:
    """Columns of each group of a store."""
    parts = []
    for group, columns in GROUPS.items():
        rows = [
            (
                f"`{one.name}`",
                one.dtype,
                one.width,
                one.units or "–",
                one.description + " (volatile)" * one.volatile,
            )
            for one in columns
        ]
        titles = ("column", "type", "per row", "units", "description")
        parts.append(f"### `{group}`: {GROUP_DESCRIPTIONS[group]}\n\n{table(titles, rows)}")
    return "\n\n".join(parts)


# Objects of records
ABOVE = {
    "nadir": "the prior nadir, from the input; null without one",
    "camera": "the solved camera; null without a proposal",
    "fit": "agreement with the map; null without a proposal",
    "engine": "what made the record",
    "image": "the photo as stored",
    "reference": "the map that the photo was placed on; null without a proposal",
}
OF_HYPOTHESES = ("rank", "log10_odds", "ncc", "off_nadir_deg", "along_track_offset_s", "mirrored")
OF_DECISION = {
    "decision": "accepted, glanced, rejected or unsure",
    "reviewer": "who decided last",
    "time_utc": "when",
    "disputed": "whether others decided differently",
    "engine_verdict": "the verdict before the decision",
}


def describe(one: Column) -> str:
    """Description of a field where missing values are null."""
    said = one.description.replace("; NaN", "; null").replace("; -1", "; null")
    said = said.replace(", separated by commas", "").replace("1 if", "whether")
    if one.may_lack:
        said = said.replace("; empty", "; null")
    units = f" [{one.units}]" if one.units and one.units not in one.name.split("_") else ""
    return said.replace(", one a line,", ",").replace(", a JSON object", "") + units


def record_table() -> str:
    """Every key of a record."""
    keys: dict[str, str] = {}
    for one in OF_FRAME:
        if "record" in one.where:
            above, _, below = one.record.partition(".")
            if below and above not in keys:
                keys[above] = ABOVE[above]
                keys |= {"camera.model": "pinhole"} if above == "camera" else {}
            keys[one.record] = describe(one)
            if above == "control_points":
                within = [one for one in list_columns(ControlPoint) if "record" in one.where]
                keys |= {f"control_points.{one.name}": describe(one) for one in within}
            if above == "hypotheses":
                known = {one.name: describe(one) for one in list_columns(HypothesisRecord)}
                keys |= {f"hypotheses.{name}": known[name] for name in OF_HYPOTHESES}
                keys["hypotheses.centre"] = "[lon, lat] of the image centre; null if it is sky"
    keys |= {f"proofs.{one.name}": one.description for one in list_columns(PatchProof)}
    keys["decision"] = "only where somebody decided, as `show --json` and Python tell it"
    keys |= {f"decision.{name}": says for name, says in OF_DECISION.items()}
    return table(("key", "meaning"), ((f"`{name}`", says) for name, says in keys.items()))


def field_table(fields: Iterable[Column]) -> str:
    """Columns of exports or of a catalogue."""
    titles = ("column", "kind", "is")
    rows = ((f"`{one.name}`", one.kind, one.description) for one in fields)
    return table(titles, rows)


def reason_table() -> str:
    """What codes say, and the keys of their values."""
    rows = []
    for code, (says, templates) in load_reasons()[0].items():
        keys = list_keys(code) or ([] if templates else ["message"])
        rows.append((f"`{code}`", says, ", ".join(f"`{key}`" for key in keys) or "–"))
    return table(("code", "says", "values"), rows)


TABLES = {
    "store": store_tables,
    "record": record_table,
    "catalogue": lambda: field_table(OF_NAME[name] for name in NAMES),
    "exports": lambda: "\n\n".join(
        f"### `--table {name}`\n\n{field_table(columns)}"
        for name, columns in (
            ("points", POINT_COLUMNS),
            ("frames", FRAME_COLUMNS),
            ("matches", MATCH_COLUMNS),
        )
    ),
    "reasons": reason_table,
    "values": lambda: table(
        ("value", "is"), ((f"`{name}`", says) for name, says in load_reasons()[1].items())
    ),
}


def fill_in(page: str) -> str:
    """A page with the tables where it has their names."""
    return MARK.sub(lambda found: TABLES[found[1]](), page)


# Types of TypeScript -----------------------------------------------------------------------------

TYPES = {"text": "string", "real": "number", "whole": "number", "flag": "boolean"}


def name_type(kind: Any) -> str:
    """A type of Python, as of a body, in TypeScript."""
    origin, args = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return name_type(args[0])
    if origin is Literal:
        return " | ".join(f'"{value}"' for value in args)
    if origin is tuple:
        return f"[{', '.join(map(name_type, args))}]"
    if origin in (Union, types.UnionType):
        return " | ".join(map(name_type, args))
    return {float: "number", int: "number", str: "string", bool: "boolean"}.get(kind, "null")


def interface(name: str, says: str, fields: Iterable[tuple[str, str]]) -> str:
    """An interface, with its fields and their types."""
    lines = "".join(f"  {field}: {type_name};\n" for field, type_name in fields)
    return f"/** {says} */\nexport interface {name} {{\n{lines}}}\n"


def of_body(name: str, says: str, body: type[BaseModel]) -> str:
    """The interface of a body of requests."""
    fields = (
        (field if about.is_required() else f"{field}?", name_type(about.annotation))
        for field, about in body.model_fields.items()
    )
    return interface(name, says, fields)


def of_page(above: str) -> list[tuple[str, str]]:
    """Fields of a frame on its page, below one of its objects."""
    found = []
    for one in OF_FRAME:
        first, _, name = one.record.rpartition(".")
        if "page" in one.where and first == above:
            kind = "string[]" if one.name.startswith("reason") else TYPES[one.kind]
            # Numbers that are not finite are null, too
            is_null = one.may_lack or (above == "fit" and one.kind == "real")
            found.append((name, f"{kind} | null" if is_null else kind))
    return found


def write_types() -> str:
    """The types that the page shares with the server."""
    parts = [
        of_body("Camera", "A camera as records have it; see docs/records.md.", CameraFields),
        f"export type Origin = {name_type(PointBody.model_fields['origin'].annotation)};\n",
        of_body("Point", "A control point that a person may have moved.", PointBody),
        of_body("Place", "A town; its state where its country has others of the name.", PlaceBody),
        interface("Nadir", "The prior nadir.", of_page("nadir")),
        interface("Fit", "Agreement with the map.", of_page("fit")),
        interface(
            "FrameFields", "What the store has of a frame.", [*of_page(""), *of_page("image")]
        ),
    ]
    return "\n".join(parts)


def main() -> None:
    """Write the types into the page's file."""
    before, _, rest = TYPES_TS.read_text(encoding="utf-8").partition(FIRST)
    after = rest.partition(LAST)[2]
    made = f"{before}{FIRST}\n\n{write_types()}\n{LAST}{after}"
    TYPES_TS.write_text(made, encoding="utf-8")


if __name__ == "__main__":
    main()
