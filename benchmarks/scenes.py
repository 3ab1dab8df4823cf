"""How well scene models tell real photographs of groups that they have not seen.

Simulated frames help in training where real ones are few, and changed copies of photos (cut, of
other exposure, colours and sharpness) where light and colours vary; neither is ever scored.
``--model FILE`` writes the model that ships, trained on all of them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import version
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from typer import Option

from benchmarks.options import Out, Real
from benchmarks.pages import add_date, share, title_lines, write_page
from benchmarks.rows import list_photos
from benchmarks.simulate.render import through_jpeg
from benchmarks.trials.draw import draw_trial
from benchmarks.trials.source import make_source
from regengine.errors import ConfigError, EphemerisError, FrameError
from regengine.orbit.position import choose_position
from regengine.orbit.tle import load_tle_file
from regengine.photo.frame import read_frame
from regengine.scene.classify import SceneInPlace, apply_context
from regengine.scene.features import feature_names, measure_features
from regengine.scene.labels import (
    USUAL_CLASSES,
    LabelledFeatures,
    SceneLabel,
    deal_folds,
    read_scene_labels,
)
from regengine.scene.models import (
    SceneAnswer,
    SceneModel,
    also_shown,
    fit_kernel_ridge,
    write_scene_model,
)
from regengine.scene.picture import (
    MIN_DECODED_PX,
    read_scene_picture,
    read_scene_rgb,
    scene_picture,
)
from regengine.scene.training import CrossValidation, measure_photos, train_scene_model
from regengine.score.labels import table
from regengine.score.scenes import (
    draw_mistakes,
    draw_report,
    evaluate_scenes,
    report_lines,
)

CITIES, DAY = "cities", "day"
# Least shares that are wanted: of photos of scored classes, and of these
GOAL_RIGHT, GOAL_RECALL, GOAL_PRECISION = 0.86, 0.90, 0.86


ELEMENT_SETS = Path("orbit/iss_tles_dense.txt")  # of the folder of real data
PROJECT = Path(__file__).resolve().parents[1]
NOTE = (
    f"scikit-learn {version('scikit-learn')}. Every photo is told by models that have seen none of "
    "its group; classes of fewer than five groups are left out one group at a time and are not "
    "scored. Everything that is learned (mean and scale, axes, number of clusters, the gate, the "
    "probabilities) is learned anew without the fold. Simulated frames and changed copies of "
    "photos train and are never scored. Nothing but the picture is known, neither camera nor hour, "
    "except in the last columns, for photos that have a time. "
    "The thresholds of the limb and of infrared ground were chosen on these photos."
)


def main(
    *,
    real: Real,
    simulated: Annotated[int, Option(help="simulated frames of stars")] = 24,
    copies: Annotated[int, Option(help="changed copies of each photo by day")] = 2,
    seed: int = 0,
    model: Annotated[
        Path | None, Option(metavar="FILE", help="write the model trained on all")
    ] = None,
    mistakes: Annotated[
        Path | None, Option(help="folder outside the project for thumbnails of mistakes")
    ] = None,
    out: Out = None,
) -> None:
    """Run the benchmark."""
    if mistakes and mistakes.resolve().is_relative_to(PROJECT):
        raise ConfigError("--mistakes must lie outside the project: photos are not published.")
    labels = real_labels(real)
    made = simulated_samples(simulated, seed), changed_copies(labels, copies, seed)
    samples = join_samples([measure_photos(labels), *made, grey_copies(labels)])
    trained, validation = train_scene_model(samples, source=source(samples), seed=seed)
    report = evaluate_scenes(validation)
    by_features = list_answers(validation, report.chosen["method"])
    in_place = [
        apply_context(one, read_scene_picture(Path(name)), None, None)
        for one, name in zip(by_features, validation.samples.names, strict=True)
    ]
    settled = [one.settled for one in in_place]
    timed = answer_in_place(by_features, validation.samples.names, in_place, real / ELEMENT_SETS)
    if model:
        write_scene_model(model, trained)
    if mistakes:
        draw_mistakes(report.mistakes, mistakes)
    if out:
        draw_report(report, out / add_date("scenes"))
    sections = {
        "Goals": goal_lines(validation.samples, settled, report.scored),
        "Classes, and what each part brings": class_lines(
            validation.samples,
            {
                "features": by_features,
                "and ground": [one.answer for one in in_place],
                "and limb": settled,
                "and hour and place": timed,
            },
        ),
        "What is shown, by its probability": shown_lines(
            validation.samples, [one.answer for one in in_place]
        ),
        "The same photo in other copies": copy_lines(labels, samples, trained, seed),
        "Training": training_lines(samples),
    }
    lines = title_lines("Scenes of real photographs", NOTE)
    for title, body in sections.items():
        lines += [f"## {title}", "", *body, ""]
    write_page(out, "scenes", [*lines, *report_lines(samples, report)])


def join_samples(parts: Sequence[LabelledFeatures]) -> LabelledFeatures:
    """Concatenate sets of samples, with the classes of all."""
    return LabelledFeatures(
        features=np.concatenate([part.features for part in parts]),
        labels=tuple(labels for part in parts for labels in part.labels),
        groups=tuple(group for part in parts for group in part.groups),
        simulated=np.concatenate([part.simulated for part in parts]),
        names=tuple(name for part in parts for name in part.names),
    )


def goal_lines(
    samples: LabelledFeatures, answers: Sequence[SceneAnswer], scored: Sequence[str]
) -> list[str]:
    """What is wanted, and what was reached by all parts together."""
    pairs = [(one[0], said.category) for one, said in zip(samples.labels, answers, strict=True)]
    of_scored = [(true, said) for true, said in pairs if true in scored]
    right = sum(true == said for true, said in of_scored)
    lines = [("photos of scored classes told", right, len(of_scored), GOAL_RIGHT)]
    for name in (CITIES, DAY):
        hits = pairs.count((name, name))
        shown, said = (sum(pair[side] == name for pair in pairs) for side in (0, 1))
        lines.append((f"{name}: recall", hits, shown, GOAL_RECALL))
        lines.append((f"{name}: precision", hits, said, GOAL_PRECISION))
    rows = [[name, f"{goal:.2f}", share(hits, tried)] for name, hits, tried, goal in lines]
    return table(["", "wanted", "95 % interval (Wilson)"], rows)


def list_answers(validation: CrossValidation, method: str) -> list[SceneAnswer]:
    """Answers by the features to each photo, by models that have not seen its group."""
    classes, answers = validation.samples.classes, []
    rows = zip(
        validation.probabilities[method], validation.said(method), validation.explained, strict=True
    )
    for p, said, explained in rows:
        probabilities = dict(zip(classes, p.tolist(), strict=True))
        answers.append(
            SceneAnswer(
                category=classes[int(said)],
                probabilities=probabilities,
                also=also_shown(probabilities, classes[int(said)]),
                explained=bool(explained),
            )
        )
    return answers


def answer_in_place(
    answers: Sequence[SceneAnswer],
    names: Sequence[str],
    seen: Sequence[SceneInPlace],
    element_sets: Path,
) -> list[SceneAnswer]:
    """What is told where the camera, and by the time the nadir are known, too.

    `seen`: what is told by the pictures alone.
    """
    tles, found = load_tle_file(element_sets), []
    for answer, name, alone in zip(answers, names, seen, strict=True):
        frame, position = read_frame(Path(name)), None
        with suppress(EphemerisError):
            position = choose_position(frame, tles)
        found.append(apply_context(answer, alone.picture, frame.camera_body, position).settled)
    return found


def class_lines(samples: LabelledFeatures, answers: dict[str, list[SceneAnswer]]) -> list[str]:
    """Photos of each class that are told, and those called so that show it in any place."""
    pairs = [list(zip(said, samples.labels, strict=True)) for said in answers.values()]
    told, shown = [], []
    for name in samples.classes:
        ours = [[one.category == name for one, has in some if has[0] == name] for some in pairs]
        called = [[name in has for one, has in some if one.category == name] for some in pairs]
        told.append([name, *(share(sum(some), len(some)) for some in ours)])
        shown.append([name, *(share(sum(some), len(some)) for some in called)])
    first = [[one.category == has[0] for one, has in some] for some in pairs]
    anywhere = [[one.category in has for one, has in some] for some in pairs]
    told.append(["all", *(share(sum(some), len(some)) for some in first)])
    shown.append(["all", *(share(sum(some), len(some)) for some in anywhere)])
    return [
        *table(["told", *answers], told),
        "",
        *table(["called so and shown", *answers], shown),
    ]


PROBABILITIES = (0.0, 0.1, 0.3, 0.5, 0.8, 1.0)


def shown_lines(samples: LabelledFeatures, answers: Sequence[SceneAnswer]) -> list[str]:
    """How many of the photos that have a class with about a probability show it."""
    bounds = list(pairwise(PROBABILITIES))
    rows = []
    for name in samples.classes:
        pairs = [
            (one.probabilities[name], name in labels)
            for one, labels in zip(answers, samples.labels, strict=True)
        ]
        row = [name]
        for low, high in bounds:
            within = [pair for pair in pairs if low <= pair[0] < high]
            mean = f" ({np.mean([p for p, _ in within]):.2f})" if within else ""
            row.append(f"{sum(shown for _, shown in within)} of {len(within)}{mean}")
        rows.append(row)
    head = [f"{low:.1f} to {high:.1f}" for low, high in bounds]
    return table(["class: photos that show it (mean probability)", *head], rows)


COPIED_GROUPS = 100  # of 283: a few minutes, and a standard error of 2 % or less of each share
# Copies of one photo that show the same: of colours as displayed, shape (h, w, 3)
COPIES: dict[str, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    "grey": lambda rgb: np.repeat(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2),
    "half size": lambda rgb: np.asarray(
        cv2.resize(rgb, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.uint8
    ),
    "double size": lambda rgb: np.asarray(cv2.resize(rgb, None, fx=2.0, fy=2.0), np.uint8),
    "quarter turn": lambda rgb: np.ascontiguousarray(np.rot90(rgb)),
    "mirrored": lambda rgb: np.ascontiguousarray(rgb[:, ::-1]),
    "a stop brighter": lambda rgb: expose(rgb, 1.0),
    "a stop darker": lambda rgb: expose(rgb, -1.0),
    "JPEG 60": lambda rgb: through_jpeg(rgb, 60),
}


def expose(rgb: NDArray[np.uint8], stops: float) -> NDArray[np.uint8]:
    """A photo as displayed, of so many times two the light."""
    light = np.clip((rgb / 255.0) ** 2.2 * 2.0**stops, 0.0, 1.0)
    return np.asarray(255.0 * light ** (1.0 / 2.2) + 0.5, np.uint8)


def copy_lines(
    labels: Sequence[SceneLabel], samples: LabelledFeatures, model: SceneModel, seed: int
) -> list[str]:
    """Shares of photos whose first class is that of their copies, by models without their groups.

    One photo each of `COPIED_GROUPS` groups.
    """
    kept, tried, infrared = Counter[str](), Counter[str](), Counter[str]()
    one_each = {label.group: label for label in labels if label.path.is_file()}
    groups = np.random.default_rng(seed).permutation(sorted(one_each))[:COPIED_GROUPS].tolist()
    for train, test in deal_folds(samples, seed=seed):
        left_out = {samples.groups[row] for row in test}.intersection(groups)
        without = replace(model, classifier=fit_kernel_ridge(samples.subset(train)))
        for group in sorted(left_out):
            rgb = read_scene_rgb(one_each[group].path)
            category = classify_alone(rgb, without)
            for name, change_copy in COPIES.items():
                now = classify_alone(change_copy(rgb), without)
                kept[name] += now == category
                infrared[name] += now == "infrared" != category
                tried[name] += 1
    rows = [[name, share(kept[name], tried[name]), str(infrared[name])] for name in COPIES]
    rows.append(["all", share(kept.total(), tried.total()), str(infrared.total())])
    return table(["copy", "the same class first", "called infrared anew"], rows)


def classify_alone(rgb: NDArray[np.uint8], model: SceneModel) -> str:
    """The category of a picture of which nothing else is known."""
    picture = scene_picture(rgb)
    shown = apply_context(model.answer(measure_features(picture)), picture, None, None)
    return shown.settled.category


def training_lines(samples: LabelledFeatures) -> list[str]:
    """Photos, groups, simulated frames and changed copies of each class."""
    real = samples.targets[~samples.simulated].sum(axis=0)
    made = samples.targets[samples.simulated & ~samples.copies].sum(axis=0)
    copies = samples.targets[samples.copies].sum(axis=0)
    counts = np.column_stack([real, samples.group_counts(), made, copies])
    rows = [[name, *map(str, row)] for name, row in zip(samples.classes, counts, strict=True)]
    return table(["class", "photos", "groups", "simulated frames", "changed copies"], rows)


# Folders of the real photographs that are one class to us
MERGED = {"cities_oblique": "cities"}
# Photographs of one camera that looked through one window all the time, and of one scene
ONE_GROUP = ("astropi_cslab3ogel", "astropi_vlad", "astropi_cchan", "astropi_rpl")
SAME_GROUP = {"astropi_night": "astropi_cslab3ogel", "japon": "iss30e275"}
# Night frames whose index tells no second class, and which show the lights of towns
TOWNS_TOO = (
    *("iss053e148796.jpg", "unproc_ISS053-E-148796.JPG", "iss068e001000.jpg"),
    *("iss073e0151533.jpg", "iss073e0260125.jpg"),
)
# Frames of the schools' computers by day; those without an infrared filter are of a camera above
BY_DAY = "day/photos"
# Changed copies are made of what is no light in the dark: cut or dimmed, a city may be gone
UNCHANGED = ("cities", "stars", "aurora")
# Photographs of Windows on Earth by path in the real data's `woe`, labelled by eye, those within an
# hour of each other one group
SEEN = Path(__file__).with_name("scene_labels.csv")


def real_labels(real: Path) -> list[SceneLabel]:
    """What the real photographs show, by their indices and by eye; second classes by the notes."""
    found = []
    for row in list_photos(real, "photos", "photos2"):
        shown = [row["category"], *re.findall(r"\balso (\w+)", row.get("note") or "")]
        shown += [CITIES] * (Path(row["file"]).name in TOWNS_TOO)
        names = dict.fromkeys(MERGED.get(name, name) for name in shown)
        labels = tuple(name for name in names if name in USUAL_CLASSES)
        found.append(label_of(row, labels))
    by_day = list_photos(real, BY_DAY)
    found += [label_of(row, (DAY,)) for row in by_day if row["band"] == "visible"]
    seen = read_scene_labels(SEEN)
    return found + [
        replace(one, path=real / "woe" / one.path.relative_to(SEEN.parent)) for one in seen
    ]


def label_of(row: dict[str, str], labels: tuple[str, ...]) -> SceneLabel:
    """The label of a photo, in the group of its camera, window and scene."""
    name = row["group"]
    same = next((same for start, same in SAME_GROUP.items() if name.startswith(start)), None)
    group = same or next((one for one in ONE_GROUP if name.startswith(one)), name)
    return SceneLabel(path=Path(row["path"]), labels=labels, group=group)


def draw_stars(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw a frame of stars over the limb, as of the trials of registrations."""
    while True:
        with suppress(RuntimeError):  # no such place was found
            trial = draw_trial(int(rng.integers(2**31)), make_source("train"), "stars")
            return np.asarray(Image.open(BytesIO(trial.photo)).convert("RGB"))


