"""A streak of the satellites' benchmark and the name that it was given."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Named:
    """One streak: who drew it (None: no satellite), and its most probable name."""

    true: str | None
    listed: bool
    best: str | None
    probability: float
    aboard: bool
    at_train: bool
    clock_sigma_s: float
    age_days: float

    @property
    def right(self) -> bool:
        """Whether the most probable name is the true one."""
        return self.best is not None and self.best == self.true and self.listed
