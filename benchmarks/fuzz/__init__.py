"""Whether any file can crash, hang or bloat the engine, or make it say something unclear.

``python -m benchmarks fuzz`` damages small sound files of every kind that is read, blindly and with
knowledge of their format, and reads them by the ways of the commands in worker processes with a
limit on time and memory; ``--commands N`` sends some of the photos through whole commands. A seed
and a number always give the same file. ``--folders N`` goes through folders of links, pipes,
devices and names of all kinds, ``--signals N`` sends signals to runs over such. ``--keep FOLDER``
keeps every file that was a finding.
"""

from __future__ import annotations

import argparse
import importlib
import os
import resource
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np

from benchmarks.fuzz import damage as harm
from benchmarks.fuzz import folders, readers, seeds
from benchmarks.fuzz.readers import COMMANDS, Reader, UnclearSentence, checked_sentence
from benchmarks.pages import table
from benchmarks.processes import Lost, work_through
from regengine.errors import RegengineError

PHOTO_KINDS = ("jpeg", "png", "tiff", "raw", "fits")
LIMIT_BYTES = 1_500_000_000
FINE = ("ok", "refused")
RUN_S = 300.0  # of a whole command over a folder


class Kind(NamedTuple):
    """How sound files of a kind are made, damaged and read."""

    sound: Callable[[], seeds.Seeds]
    damage: Sequence[harm.Damage]
    read: Reader


KINDS = {
    "jpeg": Kind(seeds.jpegs, harm.JPEG_DAMAGE, readers.read_photo),
    "png": Kind(seeds.pngs, harm.PNG_DAMAGE, readers.read_photo),
    "tiff": Kind(seeds.tiffs, harm.TIFF_DAMAGE, readers.read_photo),
    "raw": Kind(seeds.raws, harm.TIFF_DAMAGE, readers.read_photo),
    "fits": Kind(seeds.fits_files, harm.FITS_DAMAGE, readers.read_photo),
    "tle": Kind(seeds.tles, harm.TLE_DAMAGE, readers.read_elements),
    "records": Kind(seeds.records, harm.TABLE_DAMAGE, readers.read_records),
    "labels": Kind(seeds.labels, harm.TABLE_DAMAGE, readers.read_labels),
    "lens": Kind(seeds.lenses, harm.LINES, readers.read_lens),
    "settings": Kind(seeds.settings, harm.LINES, readers.read_settings_file),
    "model": Kind(seeds.models, harm.JSON_DAMAGE, readers.read_model),
    "store": Kind(seeds.stores, harm.HDF5_DAMAGE, readers.read_result_store),
    "map": Kind(seeds.maps, harm.TIFF_DAMAGE, readers.read_map),
    "tiles": Kind(seeds.tile_folders, harm.LINES, readers.read_tile_folder),
}
# Of twenty files in a row: what comes from strangers, and in many ways, more often
ROUND: tuple[str, ...] = (
    ("jpeg",) * 3 + ("png",) * 3 + ("tiff",) * 3 + ("raw",) + ("fits",) * 2 + ("map",) * 2
)
ROUND += ("store", "tle", "records", "labels")
RARE = ("lens", "settings", "model", "tiles")  # take turns for what is left of the twenty


@dataclass(frozen=True, kw_only=True)
class Case:
    """A damaged file: its number, kind, name, contents and what was done to it."""

    number: int
    kind: str
    name: str
    data: bytes
    damage: tuple[str, ...]


def kind_of(number: int) -> str:
    """Kind of the file that a number stands for."""
    rounds, place = divmod(number, 20)
    if place < len(ROUND):
        return ROUND[place]
    return RARE[(2 * rounds + place - len(ROUND)) % len(RARE)]


@cache
def sound_files(kind: str) -> seeds.Seeds:
    """The sound files of a kind."""
    return KINDS[kind].sound()


def case_of(seed: int, number: int) -> Case:
    """The damaged file that a number stands for under a seed; always the same one."""
    kind = kind_of(number)
    rng = np.random.default_rng([seed, number])
    sound = sound_files(kind)
    name = sorted(sound)[int(rng.integers(len(sound)))]
    damage = KINDS[kind].damage
    if kind == "map" and name.endswith((".h5", ".nc")):
        damage = harm.HDF5_DAMAGE
    data, names = harm.damaged(sound[name], list(sound.values()), damage, rng)
    return Case(number=number, kind=kind, name=name, data=data, damage=tuple(names))


_chatter: Any = None  # what libraries write to a worker's standard error


