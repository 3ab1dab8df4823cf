"""Folders with entries of every kind under any names."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.fuzz import photos
from tests.conftest import ROOT

LIGHTS = ROOT / "data_samples" / "lights.tif"
COMMANDS = {
    "register": ("register", "--lights", LIGHTS, "--blind", "never", "--store", "run.h5"),
    "classify": ("classify",),
    "lights": ("detect", "lights"),
    "stars": ("detect", "stars"),
    "streaks": ("detect", "streaks"),
    "solve": ("solve", "--max-seconds", "0.2"),
}
TABLES = ("lights", "stars", "streaks")  # write CSV without --json: names as they are
SYLLABLES: tuple[str, ...] = (
    "a",
    "ä",
    "漢",
    " ",
    "\n",
    "\t",
    "\x1b[2J",
    "\x9b31m",
    "\u202e",
    "\u200f",
    "\x7f",
)
SYLLABLES += ("=1+1", "-", "'", '"', "%s", "{}", "[red]", "$(x)", "\\", "x" * 60, "\udc80", "..")
MOST_ENTRIES = 14


def unix_socket(path: Path) -> None:
    """Make a socket."""
    here = os.getcwd()
    os.chdir(path.parent)  # the address of a socket may not be long
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path.name)
    finally:
        os.chdir(here)


# How an entry is made, and what is said of it
ENTRIES: dict[str, tuple[Callable[[Path], object], str]] = {
    "circle": (lambda path: path.symlink_to(path.name), "leads in circles"),
    "nowhere": (lambda path: path.symlink_to("gone"), "a file that does not exist"),
    "pipe": (os.mkfifo, "is a named pipe"),
    "to_pipe": (lambda path: path.symlink_to("pipe.jpg"), "is a named pipe"),
    "socket": (unix_socket, "is a socket"),
    "endless": (lambda path: path.symlink_to("/dev/zero"), "is a device"),
    "terminal": (lambda path: path.symlink_to("/dev/tty"), "is a device"),
    "empty": (Path.touch, "is empty"),
}


def strange_folder(folder: Path, draw: random.Random) -> dict[Path, str]:
    """Entries of all kinds under any names, deep and shallow; what must be said of each."""
    made: dict[Path, str] = {}
    parents = [folder]
    for number in range(MOST_ENTRIES):
        name = "".join(draw.choices(SYLLABLES, k=draw.randrange(1, 5)))
        path = draw.choice(parents) / f"{number}{name}.jpg"
        kind = draw.choice([*ENTRIES, "folder", "long"])
        if kind == "folder":
            path.mkdir()
            parents.append(path)
        elif kind == "long":
            path = path.with_name(f"{number}{'y' * 200}.jpg")
            path.write_bytes(b"\xff\xd8\xff no photo")
            made[path] = "damaged"
        elif kind == "to_pipe":
            path.symlink_to("/dev/zero")
            made[path] = "device"
        else:
            ENTRIES[kind][0](path)
            made[path] = ENTRIES[kind][1]
    (folder / "good\x1b[2J\n\u202egpj.png").write_bytes(photos("png")["colour.png"])
    return made


def untold(
    command: str, form: Sequence[str], out: str, messages: str, made: dict[Path, str]
) -> list[str]:
    """What is wrong with what a command says of a strange folder."""
    told = messages if command in TABLES and not form else messages + out
    lines = told.split("\n")
    problems = [f"commands a terminal: {line!r}" for line in lines if not line.isprintable()]
    problems += [f"not said: {what}" for what in made.values() if what not in told]
    if sum("; " in line for line in lines) < len(made):
        problems.append("fewer sentences than entries")
    if "unforeseen" in told:
        problems.append("something unforeseen")
    return problems
