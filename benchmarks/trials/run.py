"""Simulated registrations: hard photographs drawn from seeds, registered and scored into a table.

What the table holds already is skipped. One control has a map and a camera in the mirror, which
look like the Earth and are not: a flipped picture of a mirrored map is what a camera would see that
is mirrored with it, so that is the true camera of such a trial. It stands where the element set
does not have the station, but for places near the mirror.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

import cv2
import numpy as np

from benchmarks.pages import commit, tell
from benchmarks.processes import Lost, work_through
from benchmarks.registration.settings import Settings
from benchmarks.rows import Row, append_row, read_rows
from benchmarks.trials.attempt import (
    Registration,
    outcome_columns,
    register_trial,
    trial_columns,
)
from benchmarks.trials.draw import ENOUGH_PLACES, WITH_LIGHTS, draw_trial, kind_of, told_shot
from benchmarks.trials.exposures import Kind
from benchmarks.trials.report import (
    FAILED,
    OUTCOME_OF,
    page_lines,
    trials_of,
)
from benchmarks.trials.shot import off_nadir_deg, view_shares
from benchmarks.trials.source import Trial, TrialSource, make_source, real_source
from matchers.geometry.map_grid import MapGrid
from regengine.errors import ConfigError
from regengine.maps.build import build
from regengine.maps.index.earth import (
    BlindOptions,
    EarthIndex,
    build_earth_index,
    index_in_memory,
    load_earth_index,
    read_earth_index,
    write_earth_index,
)
from regengine.maps.opening import open_light_map, open_references
from regengine.maps.reference import MapInfo, RasterMap
from regengine.registration.types import SearchReferences
from regengine.registration.windows import REGIONAL_DEG

if TYPE_CHECKING:
    from benchmarks.trials.source import Trial


# Trials from this seed on are photographs of cities, drawn as those from 0 on
FIRST_MIRRORED = 10_000_000
# Europe falls upon Europe, Asia upon America
WORLD_MERIDIAN_DEG = 15.0


@dataclass(frozen=True, kw_only=True)
class MirroredMap:
    """A map mirrored in longitude: about its middle, if it is of a region."""

    original: RasterMap

    @property
    def info(self) -> MapInfo:
        return self.original.info

    @property
    def meridian_deg(self) -> float:
        west, _, east, _ = self.info.bounds
        return WORLD_MERIDIAN_DEG if east - west > REGIONAL_DEG else 0.5 * (west + east)

    def window(
        self, west: float, south: float, east: float, north: float, resolution_deg: float
    ) -> MapGrid:
        twice = 2.0 * self.meridian_deg
        grid = self.original.window(twice - east, south, twice - west, north, resolution_deg)
        return self._mirrored(grid)

    def overview(self, resolution_deg: float) -> MapGrid | None:
        """All of it at a coarse resolution; None where that would take long."""
        grid = self.original.overview(resolution_deg)
        return None if grid is None else self._mirrored(grid)

    def _mirrored(self, grid: MapGrid) -> MapGrid:
        last_deg = grid.lon0_deg + (grid.values.shape[1] - 1) * grid.step_deg
        return replace(
            grid,
            values=np.ascontiguousarray(grid.values[:, ::-1]),
            valid=None if grid.valid is None else np.ascontiguousarray(grid.valid[:, ::-1]),
            lon0_deg=2.0 * self.meridian_deg - last_deg,
        )


def index_of(mirrored: RasterMap, lights: Path, file: Path) -> EarthIndex:
    """Index of a map in the mirror; a large map's is kept in a file."""
    found = index_in_memory(mirrored)
    if found is None and not file.exists():
        write_earth_index(build_earth_index(mirrored), [lights], file)
    return read_earth_index(file, [lights]) if found is None else found


