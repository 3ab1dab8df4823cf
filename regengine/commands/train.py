"""``regengine train``: a scene model of your own, from photos that you labelled."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from regengine.commands.options import EXIT_FRAMES_FAILED, Json, LogJson, Quiet
from regengine.io.console import configure_logging, print_data, say, show_progress


def main(
    labels: Annotated[Path, typer.Argument(help="CSV: path,label[,group]; one photo per row.")],
    out: Annotated[Path, typer.Option(help="Model file to write, JSON.")],
    seed: Annotated[
        int, typer.Option(help="Random seed of folds and fits; same seed, same model.")
    ] = 0,
    as_json: Json = False,
    quiet: Quiet = False,
    log_json: LogJson = False,
) -> None:
    """Train the scene classifier, and print its scores on groups left out.

    Photos of one group, such as a sequence or copies of a frame, are never split between training
    and test. Unreadable photos are reported and skipped.

    \b
    Example:
      regengine train labels.csv --out model.json
    """
    import json
    from functools import partial

    from regengine.io.atomic import check_file
    from regengine.scene.labels import deal_folds
    from regengine.scene.models import write_scene_model
    from regengine.scene.training import measure_labelled, train_scene_model
    from regengine.score.labels import table
    from regengine.score.scenes import confusion_lines

    configure_logging(quiet=quiet, as_json=log_json)
    check_file(out)
    samples, complete = measure_labelled(
        labels, partial(show_progress, quiet=quiet, doing="measuring")
    )
    with show_progress(
        len(deal_folds(samples, seed=seed)), quiet=quiet, doing="training"
    ) as advance:
        model, _ = train_scene_model(samples, source=labels.name, seed=seed, advance=advance)
    write_scene_model(out, model)
    training = model.training
    if as_json:
        summary: dict[str, Any] = {
            "model": str(out),
            "method": model.method,
            "classes": list(model.classes),
        }
        summary |= {name: list(getattr(training, name)) for name in ("photos", "groups", "scored")}
        summary |= {"macro_f1": dict(training.macro_f1), "confusion": training.confusion.tolist()}
        print_data(json.dumps(summary))
    else:
        counts = zip(model.classes, training.photos, training.groups, strict=True)
        scores = [
            [name, f"{score:.3f}", "taken" if name == model.method else ""]
            for name, score in training.macro_f1.items()
        ]
        say(
            *table(["class", "photos", "groups"], [[n, str(p), str(g)] for n, p, g in counts if p]),
            "",
            f"Each group left out in turn; macro-F1 over {', '.join(training.scored)}:",
            "",
            *table(["method", "macro-F1", ""], scores),
            "",
            *confusion_lines(model.classes, training.confusion),
            "",
            f"saved to {out}",
        )
    if not complete:
        raise typer.Exit(EXIT_FRAMES_FAILED)
