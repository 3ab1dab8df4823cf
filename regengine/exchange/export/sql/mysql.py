"""MySQL and MariaDB: the table of registered photos of NightISS, and its control points."""

from __future__ import annotations

from typing import Any

from regengine.exchange.export.sql import literals
from regengine.exchange.export.sql.columns import Kind, SqlColumn, SqlTable
from regengine.exchange.export.sql.nightiss import IMAGES, POINTS

TYPES: dict[Kind, str] = {
    "key": "CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL",
    "text": "MEDIUMTEXT",
    "real": "DOUBLE",
    "whole": "BIGINT",
    "flag": "BOOLEAN",
    "moment": "DATETIME(6)",
    "polygons": "MEDIUMTEXT",
    "loaded": "TIMESTAMP(6) NULL",
}
ID = (
    "classification_id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY COMMENT "
    "'number of the row in this table'"
)
STORAGE = (
    "ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci"
)
# The connection's own settings come back at the end
SETTINGS = """\
SET @regengine_sql_mode = @@SESSION.sql_mode,
    @regengine_client = @@SESSION.character_set_client,
    @regengine_results = @@SESSION.character_set_results,
    @regengine_collation = @@SESSION.collation_connection;
SET NAMES utf8mb4;
SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION';
SET @regengine_loaded = CURRENT_TIMESTAMP(6);
"""
BACK = """\
SET SESSION sql_mode = @regengine_sql_mode,
    SESSION character_set_client = @regengine_client,
    SESSION character_set_results = @regengine_results,
    SESSION collation_connection = @regengine_collation;
"""


class MySql:
    """See `regengine.exchange.export.sql.columns.Dialect`."""

    photos = IMAGES
    parts = (POINTS,)
    tail = f"COMMIT;\n{BACK}"

    @property
    def head(self) -> str:
        """Settings, tables (which MySQL makes outside of transactions), the transaction."""
        images = _table(
            IMAGES,
            first=ID,
            last=(
                "UNIQUE KEY (photo_key)",
                "KEY (image_id(64))",
                "KEY (gmt)",
                "KEY (centre_lat, centre_lon)",
            ),
        )
        points = _table(
            POINTS,
            last=(
                "PRIMARY KEY (photo_key, point)",
                "KEY (lat, lon)",
                f"FOREIGN KEY (photo_key) REFERENCES {IMAGES.name} (photo_key) ON DELETE CASCADE",
            ),
        )
        return f"-- Photos and control points by regengine\n{SETTINGS}{images}{points}BEGIN;\n"

    def literal(self, kind: Kind, value: Any) -> str:
        """A value as a literal under any ``sql_mode``."""
        match kind:
            case "text" | "key":
                return literals.mysql_text(str(value))
            case "real":
                return literals.number(value)
            case "moment":
                return literals.mysql_moment(value)
            case "polygons":
                return f"'{literals.polygons_wkt(value)}'" if value else literals.NULL
            case "loaded":
                return "@regengine_loaded"
            case _:
                return str(int(value))

    def on_known_photo(self) -> str:
        """The row is replaced but for its number and what is left to people."""
        names = [column.name for column in IMAGES.written if column.kind != "key"]
        return "\nON DUPLICATE KEY UPDATE " + ", ".join(f"{n} = VALUES({n})" for n in names)


def _table(table: SqlTable, last: tuple[str, ...], first: str = "") -> str:
    lines = [*filter(None, [first]), *map(_column, table.columns), *last]
    inside = ",\n  ".join(lines)
    comment = literals.mysql_text(table.says)
    return (
        f"CREATE TABLE IF NOT EXISTS {table.name} (\n  {inside}\n) {STORAGE} COMMENT={comment};\n"
    )


def _column(column: SqlColumn) -> str:
    kind = TYPES[column.kind]
    if column.name == "point":
        kind += " NOT NULL"
    return f"{column.name} {kind} COMMENT {literals.mysql_text(column.comment)}"


DIALECT = MySql()
