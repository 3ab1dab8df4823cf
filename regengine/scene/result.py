"""Scene results: record, table line, contact sheet, and clusters for a person to name."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from regengine.errors import ConfigError
from regengine.io.atomic import write_whole
from regengine.io.console import fit_cell
from regengine.io.html import data_address, link_to, render_page, write_page
from regengine.io.plain import make_printable, round_or_none
from regengine.io.tables import csv_lines, name_cell, path_cell
from regengine.scene.models import SceneAnswer, fit_gmm
from regengine.scene.picture import QUALITY_DIGITS
from regengine.scene.regions import LimbLights
from regengine.store.reasons import Reason

UNLIKE = "unlike all training photos"


@dataclass(frozen=True, kw_only=True)
class SceneEphemeris:
    """Sun and Moon for the camera and for the ground at its nadir."""

    # Elevation of the Sun's centre above the horizontal plane at the nadir, without refraction
    sun_elevation_deg: float
    moon_elevation_deg: float  # elevation of the Moon's centre, likewise
    moon_illumination: float  # illuminated fraction of the Moon's disc, 0 to 1
    # Angle between the camera's horizontal plane and the Earth's limb; about 20 for the ISS
    horizon_dip_deg: float
    # "day": the Sun is above the horizon at the nadir; "night": it is below the camera's own
    # horizon, so that neither ground nor station is lit; "twilight": between the two
    light: str

    @property
    def moon_above_limb_deg(self) -> float:
        return self.moon_elevation_deg + self.horizon_dip_deg


@dataclass(frozen=True, kw_only=True)
class Scene(SceneAnswer):
    """Scene classification of one photo, from picture and ephemeris."""

    frame: str
    path: Path
    ephemeris: SceneEphemeris | None = None  # Sun and Moon, if time and place are known
    disagreement: Reason | None = None  # how picture and ephemeris contradict each other
    no_ephemeris: str | None = None  # why Sun and Moon are unknown
    limb: LimbLights | None = None  # lights beside the limb, where they were counted
    # If requested
    quality: Mapping[str, float | None] | None = None  # see `photo_quality`
    features: Mapping[str, float] | None = None
    thumbnail: bytes | None = None

    def to_dict(self) -> dict[str, Any]:
        """The record of docs/commands/classify.md: plain JSON values, in documented order."""
        light, sky = None, self.ephemeris
        if sky is not None:
            light = {"sun_elevation_deg": round(sky.sun_elevation_deg, 1), "class": sky.light}
        record: dict[str, Any] = {
            "frame": make_printable(self.frame),
            "path": make_printable(str(self.path)),
            "category": self.category,
            "probabilities": {name: round(p, 4) for name, p in self.probabilities.items()},
            "also": list(self.also),
            "unlike_training": not self.explained,
            "ephemeris": light,
            "no_ephemeris": self.no_ephemeris and make_printable(self.no_ephemeris),
            "disagreement": self.clock_remark,
            "category_from": self.category_from,
            "limb": self.limb
            and {"lights_above": self.limb.above, "lights_below": self.limb.below},
        }
        if self.quality is not None:
            values = self.quality.items()
            record |= {name: round_or_none(value, QUALITY_DIGITS[name]) for name, value in values}
        if self.features is not None:
            record["features"] = {name: round(value, 6) for name, value in self.features.items()}
        return record

    @property
    def why(self) -> list[str]:
        """What speaks for the category besides the features, in a few words each."""
        found = []
        if self.limb is not None:
            found.append(f"{self.limb.above} lights above the limb, {self.limb.below} below")
        if self.ephemeris is not None:
            found.append(f"Sun {self.ephemeris.sun_elevation_deg:.0f}°")
        if self.category_from != "features":
            found.append(f"by {self.category_from}")
        return found

    @property
    def clock_remark(self) -> str | None:
        """Code and sentence, if picture and ephemeris contradict each other."""
        reason = self.disagreement
        return None if reason is None else f"{reason.code}: {reason.text}"

    @property
    def flags(self) -> list[str]:
        clock = [] if self.clock_remark is None else [self.clock_remark]
        return clock + [UNLIKE] * (not self.explained)


TABLE_HEADER = f"{'frame':<24} {'category':<15} {'p':>5}  also; why"


def table_line(scene: Scene) -> str:
    """One photo's line of the table."""
    others = [f"{name} {scene.probabilities[name]:.2f}" for name in scene.also]
    others += [] if scene.disagreement is None else [scene.disagreement.code]
    others += [] if scene.explained else [UNLIKE]
    p = scene.probabilities[scene.category]
    name = fit_cell(scene.frame, 24, keep_end=True)
    remarks = "; ".join(part for part in (", ".join(others), ", ".join(scene.why)) if part)
    return f"{name} {scene.category:<15} {p:>5.2f}  {remarks}".rstrip()


