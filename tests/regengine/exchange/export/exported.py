"""The writer of stores made for exports, see `tests.kit.exports`."""

from tests.kit.exports import write_store

__all__ = ["write_store"]
