"""Random numbers by counter: the n-th lamp of a town is the same however many are drawn."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

UintArray = NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


def mix(value: ArrayLike) -> UintArray:
    """Scramble 64-bit integers so that neighbours become independent.

    Parameters
    ----------
    value : array_like of integers, shape (...)

    Returns
    -------
    ndarray of uint64, shape (...)

    References
    ----------
    Steele, G. L., Lea, D. & Flood, C. H. (2014). Fast splittable pseudorandom number generators.
    OOPSLA '14 (the finaliser of SplitMix64).
    """
    z = np.atleast_1d(np.asarray(value)).astype(np.uint64)
    z = z + _GOLDEN
    z = (z ^ (z >> np.uint64(30))) * _FIRST
    z = (z ^ (z >> np.uint64(27))) * _SECOND
    return z ^ (z >> np.uint64(31))


def key_of(*parts: ArrayLike) -> UintArray:
    """One 64-bit key out of several integers or integer arrays (broadcast)."""
    key = mix(0)
    for part in parts:
        values = np.atleast_1d(np.asarray(part))
        unsigned = values if values.dtype == np.uint64 else values.astype(np.int64).view(np.uint64)
        key = mix(key ^ mix(unsigned))
    return key


def uniform(key: UintArray, stream: int) -> NDArray[np.float64]:
    """Uniform numbers in (0, 1) for keys; another stream gives independent ones."""
    bits = mix(key ^ mix(stream)) >> np.uint64(11)
    return (bits.astype(np.float64) + 0.5) * 2.0**-53


def normal(key: UintArray, stream: int) -> NDArray[np.float64]:
    """Standard normal numbers for keys (Box and Muller 1958)."""
    radius = np.sqrt(-2.0 * np.log(uniform(key, 2 * stream + 1_000_000)))
    return radius * np.cos(2.0 * np.pi * uniform(key, 2 * stream + 1_000_001))
