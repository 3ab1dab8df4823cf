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
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.scenes_page import page_lines
from benchmarks.scenes_tried import tried_lines
from regengine.evaluate.scene_figures import draw_mistakes, draw_report
from regengine.evaluate.scenes import evaluate_scenes
from regengine.scene.features import feature_names, measure_features
from regengine.scene.labels import SceneLabel
from regengine.scene.measuring import measure_photos
from regengine.scene.model import SceneModel
from regengine.scene.model_file import write_scene_model
from regengine.scene.picture import scene_picture
from regengine.scene.samples import Samples, joined
from regengine.scene.training import samples_of, train_scene_model

PROJECT = Path(__file__).resolve().parents[1]
# Folders of the real photographs that are one class to us
MERGED = {"cities_oblique": "cities"}
# Photographs of one camera that looked through one window all the time
ONE_GROUP = "astropi_cslab3ogel"
# Fields of stars that are no frame of the station's, and one that stands among the photos, too
NOT_FIELDS = ("auromat_", "cedar_hale_bopp")


def real_labels(photos: Path) -> list[SceneLabel]:
    """What the real photographs show, by their index.

    Parameters
    ----------
    photos : Path
        Folder with ``index.csv``.

    Returns
    -------
    list of SceneLabel
    """
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
    """Features of simulated frames, each a group of its own.

    Parameters
    ----------
    kinds : list of str
        Of `benchmarks.simulate.scene_frames.KINDS`.
    count : int
        Frames of each.
    seed : int
        Frame n of a kind is always the same.

    Returns
    -------
    Samples
    """
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