def simulated_samples(count: int, seed: int) -> LabelledFeatures:
    """Features of simulated frames of stars, each a group of its own."""
    drawn = [draw_stars(np.random.default_rng([seed, 3, number])) for number in range(count)]
    names = [f"simulated-stars-{seed}-{number}" for number in range(count)]
    rows = [measure_features(scene_picture(rgb)) for rgb in drawn]
    return samples_of(rows, [("stars",)] * count, names, names)


def samples_of(
    rows: Sequence[NDArray[np.float64]],
    labels: Sequence[tuple[str, ...]],
    groups: Sequence[str],
    names: Sequence[str],
) -> LabelledFeatures:
    """Samples that train and are never scored."""
    return LabelledFeatures(
        features=np.array(rows, np.float64).reshape(len(rows), len(feature_names())),
        labels=tuple(labels),
        groups=tuple(groups),
        simulated=np.ones(len(rows), bool),
        names=tuple(names),
    )


def changed_copies(labels: Sequence[SceneLabel], count: int, seed: int) -> LabelledFeatures:
    """Features of changed copies of photos, each of its photo's group; none of `UNCHANGED`."""
    rows, taken = [], []
    for number, label in enumerate(labels):
        if label.labels[0] in UNCHANGED:
            continue
        try:
            rgb = read_scene_rgb(label.path)
        except FrameError:
            continue  # told where it is measured itself
        for copy in range(count):
            changed = change(rgb, np.random.default_rng([seed, number, copy]))
            rows.append(measure_features(scene_picture(changed)))
            taken.append(label)
    labels_of, groups = [one.labels for one in taken], [one.group for one in taken]
    return samples_of(rows, labels_of, groups, [str(one.path) for one in taken])


