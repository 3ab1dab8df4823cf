"""How well lightning is found in simulated frames, by signal-to-noise ratio.

``python -m benchmarks lightning`` prints the tables; ``--out FOLDER`` writes them as Markdown,
dated. Real photographs are scored by ``regengine bench lightning``.
"""

from __future__ import annotations

import io
import itertools
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.arrays import BoolArray
from benchmarks.pages import command_of, number, parser, table, title_lines, write_page
from benchmarks.simulate.lightning import Flashes, add_lightning
from benchmarks.simulate.weather import view_grid
from benchmarks.trials.draw import draw_trial
from benchmarks.trials.outcomes import wilson_interval
from benchmarks.trials.source import Half, make_source
from regengine.sky.detection.kinds import LIGHTNING
from regengine.sky.detection.lightning import MAX_EQUIVALENT_MM

SNR_EDGES = (0.0, 3.0, 5.0, 8.0, 15.0, 40.0, np.inf)
GOAL_SNR = 5.0
JPEG_QUALITY = 90
SEED = {"train": 71, "test": 72}
# A flash is found within this share of its width, and 4 px; what lies within twice that is its own
FOUND_SHARE, FOUND_PX = 0.6, 4.0


def empty_frames(count: int, half: Half) -> Iterator[tuple[int, NDArray[np.uint8], BoolArray]]:
    """Seed, picture of 1,000 px and its ground, of simulated towns by night without lightning."""
    source = make_source(half)
    for seed in range(1, count + 1):
        trial = draw_trial(seed, source, kind="city")
        known = trial.factors
        focal_mm = float(known["focal_mm"] or 0.0)
        if known["lightning"] or known["hardware"] != "none" or focal_mm > MAX_EQUIVALENT_MM:
            continue
        picture = np.asarray(Image.open(io.BytesIO(trial.photo)).convert("RGB"))
        width, height = trial.camera.width_px, trial.camera.height_px
        view = view_grid(trial.camera)
        ground = view.full_size(view.perigee_m, width, height) < 0.0
        scale = min(1.0, LIGHTNING.long_side_px / max(width, height))
        size = round(width * scale), round(height * scale)
        yield (
            seed,
            np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8),
            cv2.resize(ground.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0,
        )


@dataclass(frozen=True, kw_only=True)
class Tried:
    """A simulated frame: its flashes, if any, which were found, and false detections."""

    snr: NDArray[np.float64]
    found: BoolArray
    false: int
    empty: bool


def try_frame(folder: Path, picture: NDArray[np.uint8], truth: Flashes | None) -> Tried:
    """Write a frame as a JPEG and find its lightning as a user would."""
    path = folder / "frame.jpg"
    Image.fromarray(picture).save(path, quality=JPEG_QUALITY)
    found = LIGHTNING.in_photo(path).found
    if truth is None:
        nothing = np.zeros(0)
        return Tried(snr=nothing, found=np.zeros(0, bool), false=len(found), empty=True)
    apart = np.hypot(truth.x[:, None] - found.x, truth.y[:, None] - found.y)
    reach = (FOUND_SHARE * truth.fwhm_px + FOUND_PX)[:, None]
    return Tried(
        snr=truth.snr,
        found=np.asarray((apart <= reach).any(axis=1), bool),
        false=int((apart > 2.0 * reach).all(axis=0).sum()),
        empty=False,
    )


def simulated(count: int, rounds: int, half: Half) -> list[str]:
    """Recall by signal-to-noise ratio, and false ones in frames with and without lightning."""
    tried = []
    with tempfile.TemporaryDirectory() as folder:
        for seed, picture, ground in empty_frames(count, half):
            tried.append(try_frame(Path(folder), picture, None))
            for number_ in range(rounds):
                rng = np.random.default_rng([seed, number_, SEED[half]])
                tried.append(try_frame(Path(folder), *add_lightning(rng, picture, ground)))
    snr = np.concatenate([one.snr for one in tried])
    found = np.concatenate([one.found for one in tried])
    rows = []
    for low, high in [*itertools.pairwise(SNR_EDGES), (GOAL_SNR, np.inf)]:
        here = (snr >= low) & (snr < high)
        name = f"{low:g} to {high:g}" if np.isfinite(high) else f"**{low:g} and more**"
        rows.append(
            [name, str(int(here.sum())), *share_cells(int(found[here].sum()), int(here.sum()))]
        )
    false = [
        [name, str(len(some)), number(float(np.mean(some)) if some else None, 3)]
        for name, some in (
            ("with lightning", [one.false for one in tried if not one.empty]),
            ("without", [one.false for one in tried if one.empty]),
        )
    ]
    return [
        f"## Simulated frames, {half} half",
        "",
        *table("SNR | flashes | recall | 95 %", rows, right=3),
        "",
        *table("frames | number | false a frame", false, right=2),
        "",
    ]


def share_cells(hits: int, tried: int) -> list[str]:
    """A share and its interval (Wilson, 95 %)."""
    if tried == 0:
        return [number(None), number(None)]
    low, high = wilson_interval(hits, tried)
    return [number(hits / tried), f"{low:.2f} to {high:.2f}"]


NOTE = (
    "Flashes (`benchmarks/simulate/lightning.py`) over towns (`benchmarks/trials`), JPEG of "
    "quality 90; the signal-to-noise ratio is the peak of what the flash adds, blurred by "
    "2.5 px, over the spread of the same blur of the empty frame within two widths."
)


def main(argv: list[str]) -> int:
    """Run the benchmark."""
    given = parser("lightning", __doc__)
    given.add_argument("--frames", type=int, default=60, help="simulated frames that are drawn")
    given.add_argument("--rounds", type=int, default=2, help="of flashes over each of them")
    given.add_argument("--half", choices=("train", "test"), default="test", help="of the simulator")
    args = given.parse_args(argv)
    cv2.setNumThreads(1)
    lines = title_lines("Lightning", command_of("lightning", argv), NOTE)
    lines += simulated(args.frames, args.rounds, args.half)
    write_page(args.out, "lightning", lines)
    return 0
