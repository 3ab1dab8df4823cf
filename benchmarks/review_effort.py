"""How long a practised person takes for some actions: the keystroke-level model."""

from __future__ import annotations

from collections.abc import Mapping

# Card, Moran and Newell, Communications of the ACM 23 (7), 1980: pressing a key 0.28 s (average
# typist), pointing with the mouse 1.1 s, pressing or releasing its button 0.1 s, deciding on the
# next step 1.35 s. Looking for the same lights in photo and map is in none of them.
KEY_S, POINT_S, BUTTON_S, DECIDE_S = 0.28, 1.1, 0.1, 1.35
SECONDS = {
    "keys": DECIDE_S + KEY_S,
    "clicks": DECIDE_S + POINT_S + 2 * BUTTON_S,
    "drags": 2 * (DECIDE_S + POINT_S + BUTTON_S),  # a place is chosen at either end
}


def effort_s(actions: Mapping[str, int]) -> float:
    """Seconds for a count of ``keys``, ``clicks`` and ``drags``, without any waiting."""
    return sum(SECONDS[kind] * times for kind, times in actions.items())
