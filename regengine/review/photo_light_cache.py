"""City light of the photos that a person works on, kept while they do."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from threading import Lock

from matchers.camera import Camera
from matchers.earth import ecef_to_geodetic
from matchers.photo_light import LightImage
from regengine.image import read_linear_light
from regengine.light_windows import ground_sample_km
from regengine.photo_camera import fine_px, lights_of_photo

KEPT = 3
SMOOTH_PX = 1.0  # about the map's own blur


class PhotoLightCache:
    """Light images of the latest photos; may be asked by many threads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[Path, int, int], LightImage] = OrderedDict()
        self._lock = Lock()

    def light(self, path: Path, camera: Camera) -> LightImage:
        """The photo's city light in pixels of about a third of a kilometre.

        Parameters
        ----------
        path : Path
            The photo.
        camera : Camera
            Tells how large its pixels are on the ground.

        Returns
        -------
        LightImage

        Raises
        ------
        FrameError
            If the photo cannot be read.
        """
        altitude_km = float(ecef_to_geodetic(camera.position_ecef_m)[2]) / 1e3
        side_px = fine_px(camera, altitude_km)
        key = path, path.stat().st_mtime_ns, side_px
        with self._lock:  # one at a time: each takes a second and some hundred megabytes
            if key not in self._kept:
                self._kept[key] = _light_of(path, camera, side_px)
                while len(self._kept) > KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(key)
            return self._kept[key]


def _light_of(path: Path, camera: Camera, side_px: int) -> LightImage:
    linear = read_linear_light(path, max_long_side_px=side_px)
    lights = lights_of_photo(linear, ground_sample_km(camera) / linear.factor)
    return lights.sharp.resized(side_px, SMOOTH_PX)
