"""What all trials of a run share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from regengine.errors import ConfigError
from regengine.maps.index.earth import BlindOptions, index_file, load_earth_index
from regengine.registration.parameters import RegisterParams, SearchParams

Told = Literal["all", "nothing"]  # of time and orbit

# What takes this much longer hangs
LIMIT_BUDGETS, LIMIT_REST_S = 8.0, 120.0


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What all trials of a run share; pickles, so that workers can have it."""

    real: Path | None = None  # folder of the real data; the self-made world where None
    lights: Path | None = None  # map to register on
    half: Literal["train", "test"] = "test"  # of the simulated world
    told: Told = "all"
    index: Path | None = None  # of the map, where it is not the one beside it
    index_words: str = ""  # which that is
    mirrored_index: Path = Path("mirrored.idx")  # of a large map in the mirror, made at need
    max_work: float = RegisterParams().work_budget  # of a search
    methods: tuple[str, ...] = SearchParams().methods

    def parameters(self) -> RegisterParams:
        """Parameters of searches that end by their work; the CPU limit is far."""
        usual = RegisterParams()
        return RegisterParams(
            work_budget=self.max_work,
            max_seconds=usual.max_seconds * max(1.0, self.max_work / usual.work_budget),
            search=replace(usual.search, methods=self.methods),
        )

    @property
    def limit_s(self) -> float:
        """Longest that one simulated trial may take: it is drawn in seconds, searched in budget."""
        return LIMIT_BUDGETS * self.parameters().max_seconds + LIMIT_REST_S

    def with_index_named(self) -> Settings:
        """The same with which index the map has; ConfigError where one is needed and missing."""
        assert self.lights is not None
        options = BlindOptions(index=self.index)
        file = index_file(options, [self.lights])
        found = load_earth_index(options, (self.lights,))
        if found is None and self.told == "nothing":
            raise ConfigError(
                f"{self.lights.name} has no index, and photos of which nothing is told are found "
                "by it: make it with regengine maps index, or name it with --index."
            )
        if found is None:
            return replace(self, index_words="none")
        return replace(self, index_words="made in memory" if file is None else file.name)
