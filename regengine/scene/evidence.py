"""What is known of a photo beside its picture, as factors on the odds of what it may show."""

from __future__ import annotations

import re
from collections.abc import Mapping

from regengine.errors import ConfigError

# The model weighs all classes alike, as they stood in training. The world does not: crews' cameras
# have infrared filters, but for a few of schools' experiments. Every other class is left at one
DEFAULT_PRIORS: Mapping[str, float] = {"infrared": 0.25}
LEAST_PRIOR, MOST_PRIOR = 1e-4, 1e4
# Cameras of the schools' computers (Astro Pi), as they write themselves into EXIF: one of two has
# no infrared filter, and they take no lamps, stars or aurora with their short exposures
_SCHOOLS = re.compile(r"raspberry|\brp_|ov5647|imx477|imx708|imx219", re.IGNORECASE)
_SCHOOLS_FACTORS = {"infrared": 4.0, "cities": 0.25, "stars": 0.25, "aurora": 0.25}
# Crews' own, which have the filter; one that was rebuilt is rare, and more so a wrong EXIF
_CREWS = re.compile(r"nikon|kodak|canon|sony|hasselblad|red\b", re.IGNORECASE)
_CREWS_FACTORS = {"infrared": 0.05}


def camera_factors(camera: str | None) -> Mapping[str, float]:
    """How much likelier or unlikelier classes are by a camera's name; none where it tells nothing.

    The name is that of EXIF or of a frame record. It is evidence and no rule: a picture that leaves
    no doubt is not moved.
    """
    if camera and _SCHOOLS.search(camera):
        return _SCHOOLS_FACTORS
    if camera and _CREWS.search(camera):
        return _CREWS_FACTORS
    return {}


def parse_priors(text: str) -> dict[str, float]:
    """Priors such as ``infrared=1,stars=3``; ConfigError says what is wrong."""
    priors: dict[str, float] = {}
    for part in filter(None, (one.strip() for one in text.split(","))):
        name, _, value = part.partition("=")
        try:
            priors[name.strip()] = float(value)
        except ValueError as error:
            raise ConfigError(
                f"the prior {part!r} is not of the form class=number; write infrared=1,stars=3."
            ) from error
    return priors


def checked_priors(priors: Mapping[str, float], classes: tuple[str, ...]) -> dict[str, float]:
    """The priors of a model's classes: the given ones over the defaults.

    ConfigError if a class is none of the model's, or a number is not between `LEAST_PRIOR` and
    `MOST_PRIOR`.
    """
    for name, value in priors.items():
        if name not in classes:
            raise ConfigError(
                f"there is a prior for {name!r}, but the model's classes are {', '.join(classes)}."
            )
        if not LEAST_PRIOR <= value <= MOST_PRIOR:
            raise ConfigError(
                f"the prior of {name} is {value:g}; give a number from {LEAST_PRIOR:g} to "
                f"{MOST_PRIOR:g}, 1 being as likely as in training."
            )
    known = {name: value for name, value in DEFAULT_PRIORS.items() if name in classes}
    return {**known, **priors}


def with_factors(
    probabilities: Mapping[str, float], factors: Mapping[str, float]
) -> dict[str, float]:
    """Probabilities of what a picture shows, once something else has been asked.

    Every class's odds are multiplied by its factor over the mean of the factors as the picture
    weighs them: a picture that leaves no doubt is not moved, one between two classes goes to the
    one that is likelier otherwise.
    """
    total = sum(probabilities.values())
    mean = sum(p * factors.get(name, 1.0) for name, p in probabilities.items()) / total
    moved = {}
    for name, p in probabilities.items():
        odds = p / (1.0 - p) * factors.get(name, 1.0) / mean
        moved[name] = odds / (1.0 + odds)
    return moved
