"""Whether a photo may show city lights at night, so that registering it is worth the time."""

from __future__ import annotations

from regengine.result import Reason
from regengine.scene.labels import OTHER
from regengine.scene.model import SceneAnswer

# Classes without night ground. The Moon is not among them: the model has seen simulated Moons
# alone, and takes one dim night in a hundred for one
NO_NIGHT_GROUND = ("day", "inside", "infrared", "sunset_sunrise")
# Nor does what the model knows to be something else: spacecraft, hardware, empty windows. What it
# does not know at all, beyond its gate, may be anything
KNOWN_OTHER = "something else"
# Their probabilities added up to 0.56 at most in 349 registrable frames of the simulated
# benchmark's training half, without something else, by the first model that shipped; with it to
# 0.07 at most in 68 more by the present one
SURE = 0.7
# and nothing is left untried that may show cities beside them
LEAST_CITIES = 0.1


def not_worth_trying(scene: SceneAnswer) -> Reason | None:
    """Why a photo need not be searched for city lights; None where it must.

    Night frames are tried whatever they seem to show: towns under moonlit cloud are hard to see at
    the size at which scenes are told.

    Parameters
    ----------
    scene : SceneAnswer
        What the photo shows.

    Returns
    -------
    Reason or None
    """
    said = {name: scene.probabilities.get(name, 0.0) for name in NO_NIGHT_GROUND}
    if scene.explained:
        said[KNOWN_OTHER] = scene.probabilities.get(OTHER, 0.0)
    if sum(said.values()) < SURE or scene.probabilities.get("cities", 0.0) >= LEAST_CITIES:
        return None
    likeliest = max(said, key=lambda name: said[name])
    return Reason(
        code="not_a_night_city_frame",
        text=f"the photo looks like {likeliest} (probability {said[likeliest]:.2f}), not like "
        "cities at night; use --any-category to try it all the same",
    )
