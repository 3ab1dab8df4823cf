"""Launcher: ``python cli.py`` is the same as ``regengine``."""

from __future__ import annotations

from regengine.__main__ import run

if __name__ == "__main__":
    run()
