"""Writes the column tables of docs/store.md: ``python -m regengine.store.document``."""

from __future__ import annotations

from regengine.store.schema import GROUP_DESCRIPTIONS, GROUPS, Column


def column_tables() -> str:
    """Markdown tables of all groups and columns, in the order of the schema.

    Returns
    -------
    str
        One section per group; ends with a line break.
    """
    sections = []
    for group, columns in GROUPS.items():
        lines = [
            f"### `{group}`: {GROUP_DESCRIPTIONS[group]}",
            "",
            "| column | type | per row | units | description |",
            "|---|---|---|---|---|",
            *(_row(column) for column in columns),
        ]
        sections.append("\n".join(lines))
    return "\n\n".join(sections) + "\n"


def _row(column: Column) -> str:
    description = column.description + (" (volatile)" if column.volatile else "")
    units = column.units or "–"
    return f"| `{column.name}` | {column.kind} | {column.width} | {units} | {description} |"


if __name__ == "__main__":
    print(column_tables(), end="")
