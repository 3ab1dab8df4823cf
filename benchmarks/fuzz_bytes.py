"""Damage that knows nothing of a file's format: flipped, cut, repeated and spliced bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

Damage = Callable[[bytes, np.random.Generator], bytes]

# What lengths and counts are blown up to, and what breaks signs and sums
EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
HEAD_BYTES = 512  # headers come first: half of the damage is done there


def place(data: bytes, rng: np.random.Generator) -> int:
    """Somewhere in the data, in its head as often as in all of it."""
    end = min(len(data), HEAD_BYTES) if rng.random() < 0.5 else len(data)
    return int(rng.integers(max(end, 1)))


def flip_bits(data: bytes, rng: np.random.Generator) -> bytes:
    """Up to sixteen bits turned."""
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 17))):
        if changed:
            changed[place(data, rng)] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def random_bytes(data: bytes, rng: np.random.Generator) -> bytes:
    """A run of up to 64 bytes of noise."""
    start, length = place(data, rng), int(rng.integers(1, 65))
    return data[:start] + rng.bytes(length) + data[start + length :]


def blown_up(data: bytes, rng: np.random.Generator) -> bytes:
    """A number of one, two or four bytes that says something extreme."""
    size = int(rng.choice([1, 2, 4, 8]))
    value = int(rng.choice(EXTREMES)) % (1 << 8 * size)
    start = place(data, rng)
    order = "little" if rng.random() < 0.5 else "big"
    return data[:start] + value.to_bytes(size, order) + data[start + size :]  # type: ignore[arg-type]


def cut(data: bytes, rng: np.random.Generator) -> bytes:
    """The end missing."""
    return data[: int(rng.integers(len(data) + 1))]


def hole(data: bytes, rng: np.random.Generator) -> bytes:
    """A part missing."""
    start = place(data, rng)
    return data[:start] + data[start + int(rng.integers(1, 257)) :]


def repeated(data: bytes, rng: np.random.Generator) -> bytes:
    """A part there several times."""
    start, length = place(data, rng), int(rng.integers(1, 1025))
    return data[:start] + data[start : start + length] * int(rng.integers(2, 9)) + data[start:]


def zeroed(data: bytes, rng: np.random.Generator) -> bytes:
    """A part of nothing, as after a crash of the machine."""
    start, length = place(data, rng), int(rng.integers(1, 513))
    return data[:start] + bytes(min(length, len(data) - start)) + data[start + length :]


def trailing(data: bytes, rng: np.random.Generator) -> bytes:
    """Something behind the end."""
    return data + rng.bytes(int(rng.integers(1, 4097)))


def shuffled(data: bytes, rng: np.random.Generator) -> bytes:
    """Two parts of the file in each other's place."""
    cuts = sorted(int(rng.integers(len(data) + 1)) for _ in range(4))
    a, b, c, d = cuts
    return data[:a] + data[c:d] + data[b:c] + data[a:b] + data[d:]


BYTES: tuple[Damage, ...] = (
    flip_bits,
    random_bytes,
    blown_up,
    cut,
    hole,
    repeated,
    zeroed,
    trailing,
    shuffled,
)


def spliced(data: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """The beginning of one file with the end of another."""
    return data[: int(rng.integers(len(data) + 1))] + other[int(rng.integers(len(other) + 1)) :]


def damaged(
    data: bytes, others: Sequence[bytes], structural: Sequence[Damage], rng: np.random.Generator
) -> tuple[bytes, list[str]]:
    """A file damaged one to three times, and the names of what was done to it.

    Parameters
    ----------
    data : bytes
        A sound file.
    others : sequence of bytes
        Other files of its kind.
    structural : sequence of callable
        Damage that knows the format; half of what is done, where there is some.
    rng : numpy.random.Generator
        Decides what happens where.
    """
    names = []
    for _ in range(int(rng.integers(1, 4))):
        if structural and rng.random() < 0.6:
            damage = structural[int(rng.integers(len(structural)))]
        elif rng.random() < 0.08:
            names.append("spliced")
            data = spliced(data, others[int(rng.integers(len(others)))], rng)
            continue
        else:
            damage = BYTES[int(rng.integers(len(BYTES)))]
        names.append(damage.__name__)
        data = damage(data, rng)
    return data, names
