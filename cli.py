"""Launcher: ``python cli.py`` is the same as ``regengine``."""

from __future__ import annotations

from regengine.commands import run

if __name__ == "__main__":
    run()
