"""How far a run's answers can be trusted, as far as the run itself can tell."""

from __future__ import annotations

from typing import Any

from regengine.report.distribution import Distribution, decades
from regengine.result import FrameResult

PROPOSED = ("accepted", "review")
# Narrow where it matters: the acceptance threshold aims at one wrong in a thousand
PROBABILITY_EDGES = (0.0, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 0.9999, 1.0)
MARGIN_EDGES = tuple(step / 20.0 for step in range(-1, 17))
OFF_NADIR_EDGES = tuple(float(degrees) for degrees in range(0, 95, 5))


class Reliability:
    """Probabilities, and how well proposals fit, of accepted and of reviewed photos."""

    def __init__(self) -> None:
        self._expected_right = 0.0
        self._spreads = {verdict: _spreads() for verdict in PROPOSED}
        self._probabilities: dict[str, Distribution] = {}

    def add(self, result: FrameResult) -> None:
        """Take one photo's figures."""
        if result.probability is not None:
            known = self._probabilities.setdefault(result.verdict, Distribution(PROBABILITY_EDGES))
            known.add(result.probability)
            if result.verdict == "accepted":
                self._expected_right += result.probability
        spreads = self._spreads.get(result.verdict)
        if spreads is None:
            return
        # Of four points the worst: it bounds what the proposal can be used for
        spreads["sigma_m"].add(max((p.sigma_m for p in result.control_points), default=None))
        if result.solved is not None:
            spreads["off_nadir_deg"].add(result.solved.off_nadir_deg)
        if result.fit is not None:
            spreads["residual_m"].add(result.fit.residual_m)
            spreads["residual_px"].add(result.fit.residual_px)
            spreads["margin"].add(result.fit.margin)
            spreads["matched_lights"].add(result.fit.matched_lights)

    def figures(self) -> dict[str, Any]:
        """Probabilities by verdict, the expected number of right ones, distributions."""
        probabilities = {v: known.figures() for v, known in sorted(self._probabilities.items())}
        accepted = probabilities.get("accepted", {"count": 0})["count"]
        return {
            "accepted": accepted,
            "expected_right": self._expected_right,
            "expected_wrong": accepted - self._expected_right,
            "probability": probabilities,
            "distributions": {
                name: {verdict: self._spreads[verdict][name].figures() for verdict in PROPOSED}
                for name in self._spreads["accepted"]
            },
        }


def _spreads() -> dict[str, Distribution]:
    return {
        "sigma_m": Distribution(decades(1, 5)),
        "residual_m": Distribution(decades(1, 5)),
        "residual_px": Distribution(decades(-1, 2)),
        "margin": Distribution(MARGIN_EDGES),
        "matched_lights": Distribution(decades(0, 4)),
        "off_nadir_deg": Distribution(OFF_NADIR_EDGES),
    }
