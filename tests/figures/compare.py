"""How far a figure may move: by what it means, not by how many digits it has.

What no search touches (formats, projections, time, parsing) is held to a ten-thousandth, or to one
in the last decimal that is printed; verdicts, codes and names letter by letter. What a photo gave,
lights that were measured or a camera that was fitted, is held within half of its own sigma, or
within what `KINDS` says of figures of its name: another processor's rounding moves it, and what is
less than it claims to know is no news.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

EXACT = 1e-4  # relative
FLOOR = 1e-9  # what is less than this is zero
LAST_DIGITS = 4  # one in the last of two to so many decimals is rounding
OF_SIGMA = 0.5
M_PER_DEG = 111_195.0
GREY_LEVELS = 1.0  # of the mean of a block of a picture
SPARSE = 10.0  # rows of a column lie by so much sparser at its ends
COUNT_SHARE = 0.3  # of the root of a count: a third of what chance would move it by
NUMBER = re.compile(r"\d+\.?\d*")
SOME = 20  # entries of a long list
LONGEST = 12  # list that is written as it is; a longer one is size, count, sum, squares and some

Number = int | float
Figures = Mapping[str, Any]


@dataclass(frozen=True)
class Kind:
    """Figures whose keys end alike, and how far they may move."""

    names: str  # regular expression of the last word of a key
    apart: float = 0.0  # in the unit of the name
    share: float = 0.0  # of the figure


MAX_ODDS_MOVE = 0.1  # of the logarithm of odds
# The first that fits holds; what fits none is given, counted or computed, and `EXACT`
KINDS = (
    Kind(r"clock_sigma_s|sigma_(along|cross)_km"),  # given, not found
    # A spread of n residuals is known to one in the root of 2 n: 10 % of 50
    Kind(r"residual\w*|rms\w*|RMSPX|held_out\w*|left_out_px|sigma\w*|\w+_sigma", share=0.05),
    Kind(r"\w*covariance\w*|along_track_sigma_s", share=0.1),
    # Clocks of one camera agree to 0.3 s: 2.3 km of the orbit, 0.2 degrees seen from 600 km
    Kind(r"along_track_offset_s|offset_s", apart=0.15),
    Kind(r"position_ecef_m", apart=1100.0),
    Kind(r"altitude_km", apart=1.1),
    Kind(r"quaternion", apart=1e-3),
    Kind(r"off_nadir_deg|offset_deg", apart=0.1),
    Kind(r"focal_px", share=1e-3),  # the prior of a lens that is known
    Kind(r"footprint_diagonal_km", share=1e-3),  # a tenth of what counts as right
    Kind(r"principal_point", apart=1.0),
    Kind(r"distortion", apart=2.5e-3, share=0.05),  # a twentieth of its prior
    Kind(r"\w*log10_odds|LOGODDS|log10_false_alarm", apart=MAX_ODDS_MOVE, share=0.01),
    Kind(r"\w*ncc", apart=0.005),
    Kind(r"x|y|dx_px|dy_px|moved_px|bow_px|length_px", apart=0.1),
    Kind(r"flux|snr|radius_px|fwhm_px|contrast", share=0.03),
    Kind(r"ellipticity", apart=0.02),
)
# Of its own sigma, where the same table has one: metres for places, pixels else
SIGMAS = {
    **dict.fromkeys(("x", "dx_px"), ("sigma_x_px", "sigma_px")),
    **dict.fromkeys(("y", "dy_px"), ("sigma_y_px", "sigma_px")),
    **dict.fromkeys(("lon", "lat"), ("sigma_m",)),
    **dict.fromkeys(("x1", "y1", "x2", "y2"), ("sigma_end_px",)),
}
# Without a sigma of their own: that of the least certain control point, in metres
PLACES = re.compile(r"(centre|footprint|nadir)?(_lon|_lat|lon|lat)?")
BELIEFS = re.compile(r"probability\w*$|probabilities\.\w+$")
COUNTS = re.compile(
    r"n|lights|matched\w*|stars|detections|identified|unidentified|found|NMATCH|flags|observations"
)


def compare(now: Figures, was: Figures, searched: bool) -> list[str]:
    """What moved: key, what was and what is; `searched` says whether a photo gave the figures."""
    moved = []
    for key in dict.fromkeys([*was, *now]):
        if key not in was or key not in now:
            moved.append(f"{key} is {'new' if key in now else 'gone'}")
        elif not is_near(key, now[key], was, searched):
            moved.append(f"{key} was {was[key]}, is {now[key]}")
    return moved


def is_near(key: str, now: Any, was: Figures, searched: bool = True) -> bool:
    """Whether a figure is within what its kind allows of what was recorded under its key."""
    before = was[key]
    if not isinstance(before, list):
        return _are_near(key, [now], [before], was, searched)
    if not isinstance(now, list):
        return False
    is_column = len(before) > LONGEST and not isinstance(before[0], str)
    if is_column and searched and len(now) > LONGEST:
        return _is_column_near(key, now, before, was)
    return len(now) == len(before) and _are_near(key, now, before, was, searched)


def _are_near(
    key: str, now: Sequence[Any], before: Sequence[Any], was: Figures, searched: bool
) -> bool:
    numbers = [x for x in before[-SOME:] if isinstance(x, Number)]
    # Of a vector, the size of its entries
    size = math.sqrt(sum(x * x for x in numbers) / max(len(numbers), 1)) if len(before) > 1 else 0.0
    for k, (one, other) in enumerate(zip(now, before, strict=True)):
        if isinstance(one, str) or isinstance(other, str):
            if not _are_words_near(str(one), str(other), searched):
                return False
        elif BELIEFS.search(key):
            if abs(_log10_odds(one) - _log10_odds(other)) > MAX_ODDS_MOVE:
                return False
        else:
            move = max_move(key, other, k, was) if searched else None
            if move is None:
                move = EXACT * max(abs(one), abs(other), size)
            if abs(one - other) > max(move, _last_digit(one, other)):
                return False
    return True


def _last_digit(one: float, other: float) -> float:
    """What rounding to some decimals may change."""
    digits = min(len(repr(float(x)).partition(".")[2]) for x in (one, other))
    return 1.01 * 10.0**-digits if 2 <= digits <= LAST_DIGITS else FLOOR


def _are_words_near(now: str, before: str, searched: bool) -> bool:
    """Texts are compared letter by letter, and by the numbers in them."""
    if NUMBER.sub("#", now) != NUMBER.sub("#", before):
        return False
    for one, other in zip(NUMBER.findall(now), NUMBER.findall(before), strict=True):
        x, y = float(one), float(other)
        move = max(EXACT * max(x, y), _last_digit(x, y))
        if searched:  # a count, or one in the last place that is printed
            decimals = len(other.partition(".")[2])
            move = max(_count_moves(y) if not decimals else 1.01 * 10.0**-decimals, 0.03 * y)
        if abs(x - y) > move:
            return False
    return True


def _count_moves(count: float) -> float:
    """How far a count of lights or stars may move."""
    return max(1.0, COUNT_SHARE * math.sqrt(abs(count)))


def _log10_odds(p: float) -> float:
    p = min(max(p, 1e-6), 1.0 - 1e-6)
    return math.log10(p / (1.0 - p))


def max_move(key: str, before: float, k: int, was: Figures) -> float | None:
    """How far entry `k` of a figure that a photo gave may move, in its own unit, if its kind
    says."""
    name = re.split(r"[./]", key)[-1]
    table = key[: len(key) - len(name)]
    if re.search(r"(^|\.)drawn\.", key):
        return GREY_LEVELS
    for sigma in SIGMAS.get(name, ()):
        if (own := _entry(was.get(table + sigma), k)) is not None:
            return OF_SIGMA * own / _metres(name, table, k, was)
    if COUNTS.fullmatch(name):
        return _count_moves(before)
    kind = next((one for one in KINDS if re.fullmatch(one.names, name)), None)
    if kind is not None:
        return max(kind.apart, kind.share * abs(before))
    if PLACES.fullmatch(name):
        points = [v for one, v in was.items() if one.endswith(("points.sigma_m", "points/sigma_m"))]
        worst = max((x for v in points for x in v if isinstance(x, Number)), default=0.0)
        return OF_SIGMA * worst / M_PER_DEG
    return None


def _entry(column: Any, k: int) -> float | None:
    """Sigma of one entry; of a long column, that of the middle one."""
    if isinstance(column, list) and column:
        some = sorted(x for x in column[-SOME:] if isinstance(x, Number))
        column = some[len(some) // 2] if len(column) > LONGEST and some else column[k]
    return float(column) if isinstance(column, Number) else None


def _metres(name: str, table: str, k: int, was: Figures) -> float:
    """How many units of the sigma one unit of a figure is."""
    if name not in ("lon", "lat"):
        return 1.0
    lat = _entry(was.get(table + "lat"), k) if name == "lon" else 0.0
    return M_PER_DEG * math.cos(math.radians(lat or 0.0))


def _is_column_near(key: str, now: Sequence[Any], before: Sequence[Any], was: Figures) -> bool:
    """Of a long column in order of size: how many it has, their sums, and some of them.

    Rows more or less shift the others along it, by as much of its range as they are of its rows.
    """
    if any(isinstance(x, str) for x in (*now[:4], *before[:4])):
        return _are_near(key, now, before, was, True)
    count, *_ = before
    more = max(abs(now[0] - before[0]), abs(now[1] - before[1]))
    if more > _count_moves(count):
        return False
    some = [x for x in before[4:] if isinstance(x, Number)]
    if not some:
        return list(now[4:]) == list(before[4:])
    highest = max(abs(x) for x in some)
    moves = [max_move(key, x, 0, was) for x in some]
    each = max(EXACT * highest if move is None else move for move in moves)
    shift = SPARSE * more / count * (max(some) - min(some))
    of_sums = (count * each + more * highest, 2.0 * count * each * highest + more * highest**2)
    return all(
        abs(x - y) <= max(move, EXACT * abs(y))
        for x, y, move in zip(now[2:4], before[2:4], of_sums, strict=True)
    ) and all(
        x == y if isinstance(x, str) or isinstance(y, str)
        else abs(x - y) <= max(each + shift, _last_digit(x, y))
        for x, y in zip(now[4:], before[4:], strict=True)
    )  # fmt: skip