def grey_copies(labels: Sequence[SceneLabel]) -> LabelledFeatures:
    """Features of a copy without colours of each photo, each of its photo's group.

    In grey, infrared is day.
    """
    rows, taken = [], []
    for label in labels:
        if "infrared" not in label.labels:
            with suppress(FrameError):  # told where it is measured itself
                rows.append(
                    measure_features(scene_picture(COPIES["grey"](read_scene_rgb(label.path))))
                )
                taken.append(label)
    labels_of, groups = [one.labels for one in taken], [one.group for one in taken]
    return samples_of(rows, labels_of, groups, [str(one.path) for one in taken])


def change(rgb: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A part of a photo as another camera or editor might have made it."""
    scale = min(1.0, MIN_DECODED_PX / max(rgb.shape[:2]))
    height, width = (round(side * scale) for side in rgb.shape[:2])
    small = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA)
    share = rng.uniform(0.75, 1.0)
    rows, columns = int(height * share), int(width * share)
    top, left = rng.integers(0, height - rows + 1), rng.integers(0, width - columns + 1)
    part = small[top : top + rows, left : left + columns].astype(np.float32)
    light = (part / np.float32(255.0)) ** np.float32(2.2)
    gains = np.exp(rng.normal(0.0, 0.1, 3))
    light = light * gains / gains.mean() * np.exp(rng.normal(0.0, 0.3))
    grey = light.mean(axis=2, keepdims=True)
    light = np.clip(grey + rng.uniform(0.6, 1.4) * (light - grey), 0.0, 1.0)
    shown = light ** (np.exp(rng.normal(0.0, 0.1)) / 2.2)
    if rng.random() < 0.3:
        shown = cv2.GaussianBlur(shown, (0, 0), rng.uniform(0.5, 1.5))
    shown = shown + rng.normal(0.0, rng.uniform(0.0, 0.01), shown.shape)
    stored = np.clip(255.0 * shown + 0.5, 0.0, 255.0).astype(np.uint8)
    return through_jpeg(stored, int(rng.integers(60, 96)))


def source(samples: LabelledFeatures) -> str:
    """What the shipped model says that it was trained on."""
    real = ~samples.simulated
    groups = {g for g, is_real in zip(samples.groups, real, strict=True) if is_real}
    return (
        f"{int(real.sum())} public photographs, most from the International Space Station, in "
        f"{len(groups)} groups, {int(samples.copies.sum())} changed copies of them, and "
        f"{int(samples.simulated_counts().sum())} simulated frames (stars)"
    )
