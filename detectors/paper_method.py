"""What the seven variants of the streak paper share: all but how pixels are clustered."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from detectors.paper_pipeline import PaperSettings, paper_pixels, paper_streaks
from detectors.pixel_clusters import TwoClusters
from detectors.streak_types import StreakDetections


@dataclass(frozen=True, kw_only=True)
class PaperMethod:
    """The streak paper's pipeline; a variant names itself and its clustering.

    Attributes
    ----------
    settings : PaperSettings
        Parameters of the steps.
    seed : int
        Of everything that is drawn at random.
    """

    settings: PaperSettings = field(default_factory=PaperSettings)
    seed: int = 0
    name: ClassVar[str]
    clustering: ClassVar[staticmethod[..., TwoClusters]]

    def detect(
        self,
        light: NDArray[np.generic],
        mask: NDArray[np.bool_] | None = None,
        saturated: NDArray[np.generic] | None = None,
    ) -> StreakDetections:
        """Find the streaks of an image; see `detectors.streak_types.StreakDetector`."""
        return paper_streaks(
            light,
            mask,
            saturated,
            clustering=type(self).clustering,
            settings=self.settings,
            seed=self.seed,
        )

    def streak_pixels(self, light: NDArray[np.generic]) -> NDArray[np.bool_]:
        """Pixels of the streaks' cluster, before lines are drawn through them."""
        return paper_pixels(
            light, clustering=type(self).clustering, settings=self.settings, seed=self.seed
        )
