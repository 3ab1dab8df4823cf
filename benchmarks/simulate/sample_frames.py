"""The six sample photographs and the element sets shipped with them: what is chosen by hand."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from benchmarks.simulate.scene import CloudLayer, SceneParameters
from benchmarks.simulate.sim_camera import Pointing


def utc_of_2014(month: int, day: int, hour: int, minute: int, second: int) -> datetime:
    """A time of the year in which the samples were never taken."""
    return datetime(2014, month, day, hour, minute, second, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class SampleFrame:
    """How one sample photograph is taken.

    Attributes
    ----------
    frame_id : str
    time_utc : datetime
        True time.
    clock_error_s : float
        Camera clock minus true time.
    focal_mm : float
        As EXIF says.
    focal_error : float
        True focal length over the nominal one, minus 1.
    k1 : float
        Radial distortion.
    pointing : Pointing
    width_px, height_px : int
    body : str
    orientation : int
        EXIF orientation.
    scene : SceneParameters
    """

    frame_id: str
    time_utc: datetime
    clock_error_s: float = 0.0
    focal_mm: float
    focal_error: float
    k1: float = 0.0
    pointing: Pointing
    width_px: int = 1600
    height_px: int = 1065
    body: str = "NIKON D3S"
    orientation: int = 1
    scene: SceneParameters = field(default_factory=SceneParameters)


MOONLIT_CLOUDS = (
    CloudLayer(coverage=0.45, optical_depth=12.0, brightness_nw=7.0, scale_km=200.0),
    CloudLayer(coverage=0.45, optical_depth=1.0, brightness_nw=4.0, scale_km=420.0),
)

FRAMES = (
    SampleFrame(
        frame_id="ISS990-E-000101",
        time_utc=utc_of_2014(1, 17, 7, 46, 2),
        clock_error_s=1.0,
        focal_mm=50.0,
        focal_error=0.011,
        pointing=Pointing(off_nadir_deg=14.0, azimuth_deg=215.0, roll_deg=-68.0),
        scene=SceneParameters(seed=101, ground_nw=0.5, clouds=MOONLIT_CLOUDS, motion_px=1.5),
    ),
    SampleFrame(
        frame_id="ISS990-E-000102",
        time_utc=utc_of_2014(1, 18, 6, 58, 40),
        clock_error_s=1.0,
        focal_mm=58.0,
        focal_error=-0.006,
        pointing=Pointing(off_nadir_deg=17.0, azimuth_deg=150.0, roll_deg=12.0),
        scene=SceneParameters(
            seed=102,
            ground_nw=0.4,
            clouds=(
                CloudLayer(coverage=0.45, optical_depth=5.0, brightness_nw=6.0, scale_km=120.0),
                CloudLayer(coverage=0.30, optical_depth=0.6, brightness_nw=2.0, scale_km=300.0),
            ),
        ),
    ),
    SampleFrame(
        frame_id="ISS990-E-000103",
        time_utc=utc_of_2014(1, 30, 10, 14, 58),
        focal_mm=50.0,
        focal_error=-0.008,
        pointing=Pointing(off_nadir_deg=11.0, azimuth_deg=125.0, roll_deg=35.0),
        width_px=2128,
        height_px=1416,
        scene=SceneParameters(seed=103),
    ),
    SampleFrame(
        frame_id="ISS990-E-000104",
        time_utc=utc_of_2014(1, 31, 9, 26, 37),
        focal_mm=85.0,
        focal_error=0.017,
        pointing=Pointing(off_nadir_deg=11.0, azimuth_deg=250.0, roll_deg=200.0),
        scene=SceneParameters(seed=104, saturation_nw=200.0, motion_px=2.0, motion_deg=40.0),
    ),
    SampleFrame(
        frame_id="ISS990-E-000105",
        time_utc=utc_of_2014(2, 1, 8, 37, 40),
        clock_error_s=12.0,
        focal_mm=50.0,
        focal_error=0.004,
        k1=-0.03,
        pointing=Pointing(off_nadir_deg=15.0, azimuth_deg=235.0, roll_deg=107.0),
        orientation=8,
        scene=SceneParameters(seed=105, saturation_nw=90.0),
    ),
    SampleFrame(
        frame_id="ISS990-E-000106",
        time_utc=utc_of_2014(2, 4, 7, 50, 0),
        clock_error_s=-2.0,
        focal_mm=28.0,
        focal_error=-0.012,
        k1=-0.025,
        pointing=Pointing(off_nadir_deg=52.0, azimuth_deg=243.0, roll_deg=-4.0),
        width_px=2128,
        height_px=1416,
        body="NIKON D4",
        scene=SceneParameters(
            seed=106,
            saturation_nw=70.0,
            ground_nw=0.3,
            clouds=(
                CloudLayer(coverage=0.15, optical_depth=4.0, brightness_nw=2.0, scale_km=500.0),
            ),
        ),
    ),
)

# Epochs of the element sets shipped, and how far each runs ahead of the true orbit in a day, km.
ELEMENT_SETS = (
    (utc_of_2014(1, 16, 20, 11, 30), 2.0),
    (utc_of_2014(1, 18, 1, 40, 0), -1.5),
    (utc_of_2014(1, 24, 9, 5, 0), 3.0),
    (utc_of_2014(1, 30, 2, 20, 0), -4.0),
)
