"""Element sets made for tests, written column by column from the format's description."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from sgp4.api import Satrec


def with_checksum(line: str) -> str:
    """The line's first 68 characters, and their sum: digits as they are, minus signs as one."""
    return line[:68] + str(sum(int(c) if c.isdigit() else c == "-" for c in line[:68]) % 10)


@dataclass(frozen=True, kw_only=True)
class Elements:
    """Mean elements like the ISS's."""

    epoch: datetime = datetime(2016, 5, 1, 12, tzinfo=UTC)
    inclination_deg: float = 51.64
    node_deg: float = 120.0
    eccentricity: float = 0.0003
    perigee_deg: float = 40.0
    anomaly_deg: float = 10.0
    revolutions_a_day: float = 15.54
    revolution: int = 12345
    drag: str = " 00000-0"
    satellite: str = "25544"

    def lines(self) -> tuple[str, str]:
        new_year = datetime(self.epoch.year, 1, 1, tzinfo=UTC)
        day = 1.0 + (self.epoch - new_year) / timedelta(days=1)
        first = (
            f"1 {self.satellite}U 98067A   {self.epoch.year % 100:02d}{day:012.8f} "
            f" .00000000  00000-0 {self.drag} 0  999"
        )
        second = (
            f"2 {self.satellite} {self.inclination_deg:8.4f} {self.node_deg % 360:8.4f} "
            f"{round(self.eccentricity * 1e7):07d} {self.perigee_deg % 360:8.4f} "
            f"{self.anomaly_deg % 360:8.4f} {self.revolutions_a_day:11.8f}{self.revolution:5d}"
        )
        return with_checksum(first), with_checksum(second)

    def text(self) -> str:
        return "\n".join(self.lines()) + "\n"

    def later(self, days: float) -> Elements:
        """The same orbit described at another epoch, by SGP4's own secular rates."""
        record = Satrec.twoline2rv(*self.lines())
        turn = days * 1440.0 * 57.29577951308232
        since_node = (self.perigee_deg + self.anomaly_deg) % 360.0
        passed = (since_node + (record.argpdot + record.mdot) * turn) // 360.0
        return replace(
            self,
            epoch=self.epoch + timedelta(days=days),
            node_deg=self.node_deg + record.nodedot * turn,
            perigee_deg=self.perigee_deg + record.argpdot * turn,
            anomaly_deg=self.anomaly_deg + record.mdot * turn,
            revolution=self.revolution + int(passed),
        )
