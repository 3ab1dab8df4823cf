"""How well scene models tell real photographs of groups that they have not seen.

``python -m benchmarks scenes`` needs the real photographs (``REGENGINE_REAL_DATA``). Simulated
frames help in training where real ones are few, and changed copies of photos (cut, of other
exposure, colours and sharpness) where light and colours vary; neither is ever scored. ``--model
FILE`` writes the model that ships, trained on all of them; ``--out FOLDER`` the page and its
figures, dated.
"""

from __future__ import annotations

import argparse
import csv
import os
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import version
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.pages import command_of, title_lines
from benchmarks.simulate.moon import draw_moon
from benchmarks.simulate.render import through_jpeg
from benchmarks.trials.draw import draw_trial
from benchmarks.trials.exposures import Kind
from benchmarks.trials.outcomes import wilson_interval
from benchmarks.trials.source import make_source
from regengine.errors import FrameError
from regengine.evaluate.scene_report import (
    draw_mistakes,
    draw_report,
    report_lines,
)
from regengine.evaluate.scenes import SceneReport, evaluate_scenes
from regengine.evaluate.tables import table
from regengine.scene.features import feature_names, measure_features
from regengine.scene.labels import (
    USUAL_CLASSES,
    Samples,
    SceneLabel,
    join_samples,
)
from regengine.scene.model_file import write_scene_model
from regengine.scene.picture import MIN_DECODED_PX, read_scene_rgb, scene_picture
from regengine.scene.training import measure_photos, train_scene_model

CITIES, DAY = "cities", "day"
# Least shares that are wanted: of photos of scored classes, and of these
GOAL_RIGHT, GOAL_RECALL, GOAL_PRECISION = 0.86, 0.90, 0.86


def page_lines(
    arguments: Sequence[str],
    samples: Samples,
    report: SceneReport,
) -> list[str]:
    """The page as Markdown lines."""
    title = "Scenes of real photographs"
    return [
        *title_lines(
            title, command_of("scenes", arguments), f"scikit-learn {version('scikit-learn')}."
        ),
        "Every photo is told by models that have seen none of its group; classes of fewer than "
        "five groups are left out one group at a time and are not scored. Everything that is "
        "learned (mean and scale, axes, number of clusters, the gate, the probabilities) is "
        "learned anew without the fold. Simulated frames "
        "and changed copies of photos train and are never scored. Nothing but the picture is "
        "known: neither camera nor hour.",
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
    ]


def goal_lines(report: SceneReport) -> list[str]:
    """What is wanted, and what was reached by the kind of model that is taken."""
    best = report.chosen_report
    scored = [report.classes.index(name) for name in report.scored]
    counts, right = best.confusion, np.diag(best.confusion)
    shown, said = counts.sum(axis=1), counts.sum(axis=0)
    lines = [
        ("photos of scored classes told", right[scored].sum(), shown[scored].sum(), GOAL_RIGHT)
    ]
    for name in (CITIES, DAY):
        if name in report.scored:
            one = report.classes.index(name)
            lines.append((f"{name}: recall", right[one], shown[one], GOAL_RECALL))
            lines.append((f"{name}: precision", right[one], said[one], GOAL_PRECISION))
    rows = []
    for name, hits, tried, goal in lines:
        low, high = wilson_interval(int(hits), int(tried))
        share = f"{hits / max(tried, 1):.2f} ({low:.2f} to {high:.2f})"
        rows.append([name, f"{goal:.2f}", f"{hits} of {tried}", share])
    return table(["", "wanted", f"by {best.name}", "share, 95 % interval (Wilson)"], rows)


def training_lines(samples: Samples) -> list[str]:
    """Photos, groups, simulated frames and changed copies of each class."""
    real = samples.targets[~samples.simulated].sum(axis=0)
    made = samples.targets[samples.simulated & ~samples.copies].sum(axis=0)
    copies = samples.targets[samples.copies].sum(axis=0)
    counts = np.column_stack([real, samples.group_counts(), made, copies])
    rows = [[name, *map(str, row)] for name, row in zip(samples.classes, counts, strict=True)]
    return table(["class", "photos", "groups", "simulated frames", "changed copies"], rows)


PROJECT = Path(__file__).resolve().parents[1]
# Folders of the real photographs that are one class to us
MERGED = {"cities_oblique": "cities"}
# Photographs of one camera that looked through one window all the time, and of one scene
ONE_GROUP = ("astropi_cslab3ogel", "astropi_vlad", "astropi_cchan", "astropi_rpl")
SAME_GROUP = {"astropi_night": "astropi_cslab3ogel", "japon": "iss30e275"}
FOLDERS = ("photos", "photos2")
# Night frames whose index tells no second class, and which show the lights of towns
TOWNS_TOO = (
    *("iss053e148796.jpg", "unproc_ISS053-E-148796.JPG", "iss068e001000.jpg"),
    *("iss073e0151533.jpg", "iss073e0260125.jpg"),
)
# Frames of the schools' computers by day; those without an infrared filter are of a camera above
BY_DAY = "day/photos"
# Changed copies are made of what is no light in the dark: cut or dimmed, a city may be gone
UNCHANGED = ("cities", "stars", "aurora")


