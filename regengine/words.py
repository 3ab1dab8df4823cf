"""Results in words: for tables, overlays and `show`."""

from __future__ import annotations

from regengine.records import centre_lonlat
from regengine.result import FrameResult

VERDICT_WORDS = {
    "accepted": "ACCEPTED: may be used without a look",
    "review": "REVIEW: a proposal that a person must look at",
    "no_match": "NO MATCH: nothing better than chance, or nothing to register",
    "failed": "FAILED: the photo could not be processed",
}


def degrees_text(lon: float, lat: float, *, digits: int = 2) -> str:
    """A place as latitude and longitude with hemispheres: ``35.18 N 136.91 E``."""
    north, east = "N" if lat >= 0 else "S", "E" if lon >= 0 else "W"
    return f"{abs(lat):.{digits}f} {north} {abs(lon):.{digits}f} {east}"


def centre_text(result: FrameResult, *, digits: int = 2) -> str:
    """Place of the image centre; ``sky`` where it shows none, empty without a solution."""
    if result.solved is None:
        return ""
    lon, lat = centre_lonlat(result.solved.camera)
    return "sky" if lon != lon else degrees_text(lon, lat, digits=digits)


def summary_words(result: FrameResult) -> list[str]:
    """The numbers that tell how good a result is, each as a short phrase.

    Parameters
    ----------
    result : FrameResult
        What is said of a frame.

    Returns
    -------
    list of str
        Empty where nothing is known.
    """
    words = []
    if result.probability is not None:
        words.append(f"probability {probability_text(result.probability)}")
    if result.fit is not None:
        words += [
            f"correlation {result.fit.ncc:.2f}, margin {result.fit.margin:.2f}",
            f"{result.fit.matched_lights} matched lights",
            f"residual {result.fit.residual_px:.1f} px ({result.fit.residual_m:.0f} m)",
        ]
    if result.solved is not None:
        words += [
            f"centre {centre_text(result)}",
            f"off-nadir {result.solved.off_nadir_deg:.0f}°",
            f"focal length {result.solved.camera.focal_px:.0f} px",
        ]
        if result.nadir is None or result.nadir.source != "lights":
            words.append(f"along-track {result.solved.along_track_offset_s:+.1f} s")
        if result.solved.camera.mirrored:
            words.append("mirrored")
    if result.nadir is not None:
        nadir = result.nadir
        words.append(
            f"nadir {degrees_text(nadir.lon, nadir.lat)}, {nadir.altitude_km:.0f} km "
            f"({nadir.source})"
        )
    if result.time_utc is not None:
        words.append(result.time_utc)
    if result.orientation != 1:
        words.append(f"shown as stored, EXIF orientation {result.orientation}")
    return words


def probability_text(probability: float | None) -> str:
    """A probability with as many digits as tell it from 0 and 1."""
    if probability is None:
        return ""
    if 0.01 <= probability <= 0.99:
        return f"{probability:.2f}"
    text = f"{probability:.4f}"
    if text in ("0.0000", "1.0000"):
        return "<0.0001" if probability < 0.5 else ">0.9999"
    return text
