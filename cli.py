"""Launcher: ``python cli.py`` is the same as ``regengine``."""

from __future__ import annotations


def main() -> None:
    """Run the command line."""
    from regengine.commands import run

    run()


if __name__ == "__main__":
    main()
