"""Photo, map, residual and scatter of one comparison, as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regengine.errors import ConfigError
from regengine.radiometry.measure import Radiometry

# Radiance at which the colours turn from linear to logarithmic
KNEE_NW = 1.0
TICKS_NW = (0, 1, 3, 10, 30, 100, 300, 1000)


def check_figures() -> None:
    """See to it that pictures can be drawn.

    Raises
    ------
    ConfigError
        If matplotlib is not installed.
    """
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            "--plot needs matplotlib, which is not installed: `pip install matplotlib`."
        ) from error


def draw(found: Radiometry, title: str, path: Path) -> None:
    """Draw photo, map and residual side by side, and photo over map.

    Parameters
    ----------
    found : Radiometry
        The comparison.
    title : str
        Name of the photo; it is text, whatever it holds.
    path : Path
        A new PNG.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(14.0, 11.0), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 2)
    gain, compared = found.gain, found.comparison
    photo = np.where(compared.judged, gain.photo_nw(compared), np.nan)
    radiance = np.where(compared.judged, compared.radiance_nw, np.nan)
    top = float(np.nanquantile(radiance, 0.9999))
    for place, image, name in ((axes[0, 0], photo, "photo"), (axes[0, 1], radiance, "map")):
        _image(figure, place, found, image, name, top)
    _residual(figure, axes[1, 0], found)
    _scatter(axes[1, 1], found, photo, radiance)
    figure.suptitle(title.replace("$", r"\$"))
    figure.savefig(path, dpi=80, metadata={"Software": None}, format="png")


def _extent(found: Radiometry) -> tuple[float, float, float, float]:
    grid = found.cells.grid
    east = grid.west + grid.width * grid.resolution
    return grid.west, east, grid.north - grid.height * grid.resolution, grid.north


def _image(
    figure: Any, axes: Any, found: Radiometry, nw: NDArray[np.floating], name: str, top: float
) -> None:
    high = float(np.arcsinh(max(top, 10.0) / KNEE_NW))
    drawn = axes.imshow(
        np.arcsinh(nw / KNEE_NW), cmap="inferno", vmin=0.0, vmax=high, extent=_extent(found)
    )
    _upright(axes, found)
    axes.set_title(f"{name}, nW cm⁻² sr⁻¹")
    ticks = [tick for tick in TICKS_NW if np.arcsinh(tick / KNEE_NW) <= high]
    bar = figure.colorbar(drawn, ax=axes, ticks=np.arcsinh(np.array(ticks) / KNEE_NW))
    bar.set_ticklabels([str(tick) for tick in ticks])


def _residual(figure: Any, axes: Any, found: Radiometry) -> None:
    limit = found.significance.limit
    drawn = axes.imshow(
        found.significance.sigma,
        cmap="RdBu_r",
        vmin=-1.2 * limit,
        vmax=1.2 * limit,
        extent=_extent(found),
    )
    figure.colorbar(drawn, ax=axes)
    _upright(axes, found)
    for change in found.changes[:50]:
        lon = change.lon + 360.0 * round((found.cells.grid.west - change.lon) / 360.0)
        axes.plot(lon, change.lat, "o", mfc="none", mec="black", ms=14)
    axes.set_title(f"residual, sigma; rings: beyond {limit:.1f}")


def _upright(axes: Any, found: Radiometry) -> None:
    """Show what is compared alone, a kilometre as long across as down."""
    grid, judged = found.cells.grid, found.comparison.judged
    rows, columns = (np.flatnonzero(judged.any(axis=axis)) for axis in (1, 0))
    south, north = (grid.north - grid.resolution * row for row in (rows[-1] + 1.0, rows[0]))
    edges = (columns[0], columns[-1] + 1.0)
    axes.set_xlim(*(grid.west + grid.resolution * column for column in edges))
    axes.set_ylim(south, north)
    axes.set_aspect(1.0 / max(float(np.cos(np.radians(0.5 * (south + north)))), 0.05))


def _scatter(
    axes: Any, found: Radiometry, photo: NDArray[np.floating], radiance: NDArray[np.floating]
) -> None:
    gain, usable = found.gain, found.comparison.usable
    x, y = (np.arcsinh(image[usable] / KNEE_NW) for image in (radiance, photo))
    axes.hexbin(x, y, bins="log", gridsize=90, mincnt=1, cmap="viridis")
    ends = np.array([min(x.min(), y.min()), max(x.max(), y.max())])
    axes.plot(ends, ends, color="red", lw=1.0)
    places = [tick for tick in TICKS_NW if np.arcsinh(tick / KNEE_NW) <= ends[1]]
    for setter in (axes.set_xticks, axes.set_yticks):
        setter(np.arcsinh(np.array(places) / KNEE_NW), [str(tick) for tick in places])
    axes.set_xlabel("map, nW cm⁻² sr⁻¹")
    axes.set_ylabel("photo over gain, nW cm⁻² sr⁻¹")
    axes.set_title(
        f"gain {gain.gain:.3g} ± {gain.gain_sigma:.1g}, exponent {gain.exponent:.2f}, "
        f"R² {gain.r_squared:.2f}, scatter {gain.scatter:.2f}"
    )
