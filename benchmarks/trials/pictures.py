"""Pictures of single trials: the proposal over the photo, and the map as it truly lies there."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from benchmarks.trials.attempt import register_trial, with_true_camera
from benchmarks.trials.run import TrialSettings, open_workshop

TRUTH = "truth"


def draw_trials(
    seeds: Iterable[int], settings: TrialSettings, folder: Path, tell: Callable[[str], None]
) -> list[Path]:
    """Register some trials again and draw two overlays of each.

    Parameters
    ----------
    seeds : iterable of int
    settings : TrialSettings
    folder : Path
        Where the pictures go, made if need be.
    tell : callable
        Given a line per trial.

    Returns
    -------
    list of Path
        Per trial ``….overlay.png``, as `regengine register --overlay` draws it, and
        ``….truth.png``, the same through the true camera; none of a trial whose photo failed.
    """
    from regengine.overlay import draw_result

    shop = open_workshop(settings)
    drawn: list[Path] = []
    for seed in seeds:
        trial = shop.draw(seed)
        with tempfile.TemporaryDirectory() as name:
            found = register_trial(trial, shop.light_map, settings.register, Path(name))
            result = found.result
            if result is None:
                tell(f"seed {seed}: {found.problem}")
                continue
            photo = Path(result.path)
            proposal = draw_result(result, photo, shop.light_map, folder)
            true = draw_result(
                with_true_camera(result, trial), photo, shop.light_map, Path(name) / TRUTH
            )
            target = folder / f"{photo.stem}.{TRUTH}.png"
            target.write_bytes(true.read_bytes())
        drawn += [proposal, target]
        tell(f"seed {seed}: {result.verdict}")
    return drawn
