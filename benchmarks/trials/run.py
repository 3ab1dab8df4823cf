"""A range of seeds drawn, registered and scored into a table; what it holds already is skipped."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.pages import commit
from benchmarks.processes import Columns, Lost, work_through
from benchmarks.row_tables import RowTable
from regengine.registration.parameters import RegisterParams

if TYPE_CHECKING:
    from benchmarks.trials.attempt import Registration, Told
    from benchmarks.trials.exposures import Kind
    from benchmarks.trials.mirrored import MirroredMap
    from benchmarks.trials.source import Half, Trial, TrialSource
    from regengine.references.reference import LightMap
    from regengine.registration.index.earth import EarthIndex
    from regengine.registration.windows import NightLights


# A trial is drawn in seconds and searched in its budget; what takes this much longer hangs
LIMIT_BUDGETS, LIMIT_REST_S = 8.0, 120.0
FRAMES = ("all", "steep", "limb", "unknown", "telephoto")
STEEP_DEG, TELEPHOTO_MM = 30.0, 135.0


@dataclass(frozen=True, kw_only=True)
class TrialSettings:
    """What all trials of a run share; pickles, so that workers can have it."""

    half: Half = "test"  # "train" or "test"
    real: Path | None = None  # folder of the real data; the self-made world where None.
    lights: Path | None = None  # map to register on; the source's own where None.
    register: RegisterParams = field(default_factory=RegisterParams)  # settings of the registration
    told: Told = "all"  # or "nothing" of time and orbit
    index: Path | None = None  # of the map, where it is not the one beside it
    index_words: str = ""  # which that is
    mirrored_index: Path = Path("mirrored.idx")  # of a large map in the mirror, made at need

    @property
    def limit_s(self) -> float:
        """Longest that one trial may take."""
        return LIMIT_BUDGETS * self.register.max_seconds + LIMIT_REST_S


@dataclass(frozen=True, kw_only=True)
class Workshop:
    """What a worker process keeps open."""

    settings: TrialSettings
    lights: Path
    light_map: LightMap

    @cached_property
    def source(self) -> TrialSource:
        """The world to photograph."""
        return source_of(self.settings)

    def draw(self, seed: int) -> Trial:
        """Draw a trial; told nothing, all that is on the map and well lit is registrable."""
        from benchmarks.trials.draw import ENOUGH_PLACES, draw_trial
        from benchmarks.trials.mirrored import FIRST_MIRRORED, against_the_mirror

        if seed >= FIRST_MIRRORED:
            trial = draw_trial(seed - FIRST_MIRRORED, self.source, "city")
            return against_the_mirror(trial, self.mirrored_map.meridian_deg)
        trial = draw_trial(seed, self.source)
        on_map = trial.kind != "elsewhere" or self.source.decoy_world is None
        lit = on_map and trial.places >= ENOUGH_PLACES
        return replace(trial, registrable=True) if lit and self.settings.told != "all" else trial

    def register(self, trial: Trial, folder: Path) -> Registration:
        """Register a trial with what the settings say."""
        from benchmarks.trials.attempt import register_trial
        from regengine.registration.types import SearchReferences

        index = self.mirrored_index if trial.kind == "mirrored_map" else self.index
        references = SearchReferences(light_map=self.map_of(trial), index=index)
        told = self.settings.told
        return register_trial(trial, references, self.settings.register, folder, told=told)

    def map_of(self, trial: Trial) -> NightLights:
        """The map that a trial is registered on."""
        return self.mirrored_map if trial.kind == "mirrored_map" else self.light_map

    @cached_property
    def index(self) -> EarthIndex | None:
        """Index of the map."""
        from regengine.registration.index.options import BlindOptions, load_earth_index

        return load_earth_index(BlindOptions(index=self.settings.index), (self.lights,))

    @cached_property
    def mirrored_map(self) -> MirroredMap:
        """The map in the mirror."""
        from benchmarks.trials.mirrored import MirroredMap

        return MirroredMap(original=self.light_map)

    @cached_property
    def mirrored_index(self) -> EarthIndex | None:
        """Its index, where the map has one."""
        from benchmarks.trials.mirrored import index_of

        file = self.settings.mirrored_index
        return None if self.index is None else index_of(self.mirrored_map, self.lights, file)


_open: list[Workshop] = []


def source_of(settings: TrialSettings) -> TrialSource:
    """The world that trials are drawn from."""
    from benchmarks.trials.source import make_source, real_source

    real, half = settings.real, settings.half
    return make_source(half) if real is None else real_source(real, half)


def open_workshop(settings: TrialSettings) -> Workshop:
    """Open the map to register on."""
    from regengine.errors import ConfigError
    from regengine.references.opening import open_light_map

    lights = settings.lights or source_of(settings).light_map_path
    if lights is None:
        raise ConfigError("no map to register on: give the light map with --lights")
    return Workshop(settings=settings, lights=lights, light_map=open_light_map([lights]))


def prepare(settings: TrialSettings) -> None:
    """Make a process ready: libraries loaded, one thread, world and map open."""
    import cv2

    import benchmarks.trials.attempt  # noqa: F401  (its time is not the first trial's)

    cv2.setNumThreads(1)
    _open[:] = [open_workshop(settings)]
    _ = _open[0].index, _open[0].source  # nor is that


def workshop() -> Workshop:
    """What `prepare` has opened in this process."""
    return _open[0]


def run_trial(seed: int) -> Columns:
    """Draw, register and score one trial; an error in the engine is a row with the problem."""
    from benchmarks.trials.attempt import outcome_columns, trial_columns

    shop, started = workshop(), time.process_time()
    trial = shop.draw(seed)
    columns = trial_columns(trial) | {"seconds_draw": time.process_time() - started}
    with tempfile.TemporaryDirectory() as folder:
        try:
            return columns | outcome_columns(trial, shop.register(trial, Path(folder)))
        except Exception as error:
            return columns | make_failed_columns(f"{type(error).__name__}: {error}")


def select_seeds(
    seeds: Iterable[int], kinds: Collection[str], frames: str, shop: Workshop
) -> list[int]:
    """Those seeds that draw trials of some kinds, and photographs of some frames."""
    from benchmarks.trials.draw import WITH_LIGHTS, kind_of, told_shot
    from benchmarks.trials.mirrored import FIRST_MIRRORED
    from benchmarks.trials.shot import off_nadir_deg, view_shares

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


def draw_only(seed: int) -> Columns:
    """What was drawn for a trial whose registration did not end."""
    from benchmarks.trials.attempt import trial_columns

    return trial_columns(workshop().draw(seed))


def make_failed_columns(problem: str) -> Columns:
    """Columns of a trial that could not be registered."""
    return {"verdict": "failed", "problem": problem}


def run_trials(
    seeds: Iterable[int],
    table: Path,
    settings: TrialSettings,
    *,
    workers: int = 1,
    tell: Callable[[Columns], None],
    work: Callable[[int], Columns] = run_trial,
    describe: Callable[[int], Columns] = draw_only,
    prepare: Callable[..., None] = prepare,
) -> None:
    """Run trials that the table does not hold yet; each appends a row as it ends."""
    rows = RowTable(table)
    done = {int(row["seed"]) for row in rows.rows() if row["half"] == settings.half}
    lost: dict[int, str] = {}

    def through(wanted: Iterable[int], task: Callable[[int], Columns]) -> Any:
        return work_through(
            wanted,
            task,
            workers=workers,
            limit_s=settings.limit_s,
            prepare=prepare,
            prepare_args=(settings,),
        )

    made_with = {
        "commit": commit(),
        "map": settings.lights.name if settings.lights else "",
        "budget_s": settings.register.work_budget,
        "methods": "+".join(settings.register.search.methods),
        "told": settings.told,
        "index": settings.index_words,
    }

    def keep(columns: Columns) -> None:
        rows.append(columns | made_with)
        tell(columns)

    for seed, columns in through([s for s in seeds if s not in done], work):
        if isinstance(columns, Lost):
            lost[seed] = columns.problem
        else:
            keep(columns)
    for seed, columns in through(list(lost), describe) if lost else ():
        known = {"seed": seed, "half": settings.half}
        known |= {} if isinstance(columns, Lost) else columns
        keep(known | make_failed_columns(lost[seed]))
