"""How alike two people decided and placed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from regengine.review.decision_records import Decision
from regengine.review.reviewed import camera_of

# A grid over the photo, on whose ground two cameras are compared
PER_SIDE = 5


def kappa(pairs: Sequence[tuple[str, str]]) -> float | None:
    """Cohen's kappa: agreement beyond what chance would bring, 1 at most.

    Parameters
    ----------
    pairs : sequence of (str, str)
        What the two said of each thing.

    Returns
    -------
    float or None
        None without pairs, or where both always said the same one thing.

    References
    ----------
    Cohen, J. (1960). A coefficient of agreement for nominal scales. Educational and Psychological
    Measurement 20 (1), 37-46.
    """
    if not pairs:
        return None
    number = len(pairs)
    first, second = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    by_chance = sum(first[choice] * second[choice] for choice in first) / number**2
    if by_chance == 1.0:
        return None
    agreed = sum(a == b for a, b in pairs) / number
    return round((agreed - by_chance) / (1.0 - by_chance), 3)


def apart_px(first: Decision, second: Decision) -> float | None:
    """How far apart two people placed a photo.

    Ground that one camera sees on a grid over the photo is looked at with the other.

    Parameters
    ----------
    first, second : Decision
        On the same photo.

    Returns
    -------
    float or None
        Root mean square distance, pixels; None unless both accepted the photo with a camera, and
        where one sees no ground of the other's.
    """
    if first.decision != "accepted" or second.decision != "accepted":
        return None
    a, b = camera_of(first), camera_of(second)
    if a is None or b is None:
        return None
    x, y = np.meshgrid(
        np.linspace(0.0, a.width_px - 1.0, PER_SIDE), np.linspace(0.0, a.height_px - 1.0, PER_SIDE)
    )
    lon, lat = a.pixel_to_lonlat(x, y)
    other_x, other_y = b.lonlat_to_pixel(lon, lat)
    distances = np.hypot(other_x - x, other_y - y)
    known = distances[np.isfinite(distances)]
    return float(np.sqrt(np.mean(known**2))) if known.size else None
