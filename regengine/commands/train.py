"""``regengine train``: a scene model of your own, from photos that you labelled."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from regengine.batch.console import print_data, say
from regengine.commands.options import EXIT_FRAMES_FAILED, Json, LogJson, Quiet, SceneLabels

if TYPE_CHECKING:
    from regengine.scene.model import SceneModel
    from regengine.scene.samples import Samples


def main(
    labels: SceneLabels,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The model's file, JSON.")],
    seed: Annotated[int, typer.Option(help="Of folds and fits; equal seeds, equal models.")] = 0,
    as_json: Json = False,
    quiet: Quiet = False,
    log_json: LogJson = False,
) -> None:
    """Train the model that tells what photos show, and print how it does on groups left out.

    Photos of one group, such as a sequence or copies of a frame, are never parted into training
    and test. A photo that cannot be read is told and left out.

    \b
    Example:
      regengine train labels.csv --out model.json
    """
    import json

    from regengine.batch.console import configure_logging, progress
    from regengine.errors import ConfigError
    from regengine.scene.model_file import write_scene_model
    from regengine.scene.samples import grouped_folds
    from regengine.scene.training import train_scene_model

    configure_logging(quiet=quiet, as_json=log_json)
    if not out.absolute().parent.is_dir():
        raise ConfigError(f"--out {out}: there is no folder {out.absolute().parent}; make it.")
    samples, complete = labelled_samples(labels, quiet=quiet)
    with progress(len(grouped_folds(samples, seed=seed)), quiet=quiet, doing="training") as advance:
        model, _ = train_scene_model(samples, source=labels.name, seed=seed, advance=advance)
    write_scene_model(out, model)
    if as_json:
        print_data(json.dumps({"model": str(out), **summary(model)}))
    else:
        say(*summary_lines(model, out))
    if not complete:
        raise typer.Exit(EXIT_FRAMES_FAILED)


def labelled_samples(labels: Path, *, quiet: bool) -> tuple[Samples, bool]:
    """Labelled photos, measured with a bar, and whether all could be read."""
    from regengine.batch.console import progress
    from regengine.scene.samples import read_scene_labels
    from regengine.scene.training import check_samples, measure_photos

    wanted = read_scene_labels(labels)
    check_labelled(labels, [label.path for label in wanted])
    with progress(len(wanted), quiet=quiet, doing="measuring") as advance:
        samples = measure_photos(wanted, advance=advance)
    check_samples(samples)
    return samples, len(samples) == len(wanted)


def check_labelled(labels: Path, photos: Sequence[Path]) -> None:
    """Refuse a file of labels of which no photo is there."""
    from regengine.errors import NoPhotoError

    if not any(path.exists() for path in photos):
        raise NoPhotoError(f"{labels} names no photo that is there: paths count from its folder.")


def summary(model: SceneModel) -> dict[str, object]:
    """What is said of a model, ready for JSON."""
    told = model.training
    return {
        "method": model.method,
        "classes": list(model.classes),
        "photos": list(told.photos),
        "groups": list(told.groups),
        "scored": list(told.scored),
        "macro_f1": dict(told.macro_f1),
        "confusion": told.confusion.tolist(),
    }


def summary_lines(model: SceneModel, out: Path) -> list[str]:
    """The same for a reader."""
    from regengine.evaluate.scene_report import confusion_lines
    from regengine.evaluate.tables import table

    told = model.training
    counts = zip(model.classes, told.photos, told.groups, strict=True)
    scores = [
        [name, f"{score:.3f}", "taken" if name == model.method else ""]
        for name, score in told.macro_f1.items()
    ]
    return [
        *table(["class", "photos", "groups"], [[n, str(p), str(g)] for n, p, g in counts if p]),
        "",
        f"Groups left out in turn; macro-F1 over {', '.join(told.scored)}:",
        "",
        *table(["method", "macro-F1", ""], scores),
        "",
        *confusion_lines(model.classes, told.confusion),
        "",
        f"written to {out}",
    ]
