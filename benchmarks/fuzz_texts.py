"""Damage that knows lines, cells, numbers and the nesting of JSON."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np

from benchmarks.fuzz_bytes import Damage

NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
TOKENS: tuple[bytes, ...] = (
    b"",
    b"0",
    b"-1",
    b"1e999",
    b"-1e308",
    b"nan",
    b"inf",
    b"-0",
    b"1_000",
    b"0x10",
    b"1e-320",
)
TOKENS += (
    b"9" * 400,
    b"9" * 5000,
    b"18446744073709551616",
    "\u0663".encode(),
    b"\0",
    b'"',
    b"'",
    b"\\",
)
TOKENS += (
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\r",
    b"\n\n",
    b"\x1b[2J",
    "\u202e".encode(),
    "\ud7ff".encode(),
)
TOKENS += (b"[" * 3000, b"{" * 3000, b'{"a":' * 2000, b"a" * 200_000, b",,,,", b"../../x", b"=1+1")
TOKENS += (b"true", b"null", b"[]", b"{}", b"9999-12-31T23:59:60Z", b"0000-00-00", b"-9999", b"1.")
VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1e308,
    10**30,
    "",
    "x" * 2000,
    [],
    [[]],
    {},
    {"a": []},
)
VALUES += (float("nan"), float("inf"), [1.0], [[1.0, 2.0], [3.0]], "1", "../..", [None], 1e-320)


def number_lies(data: bytes, rng: np.random.Generator) -> bytes:
    """A number that became something else."""
    found = list(NUMBER.finditer(data[:200_000]))
    if not found:
        return data
    number = found[int(rng.integers(len(found)))]
    token = TOKENS[int(rng.integers(len(TOKENS)))]
    return data[: number.start()] + token + data[number.end() :]


def token_put_in(data: bytes, rng: np.random.Generator) -> bytes:
    """Something unexpected between the rest."""
    at = int(rng.integers(len(data) + 1))
    return data[:at] + TOKENS[int(rng.integers(len(TOKENS)))] + data[at:]


def lines_moved(data: bytes, rng: np.random.Generator) -> bytes:
    """Lines there often, missing, joined or in another order."""
    lines = data.splitlines(keepends=True)
    if not lines:
        return data
    k, j = (int(rng.integers(len(lines))) for _ in range(2))
    what = int(rng.integers(4))
    if what == 0:
        lines[j:j] = [lines[k]] * int(rng.choice([1, 3, 300]))
    elif what == 1:
        del lines[k]
    elif what == 2:
        lines[k], lines[j] = lines[j], lines[k]
    else:
        lines[k] = lines[k].rstrip(b"\r\n")
    return b"".join(lines)


def cells_moved(data: bytes, rng: np.random.Generator) -> bytes:
    """Cells of a line there twice, missing, or quoted without an end."""
    lines = data.split(b"\n")
    k = int(rng.integers(len(lines)))
    mark = b"\t" if b"\t" in lines[k] else b","
    cells = lines[k].split(mark)
    j = int(rng.integers(len(cells)))
    what = int(rng.integers(4))
    if what == 0:
        cells.insert(j, cells[j])
    elif what == 1:
        del cells[j]
    elif what == 2:
        cells[j] = b'"' + cells[j]
    else:
        cells[j] = TOKENS[int(rng.integers(len(TOKENS)))]
    lines[k] = mark.join(cells)
    return b"\n".join(lines)


def tle_sums_right(data: bytes, rng: np.random.Generator) -> bytes:
    """Columns of an element set changed, with its check sum right again."""
    lines = data.split(b"\n")
    sets = [k for k, line in enumerate(lines) if line[:2] in (b"1 ", b"2 ") and len(line) >= 69]
    if not sets:
        return data
    k = sets[int(rng.integers(len(sets)))]
    line = bytearray(lines[k][:68])
    for _ in range(int(rng.integers(1, 9))):
        line[int(rng.integers(2, 68))] = b"0123456789 .-+eA"[int(rng.integers(16))]
    total = sum(c - 48 if 48 <= c <= 57 else c == 45 for c in line) % 10
    lines[k] = bytes(line) + str(total).encode()
    return b"\n".join(lines)


def json_value_lies(data: bytes, rng: np.random.Generator) -> bytes:
    """A value deep inside that became another, or went missing; a seal is made right again."""
    from regengine.scene.model_file import _seal

    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        return data
    if not isinstance(content, dict):
        return data
    seal = content.pop("sha256", None)
    for _ in range(int(rng.integers(1, 3))):
        _change(content, rng)
    if seal is not None:
        content["sha256"] = _seal(content)
    return json.dumps(content).encode()


def _change(content: Any, rng: np.random.Generator) -> None:
    part, depth = content, 0
    while True:
        keys = list(part) if isinstance(part, dict) else list(range(len(part)))
        if not keys:
            return
        key = keys[int(rng.integers(len(keys)))]
        below = part[key]
        if not isinstance(below, dict | list) or not below or rng.random() < 0.25 or depth > 5:
            break
        part, depth = below, depth + 1
    if rng.random() < 0.25:
        del part[key]
    elif rng.random() < 0.2 and isinstance(part, list):
        part.append(part[key])
    else:
        part[key] = VALUES[int(rng.integers(len(VALUES)))]


LINES: tuple[Damage, ...] = (number_lies, number_lies, token_put_in, lines_moved)
TABLE_DAMAGE: tuple[Damage, ...] = (*LINES, cells_moved)
TLE_DAMAGE: tuple[Damage, ...] = (*LINES, tle_sums_right, tle_sums_right)
JSON_DAMAGE: tuple[Damage, ...] = (json_value_lies, json_value_lies, number_lies, token_put_in)
