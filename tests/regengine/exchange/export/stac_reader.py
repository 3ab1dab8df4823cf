"""pystac as the reader of a catalogue, with schemas that are at hand."""

from __future__ import annotations

import json
from pathlib import Path

import pystac
from pystac.validation.stac_validator import JsonSchemaSTACValidator

from tests.regengine.exchange.export.exported import export

SCHEMAS = Path(__file__).parent / "stac_schemas"


def offline_validator() -> JsonSchemaSTACValidator:
    """pystac's validator, which fetches what it has not."""
    validator = JsonSchemaSTACValidator()
    for path in SCHEMAS.glob("*.json"):
        name, _, version = path.stem.rpartition("-")
        uri = f"https://stac-extensions.github.io/{name}/{version}/schema.json"
        validator.schema_cache[uri] = json.loads(path.read_text(encoding="utf-8"))
    return validator


VALIDATOR = offline_validator()


def valid_items(folder: Path) -> dict[str, pystac.Item]:
    """Items that the collection of a folder links to, by their ids; all of it is valid."""
    found = pystac.Collection.from_file(folder / "collection.json")
    found.validate(validator=VALIDATOR)
    items = list(found.get_items())
    for item in items:
        assert item.get_collection() is found
        assert item.get_root() is found
        item.validate(validator=VALIDATOR)
    assert len({item.id for item in items}) == len(items)
    return {item.id: item for item in items}


def exported_items(store: Path, out: Path, *arguments: object) -> dict[str, pystac.Item]:
    """A store's items, written and read back."""
    export(store, "stac", out, *arguments)
    return valid_items(out)
