"""Which of the real photographs `register` would search for city lights, and whether it should."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from regengine.evaluate.scene_report import table
from regengine.scene.crossval import CrossValidation
from regengine.scene.labels import OTHER
from regengine.scene.model import SceneAnswer, SceneModel, also_shown
from regengine.scene.samples import FloatArray
from regengine.scene.worth_trying import NO_NIGHT_GROUND, not_worth_trying

CITIES = "cities"
# What a photo of a class should be: searched; left out; either, for towns may stand beside aurora
# or under moonlit cloud and be too small to be seen at the size at which scenes are told
MUST, MUST_NOT, MAY = "must", "must not", "may"


def tried_lines(model: SceneModel, validation: CrossValidation) -> list[str]:
    """A row for each photo: what it should be, and what happens to it.

    Parameters
    ----------
    model : SceneModel
        Trained on all photos, as the one that ships.
    validation : CrossValidation
        Of models that have not seen the photo's group; of the same samples.

    Returns
    -------
    list of str
        Markdown.
    """
    samples, unseen = validation.samples, validation.answers(model.method).probabilities
    explained = validation.explained()
    rows, wrong = [], {True: 0, False: 0}
    for number, index in enumerate(validation.tested):
        shows = samples.labels[index]
        seen = model.answer(samples.features[index])
        left_out = _answer(samples.classes, unseen[number], bool(explained[number]))
        tried = [not_worth_trying(answer) is None for answer in (seen, left_out)]
        for is_left_out, is_tried in zip((False, True), tried, strict=True):
            wrong[is_left_out] += not agrees(shows, is_tried)
        rows.append(
            [
                "/".join(Path(samples.names[index]).parts[-2:]),
                ";".join(shows),
                wanted(shows),
                *("tried" if is_tried else "left out" for is_tried in tried),
                f"{left_out.probabilities.get(CITIES, 0.0):.2f}",
                f"{_no_night(left_out):.2f}",
                "" if all(agrees(shows, is_tried) for is_tried in tried) else "differs",
            ]
        )
    cities = [row for row in rows if row[2] == MUST]
    missed = sum(row[4] != "tried" for row in cities)
    return [
        "A photo is searched unless `regengine.scene.worth_trying` says that it shows no night "
        "ground. Photos of cities must be searched, those of day, inside, infrared, sunset and "
        "other must not, night without cities, aurora, stars and the Moon may be. By the model "
        f"that was trained on all {len(rows)} photos {wrong[False]} differ from that; by models "
        f"that have not seen the photo's group {wrong[True]}, of {len(cities)} photos of cities "
        f"{missed} left out. The probabilities are those of the latter.",
        "",
        *table(
            ["photo", "shows", "search", "shipped", "unseen", "P(cities)", "P(no night)", ""],
            sorted(rows, key=lambda row: (not row[-1], row[0])),
        ),
    ]


def wanted(shows: Sequence[str]) -> str:
    """Whether photos of a class are to be searched: `MUST`, `MUST_NOT` or `MAY`."""
    if CITIES in shows:
        return MUST
    return MUST_NOT if shows[0] in (*NO_NIGHT_GROUND, OTHER) else MAY


def agrees(shows: Sequence[str], tried: bool) -> bool:
    """Whether searching a photo, or not, is what should be done."""
    return wanted(shows) == MAY or tried == (wanted(shows) == MUST)


def _no_night(answer: SceneAnswer) -> float:
    names = (*NO_NIGHT_GROUND, OTHER) if answer.explained else NO_NIGHT_GROUND
    return sum(answer.probabilities.get(name, 0.0) for name in names)


def _answer(classes: Sequence[str], probabilities: FloatArray, explained: bool) -> SceneAnswer:
    told = dict(zip(classes, np.asarray(probabilities).tolist(), strict=True))
    first = max(told, key=lambda name: told[name])
    return SceneAnswer(
        category=first,
        probabilities=told,
        also=also_shown(told, first),
        explained=explained,
        log_likelihood=0.0,
    )