def prepare(limit_bytes: int) -> None:
    """Limit a worker's memory, and listen to its standard error."""
    global _chatter
    resource.setrlimit(resource.RLIMIT_DATA, (limit_bytes, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _chatter = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  until the process ends
    os.dup2(_chatter.fileno(), 2)


def nothing() -> None:
    """Prepare a worker whose work is in processes of its own."""


def reader_of(way: str) -> Reader:
    """A reader by the kind of its files, a command by its name, or ``module:function``."""
    if ":" in way:
        module, _, name = way.partition(":")
        return cast("Reader", getattr(importlib.import_module(module), name))
    return KINDS[way].read if way in KINDS else readers.through_command(way)


@dataclass(frozen=True)
class ReadFile:
    """Reads the files of numbers by their ways; pickles, so that workers can have it."""

    seed: int
    ways: Mapping[int, str]

    def __call__(self, key: int) -> dict[str, Any]:
        """How it went: ``what`` is "ok", "refused", or what is wrong, and ``text`` how."""
        number, way = key // 2, self.ways[key]
        case = case_of(self.seed, number)
        _chatter.truncate(0)
        _chatter.seek(0)
        begun_s = time.process_time()
        with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
            path = Path(folder) / case.name
            path.write_bytes(case.data)
            what, text = _read(way, path)
        said = os.pread(_chatter.fileno(), 300, 0).decode(errors="replace")
        if what in FINE and said:
            what, text = "chatter", said
        return {"what": what, "text": text[:600], "cpu_s": time.process_time() - begun_s}


def _read(way: str, path: Path) -> tuple[str, str]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            reader_of(way)(path)
    except RegengineError as error:
        try:
            text = checked_sentence(error, path)
        except UnclearSentence as unclear:
            return "unclear", str(unclear)
        return ("memory" if "more memory" in text else "refused"), text
    except UnclearSentence as error:
        return "unclear", str(error)
    except MemoryError as error:
        return "memory", f"MemoryError: {error}"
    except Warning as warning:
        return "warning", _place(warning)
    except BaseException as error:  # whatever it is, it is what is looked for
        return "foreign", _place(error)
    return "ok", ""


def _place(error: BaseException) -> str:
    """An exception, and where in the project it came from."""
    place, trace = "", error.__traceback__
    while trace is not None:
        file = Path(trace.tb_frame.f_code.co_filename)
        if "regengine" in file.parts or "detectors" in file.parts or "matchers" in file.parts:
            place = f"{file.name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return f"{type(error).__name__} at {place}: {' '.join(str(error).split())}"


def outcome_of(answer: dict[str, Any] | Lost) -> dict[str, Any]:
    """What became of a file whose worker may have died or been stopped."""
    if isinstance(answer, Lost):
        what = "hang" if answer.problem.startswith("killed") else "crash"
        return {"what": what, "text": answer.problem, "cpu_s": float("nan")}
    return answer


def main(argv: list[str]) -> int:
    """Run the benchmark; returns 1 if there was a finding."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks fuzz", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of the damage")
    parser.add_argument("--count", type=int, default=20_000, help="damaged files")
    parser.add_argument("--commands", type=int, default=0, help="photos through whole commands")
    parser.add_argument("--folders", type=int, default=0, help="folders of strange entries")
    parser.add_argument("--signals", type=int, default=0, help="runs over such that get signals")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("--limit-s", type=float, default=60.0, help="time for a file")
    parser.add_argument("--keep", type=Path, help="folder for files that were findings")
    args = parser.parse_args(argv)
    # Twice a number is a file by its own reader, one more the same by a whole command
    ways = {2 * number: kind_of(number) for number in range(args.count)}
    photos = [number for number in range(args.count) if kind_of(number) in PHOTO_KINDS]
    step = max(1, len(photos) // max(args.commands, 1))
    for k, number in enumerate(photos[::step][: args.commands]):
        ways[2 * number + 1] = tuple(COMMANDS)[k % len(COMMANDS)]
    counts: Counter[tuple[str, str]] = Counter()
    answers = work_through(
        ways,
        ReadFile(args.seed, ways),
        workers=args.workers,
        limit_s=args.limit_s,
        prepare=prepare,
        prepare_args=(LIMIT_BYTES,),
    )
    for key, answer in answers:
        outcome = outcome_of(answer)
        counts[ways[key], outcome["what"]] += 1
        if outcome["what"] in FINE:
            continue
        case = case_of(args.seed, key // 2)
        damage = "+".join(case.damage)
        found = f"{case.number} {ways[key]}: {outcome['what']}: {case.name} {damage}"
        print(f"{found}: {outcome['text']}", file=sys.stderr)
        if args.keep is not None:
            args.keep.mkdir(parents=True, exist_ok=True)
            name = f"{ways[key]}-{args.seed}-{case.number}-{case.name}"
            (args.keep / name).write_bytes(case.data)
    runs: dict[str, tuple[Callable[[int], dict[str, Any]], int]] = {
        "folders": (folders.ReadFolder(args.seed), args.folders),
        "signals": (folders.Signalled(args.seed), args.signals),
    }
    for way, (work, count) in runs.items():
        for number, answer in work_through(
            range(count), work, workers=args.workers, limit_s=RUN_S, prepare=nothing
        ):
            outcome = outcome_of(answer)
            counts[way, outcome["what"]] += 1
            if outcome["what"] not in FINE:
                print(f"{number} {way}: {outcome['what']}: {outcome['text']}", file=sys.stderr)
    rows = []
    for way in dict.fromkeys([*ways.values(), *(way for way, (_, count) in runs.items() if count)]):
        of_way = {what: times for (one, what), times in counts.items() if one == way}
        wrong = sum(times for what, times in of_way.items() if what not in FINE)
        cells = (sum(of_way.values()), of_way.get("ok", 0), of_way.get("refused", 0), wrong)
        rows.append((way, *map(str, cells)))
    print("\n".join(table(("read by", "files", "read", "refused", "findings"), rows, right=4)))
    return int(any(what not in FINE for _, what in counts))
