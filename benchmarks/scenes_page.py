"""The page on scene classification: what was run and where, the goals, then every table."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version

import numpy as np

from benchmarks.orbit_uncertainty import commit
from regengine.evaluate.scene_report import report_lines, table
from regengine.evaluate.scenes import SceneReport
from regengine.scene.samples import Samples

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
    """The page as Markdown lines.

    Parameters
    ----------
    arguments : sequence of str
        Of the command.
    samples : Samples
        What was trained on.
    report : SceneReport
        Of its cross-validation.
    fields : sequence of (str, str, float)
        Star fields: name, what was said, probability of stars.
    tried : sequence of str
        Lines on what `register` searches.

    Returns
    -------
    list of str
    """
    command = " ".join(["python -m benchmarks scenes", *arguments])
    return [
        "# Scenes of real photographs",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, commit {commit()}, {os.cpu_count()} CPUs, "
        f"Python {platform.python_version()}, scikit-learn {version('scikit-learn')}: `{command}`.",
        "",
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
