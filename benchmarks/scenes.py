"""How well scene models tell real photographs of groups that they have not seen.

``python -m benchmarks scenes`` needs the real photographs (``REGENGINE_REAL_DATA``); simulated
frames help in training where real ones are few, and are never scored. ``--model FILE`` writes the
model that ships, trained on all of them; ``--out FOLDER`` the page and its figures, dated.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.pages import command_of, title_lines
from regengine.evaluate.scene_report import draw_mistakes, draw_report, report_lines
from regengine.evaluate.scenes import SceneReport, evaluate_scenes
from regengine.evaluate.tables import table
from regengine.scene.classify import NO_NIGHT_GROUND, not_worth_trying
from regengine.scene.crossval import CrossValidation
from regengine.scene.features import feature_names, measure_features
from regengine.scene.model import SceneAnswer, SceneModel, also_shown
from regengine.scene.model_file import write_scene_model
from regengine.scene.picture import scene_picture
from regengine.scene.samples import OTHER, FloatArray, Samples, SceneLabel, joined
from regengine.scene.training import measure_photos, samples_of, train_scene_model

GOAL_MACRO_F1 = 0.90
GOAL_MISSED_GROUPS = 0.05
GOAL_PRECISION = 0.95
CITIES = "cities"


def page_lines(
    arguments: Sequence[str],
    samples: Samples,
    report: SceneReport,
    fields: Sequence[tuple[str, str, float]],
    tried: Sequence[str] = (),
) -> list[str]:
    """The page as Markdown lines."""
    title = "Scenes of real photographs"
    return [
        *title_lines(
            title, command_of("scenes", arguments), f"scikit-learn {version('scikit-learn')}."
        ),
        "Every photo is told by models that have seen none of its group; classes of fewer than "
        "five groups are left out one group at a time and are not scored. Everything that is "
        "learned (mean and scale, axes, number of clusters, the kind of supervised model, the "
        "gate, the probabilities) is learned anew without the fold. Simulated frames train and "
        "are never scored.",
        "",
        "## Goals",
        "",
        *goal_lines(report),
        "",
        "## Training",
        "",
        *training_lines(samples),
        "",
        *report_lines(samples, report),
        "",
        "## Star fields from the ground",
        "",
        "By the model that was trained on all; none of them was.",
        "",
        *table(["photo", "said", "P(stars)"], [[n, said, f"{p:.2f}"] for n, said, p in fields]),
        *(["", "## What `register` tries", "", *tried] if tried else []),
    ]


def goal_lines(report: SceneReport) -> list[str]:
    """What was aimed at, and what was reached by the kind of model that is taken."""
    best = report.chosen_report
    lines = [
        (f"macro-F1 of {len(report.scored)} classes", best.macro_f1, GOAL_MACRO_F1, True),
    ]
    cities = next((c for c in best.classes if c.name == CITIES), None)
    if cities is not None and cities.groups:
        missed = cities.groups_missed / cities.groups
        lines.append(("city groups missed", missed, GOAL_MISSED_GROUPS, False))
        lines.append(("precision of cities", cities.precision, GOAL_PRECISION, True))
    rows = [
        [
            name,
            f"{'at least' if more else 'at most'} {goal:.2f}",
            f"{reached:.3f}",
            "met" if (reached >= goal if more else reached <= goal) else "missed",
        ]
        for name, reached, goal, more in lines
    ]
    return table(["", "goal", f"reached by {best.name}", ""], rows)


def training_lines(samples: Samples) -> list[str]:
    """Photos, groups and simulated frames of each class."""
    real = samples.targets[~samples.simulated].sum(axis=0)
    made = samples.targets[samples.simulated].sum(axis=0)
    counts = np.column_stack([real, samples.group_counts(), made])
    rows = [[name, *map(str, row)] for name, row in zip(samples.classes, counts, strict=True)]
    return table(["class", "photos", "groups", "simulated frames"], rows)


# What a photo of a class should be: searched; left out; either, for towns may stand beside aurora
# or under moonlit cloud and be too small to be seen at the size at which scenes are told
MUST, MUST_NOT, MAY = "must", "must not", "may"


def tried_lines(model: SceneModel, validation: CrossValidation) -> list[str]:
    """A row for each photo: what it should be, and what happens to it."""
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
        "A photo is searched unless `regengine.scene.classify` says that it shows no night "
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
    )


PROJECT = Path(__file__).resolve().parents[1]
# Folders of the real photographs that are one class to us
MERGED = {"cities_oblique": "cities"}
# Photographs of one camera that looked through one window all the time
ONE_GROUP = "astropi_cslab3ogel"
# Fields of stars that are no frame of the station's, and one that stands among the photos, too
NOT_FIELDS = ("auromat_", "cedar_hale_bopp")


def real_labels(photos: Path) -> list[SceneLabel]:
    """What the real photographs show, by their index."""
    with (photos / "index.csv").open(newline="", encoding="utf-8") as stream:
        return [
            SceneLabel(
                path=photos / row["file"],
                labels=(MERGED.get(row["category"], row["category"]),),
                group=ONE_GROUP if row["group"].startswith(ONE_GROUP) else row["group"],
            )
            for row in csv.DictReader(stream)
        ]


def simulated_samples(kinds: list[str], count: int, seed: int) -> Samples:
    """Features of simulated frames, each a group of its own."""
    from benchmarks.simulate.scene_frames import KINDS, draw

    def features(kind: str, number: int) -> NDArray[np.float64]:
        rng = np.random.default_rng([seed, KINDS.index(kind), number])
        return measure_features(scene_picture(draw(kind, rng)))

    drawn = [(kind, number) for kind in kinds for number in range(count)]
    rows = [features(kind, number) for kind, number in drawn]
    names = tuple(f"simulated-{kind}-{seed}-{number}" for kind, number in drawn)
    return Samples(
        features=np.array(rows, np.float64).reshape(len(rows), len(feature_names())),
        labels=tuple((kind,) for kind, _ in drawn),
        groups=names,
        simulated=np.ones(len(drawn), bool),
        names=names,
    )


def star_fields(model: SceneModel, folder: Path) -> list[tuple[str, str, float]]:
    """What the model says of star fields taken from the ground: name, category, P(stars)."""
    files = [
        path
        for path in sorted(folder.iterdir())
        if path.suffix in (".jpg", ".png", ".tiff") and not path.name.startswith(NOT_FIELDS)
    ]
    labels = [SceneLabel(path=path, labels=("stars",), group=path.name) for path in files]
    read, features = measure_photos(labels)
    answers = [model.answer(row) for row in features]
    return [
        (label.path.name, answer.category, answer.probabilities.get("stars", 0.0))
        for label, answer in zip(read, answers, strict=True)
    ]


def source(samples: Samples) -> str:
    """What the shipped model says that it was trained on."""
    real = ~samples.simulated
    groups = {g for g, is_real in zip(samples.groups, real, strict=True) if is_real}
    kinds = sorted({labels[0] for labels, r in zip(samples.labels, real, strict=True) if not r})
    return (
        f"{int(real.sum())} public photographs from the International Space Station in "
        f"{len(groups)} groups, and {int((~real).sum())} simulated frames"
        + (f" ({', '.join(kinds)})" if kinds else "")
    )


def main(argv: list[str]) -> int:
    """Run the benchmark."""
    from benchmarks.simulate.scene_frames import KINDS

    parser = argparse.ArgumentParser(prog="python -m benchmarks scenes", description=__doc__)
    parser.add_argument("--simulated", type=int, default=24, help="simulated frames of each kind")
    parser.add_argument("--draws", type=int, default=3, help="how often they are drawn anew")
    parser.add_argument("--kinds", nargs="*", default=list(KINDS), help="kinds that are simulated")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="folder for the dated page and its figures")
    parser.add_argument("--model", type=Path, help="write the model that was trained on all")
    parser.add_argument(
        "--mistakes", type=Path, help="folder outside the project for thumbnails of mistakes"
    )
    options = parser.parse_args(argv)
    if options.mistakes and options.mistakes.resolve().is_relative_to(PROJECT):
        parser.error("--mistakes must lie outside the project: photos are not ours to publish")
    real = Path(os.environ.get("REGENGINE_REAL_DATA", PROJECT.parent / "shared" / "real"))
    if not (real / "photos" / "index.csv").is_file():
        print(f"no photographs at {real}: set REGENGINE_REAL_DATA to their folder", file=sys.stderr)
        return 3
    samples = samples_of(*measure_photos(real_labels(real / "photos")))
    if options.simulated and options.kinds:
        seeds = range(options.seed, options.seed + options.draws)
        made = [simulated_samples(options.kinds, options.simulated, seed) for seed in seeds]
        samples = joined([samples, *made])
    model, validation = train_scene_model(samples, source=source(samples), seed=options.seed)
    report = evaluate_scenes(validation, seed=options.seed)
    fields = star_fields(model, real / "starfields")
    told = [str(word) for word in argv if word != str(options.mistakes)]
    page = page_lines(
        [word for word in told if word != "--mistakes"],
        samples,
        report,
        fields,
        tried_lines(model, validation),
    )
    print("\n".join(page))
    if options.model:
        write_scene_model(options.model, model)
    if options.mistakes:
        draw_mistakes(report.mistakes, options.mistakes)
    if options.out:
        name = f"scenes-{datetime.now(UTC):%Y-%m-%d}"
        draw_report(report, options.out / name)
        target = options.out / f"{name}.md"
        target.write_text("\n".join(page) + "\n", encoding="utf-8")
        print(f"written to {target}", file=sys.stderr)
    return 0