def write_sheet(path: Path, scenes: Iterable[Scene]) -> None:
    """Write the contact sheet atomically, as one HTML page without external resources.

    Raises StoreError if the file cannot be written.
    """
    folder = path.absolute().parent
    frames = []
    for scene in scenes:
        likeliest = sorted(scene.probabilities.items(), key=lambda pair: -pair[1])
        entry = {
            "frame": scene.frame,
            "path": str(scene.path),
            "href": link_to(scene.path, folder),
            "category": scene.category,
            "probability": round(scene.probabilities[scene.category], 3),
            "others": [
                (name, round(p, 3)) for name, p in likeliest if name != scene.category and p >= 0.1
            ],
            "flags": scene.flags,
            "sharpness": None if scene.quality is None else scene.quality["sharpness"],
            "thumbnail": data_address(scene.thumbnail or b""),
        }
        frames.append(entry)
    content = files("regengine.scene").joinpath("sheet.html").read_text(encoding="utf-8")
    write_page(path, render_page(content, frames, title="Contact sheet"))


def propose_clusters(scenes: Sequence[Scene], *, seed: int) -> list[tuple[Scene, str, float]]:
    """Find clusters of photos that look alike (Gaussian mixture, number by BIC).

    Each photo comes with its most probable cluster, such as ``cluster_03``, numbered by decreasing
    size, and the probability of that by Bayes' rule; by cluster, the most typical photo of each
    first. Raises ConfigError if there are fewer than eight photos: then clusters mean nothing.
    """
    if len(scenes) < 8:
        raise ConfigError(
            f"clusters need at least 8 photos, not {len(scenes)}; give a larger folder."
        )
    features = np.array([list((scene.features or {}).values()) for scene in scenes], np.float64)
    mixture = fit_gmm(features, seed=seed)
    share = mixture.responsibilities(features)
    member = share.argmax(axis=1)
    sizes = np.bincount(member, minlength=share.shape[1])
    names = {int(k): f"cluster_{i:02d}" for i, k in enumerate(np.argsort(-sizes, kind="stable"), 1)}
    # Log density of each photo in its own cluster
    typical = mixture.log_joint(features)[np.arange(len(member)), member]
    order = sorted(range(len(scenes)), key=lambda i: (names[int(member[i])], -typical[i]))
    return [(scenes[i], names[int(member[i])], float(share[i, member[i]])) for i in order]


def write_proposals(path: Path, proposals: Sequence[tuple[Scene, str, float]]) -> None:
    """Write a table of labels to edit: replace each cluster's name by that of its class.

    A CSV file with the columns of docs/labels.md (path, label, group) and ``guess``, what the
    present model says. Raises ConfigError if it exists (a person's labels are never overwritten),
    and StoreError if it cannot be written.
    """
    if path.exists():
        raise ConfigError(f"{path} exists and may hold your labels; name another file.")
    rows: list[tuple[object, ...]] = [("path", "label", "group", "guess")]
    folder = path.absolute().parent
    for scene, cluster, _ in proposals:
        # An edited copy and its original have the same frame id, which keeps them in one group
        photo = os.path.relpath(scene.path.absolute(), folder)
        rows.append((path_cell(photo), cluster, name_cell(scene.frame), scene.category))
    text = "".join(f"{line}\n" for line in csv_lines(rows))
    write_whole(path, text.encode("utf-8", "surrogateescape"))