def against_the_mirror(trial: Trial, meridian_deg: float) -> Trial:
    """A trial on the mirrored map, of the camera that sees there what the true one sees here."""
    camera, turn = trial.camera, np.radians(2.0 * meridian_deg)
    mirror = np.array(
        [[np.cos(turn), np.sin(turn), 0.0], [np.sin(turn), -np.cos(turn), 0.0], [0.0, 0.0, 1.0]]
    )
    mirrored = replace(
        camera,
        lon_deg=(2.0 * meridian_deg - camera.lon_deg + 180.0) % 360.0 - 180.0,
        axes=mirror @ camera.axes @ np.diag([-1.0, 1.0, 1.0]),
        principal_x=camera.width_px - 1.0 - camera.principal_x,
        mirrored=not camera.mirrored,
    )
    return replace(
        trial,
        seed=trial.seed + FIRST_MIRRORED,
        kind="mirrored_map",
        camera=mirrored,
        registrable=False,
    )


STEEP_DEG, TELEPHOTO_MM = 30.0, 135.0


class Workshop:
    """What a worker process keeps open: the world to photograph, the map to register on."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        real, half = settings.real, settings.half
        self.source: TrialSource = make_source(half) if real is None else real_source(real, half)
        assert settings.lights is not None
        self.lights = settings.lights
        self.light_map = open_light_map([self.lights])

    def draw(self, seed: int) -> Trial:
        """Draw a trial; told nothing, all that is on the map and well lit is registrable."""
        if seed >= FIRST_MIRRORED:
            trial = draw_trial(seed - FIRST_MIRRORED, self.source, "city")
            return against_the_mirror(trial, self.mirrored_map.meridian_deg)
        trial = draw_trial(seed, self.source)
        on_map = trial.kind != "elsewhere" or self.source.decoy_world is None
        lit = on_map and trial.places >= ENOUGH_PLACES
        return replace(trial, registrable=True) if lit and self.settings.told != "all" else trial

    def register(self, trial: Trial, folder: Path) -> Registration:
        """Register a trial with what the settings say."""
        index = self.mirrored_index if trial.kind == "mirrored_map" else self.index
        light_map = self.mirrored_map if trial.kind == "mirrored_map" else self.light_map
        references = SearchReferences(light_map=cast(RasterMap, light_map), index=index)
        parameters = self.settings.parameters()
        return register_trial(trial, references, parameters, folder, told=self.settings.told)

    @cached_property
    def index(self) -> EarthIndex | None:
        return load_earth_index(BlindOptions(index=self.settings.index), (self.lights,))

    @cached_property
    def mirrored_map(self) -> MirroredMap:
        return MirroredMap(original=self.light_map)

    @cached_property
    def mirrored_index(self) -> EarthIndex | None:
        """Its index, where the map has one."""
        file = self.settings.mirrored_index
        return (
            None
            if self.index is None
            else index_of(cast(RasterMap, self.mirrored_map), self.lights, file)
        )


_open: list[Workshop] = []


def prepare(settings: Settings) -> None:
    cv2.setNumThreads(1)
    _open[:] = [Workshop(settings)]
    _ = _open[0].index  # its time is not the first trial's


def run_trial(seed: int) -> Row:
    """Draw, register and score one trial; an error in the engine is a row with the problem."""
    shop, started = _open[0], time.process_time()
    trial = shop.draw(seed)
    columns = trial_columns(trial) | {"seconds_draw": time.process_time() - started}
    with tempfile.TemporaryDirectory() as folder:
        try:
            return columns | outcome_columns(trial, shop.register(trial, Path(folder)))
        except Exception as error:
            return columns | {"verdict": "failed", "problem": f"{type(error).__name__}: {error}"}


def draw_only(seed: int) -> Row:
    return trial_columns(_open[0].draw(seed))


def select_seeds(
    seeds: Iterable[int], kinds: Collection[str], frames: str, shop: Workshop
) -> list[int]:
    """Those seeds that draw trials of some kinds, and photographs of some frames."""
    half = shop.settings.half
    drawn = {s: "mirrored_map" if s >= FIRST_MIRRORED else kind_of(s, half) for s in seeds}
    asked = [seed for seed, kind in drawn.items() if kind in kinds]
    if frames == "all":
        return asked
    chosen = []
    for seed in asked:
        try:
            only: Kind | None = "city" if seed >= FIRST_MIRRORED else None
            kind, shot, claim = told_shot(seed % FIRST_MIRRORED, shop.source, only)
        except RuntimeError:  # no such place was found, and the trial would be none
            continue
        fits = {
            "steep": off_nadir_deg(shot.camera) <= STEEP_DEG,
            "limb": view_shares(shot.camera)[1] > 0.0,
            "unknown": claim.focal_told == "unknown",
            "telephoto": shot.focal_mm >= TELEPHOTO_MM,
        }
        if kind in WITH_LIGHTS and fits[frames]:
            chosen.append(seed)
    return chosen


def run_trials(
    seeds: Iterable[int],
    table: Path,
    settings: Settings,
    *,
    workers: int = 1,
    tell: Callable[[Row], None],
    work: Callable[[int], Row] = run_trial,
    describe: Callable[[int], Row] = draw_only,
    prepare: Callable[..., None] = prepare,
) -> None:
    """Run trials that the table does not hold yet; each appends a row as it ends."""
    done = {row["seed"] for row in read_rows(table) if row["half"] == settings.half}
    parameters = settings.parameters()
    made_with = {"commit": commit(), "told": settings.told, "index": settings.index_words}
    made_with |= {"map": settings.lights.name if settings.lights else ""}
    made_with |= {"methods": "+".join(parameters.search.methods)}
    through = partial(
        work_through,
        workers=workers,
        limit_s=settings.limit_s,
        prepare=prepare,
        prepare_args=(settings,),
    )

    def keep(row: Row) -> None:
        append_row(table, row | made_with | {"budget_s": parameters.work_budget})
        tell(row)

    lost: dict[int, str] = {}
    for seed, row in through([seed for seed in seeds if seed not in done], work):
        if isinstance(row, Lost):
            lost[seed] = row.problem
        else:
            keep(row)
    for seed, row in through(list(lost), describe) if lost else ():
        known = {"seed": seed, "half": settings.half}
        known |= {} if isinstance(row, Lost) else row
        keep(known | {"verdict": "failed", "problem": lost[seed]})


def tell_row(row: Row) -> None:
    """What became of a trial, in a line."""
    outcome = OUTCOME_OF.get(row["verdict"], (FAILED, FAILED))[not row.get("right")]
    seconds, problem = row.get("seconds_wall", float("nan")), row.get("problem", "")
    kind = row.get("kind", "not drawn")
    tell(f"seed {row['seed']}, {kind}: {outcome}, {seconds:.1f} s {problem}".rstrip())


def build_own_map(settings: Settings, folder: Path) -> Path:
    """The self-made world's map as a user would build it, in a folder, for windows to be fast."""
    own = make_source(settings.half).light_map_path
    assert own is not None  # the self-made world has one
    path = folder / "lights.tif"
    build("lights", open_references("lights", [own]), path)
    return path


def simulated_page(
    settings: Settings,
    tables: list[Path],
    seeds: Iterable[int],
    *,
    kinds: Collection[str],
    frames: str,
    workers: int,
) -> list[str]:
    """Run what is asked for; the page."""
    if not tables:
        raise ConfigError("No table of trials: say --table CASES.jsonl.")
    with tempfile.TemporaryDirectory() as folder:
        if seeds:
            if tables[0].suffix == ".gz":
                raise ConfigError(f"{tables[0]} is compressed: name a new table of rows, .jsonl.")
            if settings.real is not None and settings.lights is None:
                raise ConfigError("No map to register the real world on: say --lights MAP.tif.")
            lights = settings.lights or build_own_map(settings, Path(folder))
            file = tables[0].with_name("mirrored.idx")
            settings = replace(settings, lights=lights, mirrored_index=file).with_index_named()
            # An unusable map is said once, not by every worker, and what they share is made once
            shop = Workshop(settings)
            wanted = select_seeds(seeds, kinds, frames, shop)
            if any(seed >= FIRST_MIRRORED for seed in wanted):
                _ = shop.mirrored_index
            run_trials(wanted, tables[0], settings, workers=workers, tell=tell_row)
    return page_lines(trials_of(read_rows(*tables), settings.half))