def real_labels(real: Path) -> list[SceneLabel]:
    """What the real photographs show, by their indices; second classes by the indices' notes."""
    found = []
    for folder in (real / name for name in FOLDERS):
        if not (folder / "index.csv").is_file():
            continue
        with (folder / "index.csv").open(newline="", encoding="utf-8") as stream:
            for row in csv.DictReader(stream):
                shown = [row["category"], *re.findall(r"\balso (\w+)", row.get("note") or "")]
                shown += [CITIES] * (Path(row["file"]).name in TOWNS_TOO)
                names = [MERGED.get(name, name) for name in shown]
                found.append(
                    SceneLabel(
                        path=folder / row["file"],
                        labels=tuple(n for n in dict.fromkeys(names) if n in USUAL_CLASSES),
                        group=_group(row["group"]),
                    )
                )
    if (real / BY_DAY / "index.csv").is_file():
        with (real / BY_DAY / "index.csv").open(newline="", encoding="utf-8") as stream:
            found += [
                SceneLabel(
                    path=real / BY_DAY / row["file"], labels=("day",), group=_group(row["group"])
                )
                for row in csv.DictReader(stream)
                if row["band"] == "visible"
            ]
    return found


def _group(name: str) -> str:
    for start, same in SAME_GROUP.items():
        if name.startswith(start):
            return same
    return next((one for one in ONE_GROUP if name.startswith(one)), name)


# Classes that can be drawn, with the number that stands for each in a seed: the Moon, and what
# trials of registrations show
KINDS = {"cities": 0, "aurora": 1, "night_nocity": 2, "stars": 3, "moon": 7}
TRIALS: dict[str, Kind] = {
    "cities": "city",
    "aurora": "aurora",
    "night_nocity": "dark",
    "stars": "stars",
}


def draw(kind: str, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw a frame of a class."""
    if kind == "moon":
        return draw_moon(rng)
    while True:
        with suppress(RuntimeError):  # no such place was found
            seed = int(rng.integers(2**31))
            trial = draw_trial(seed, make_source("train"), TRIALS[kind])
            return np.asarray(Image.open(BytesIO(trial.photo)).convert("RGB"))


def simulated_samples(kinds: Sequence[str], count: int, seed: int) -> Samples:
    """Features of simulated frames, each a group of its own."""

    def features(kind: str, number: int) -> NDArray[np.float64]:
        rng = np.random.default_rng([seed, KINDS[kind], number])
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


def changed_copies(labels: Sequence[SceneLabel], count: int, seed: int) -> Samples:
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
    return Samples(
        features=np.array(rows, np.float64).reshape(len(rows), len(feature_names())),
        labels=tuple(label.labels for label in taken),
        groups=tuple(label.group for label in taken),
        simulated=np.ones(len(rows), bool),
        names=tuple(str(label.path) for label in taken),
    )


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


def source(samples: Samples) -> str:
    """What the shipped model says that it was trained on."""
    real = ~samples.simulated
    groups = {g for g, is_real in zip(samples.groups, real, strict=True) if is_real}
    drawn = np.flatnonzero(samples.simulated & ~samples.copies)
    kinds = sorted({samples.labels[i][0] for i in drawn})
    return (
        f"{int(real.sum())} public photographs, most from the International Space Station, in "
        f"{len(groups)} groups, {int(samples.copies.sum())} changed copies of them, and "
        f"{len(drawn)} simulated frames" + (f" ({', '.join(kinds)})" if kinds else "")
    )


def main(argv: list[str]) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks scenes", description=__doc__)
    parser.add_argument("--simulated", type=int, default=24, help="simulated frames of each kind")
    parser.add_argument(
        "--kinds", nargs="*", choices=KINDS, default=["moon", "stars"], help="kinds simulated"
    )
    parser.add_argument("--copies", type=int, default=4, help="changed copies of each photo by day")
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
    labels = real_labels(real)
    samples = join_samples(
        [
            measure_photos(labels),
            simulated_samples(options.kinds, options.simulated, options.seed),
            changed_copies(labels, options.copies, options.seed),
        ]
    )
    model, validation = train_scene_model(samples, source=source(samples), seed=options.seed)
    report = evaluate_scenes(validation)
    told = [str(word) for word in argv if word != str(options.mistakes)]
    page = page_lines(
        [word for word in told if word != "--mistakes"],
        samples,
        report,
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
