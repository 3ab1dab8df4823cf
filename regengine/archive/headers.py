"""What the columns of archives' and volunteers' tables are called, and what they hold."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping

# Our name of a column, and how its heading is written as bare lower-case letters and digits. The
# first spelling that a table has counts. Tables of the archive's database are TABLE.FIELD.
SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "frame_id": ("frameid", "issid", "nasaid", "idiss", "imagesfilename", "filename", "photo"),
    "mission": ("mission",),
    "roll": ("roll",),
    "frame": ("frame",),
    "bare_id": ("id",),
    "time": ("timeutc", "datetimeutc", "datetime", "fechadate", "datetimeoriginal"),
    "gmt_date": ("gmtdate", "photodate", "pdate", "date"),
    "gmt_time": ("gmttime", "phototimegmt", "ptime", "hour"),
    "nadir_lat": ("nadirlat", "nlat", "framesnlat"),
    "nadir_lon": ("nadirlon", "nlon", "framesnlon"),
    "altitude_km": ("altitudekm",),
    "altitude_nmi": ("altitudenmi", "spacecraftaltitudenauticalmiles"),
    "camera": ("camera", "camerabody", "model", "camaramodel", "camerauncataloged"),
    "focal": ("focalmm", "lensmm", "focallengthmm", "fclt", "focal", "lens", "focalfocallength"),
    "exposure": ("exposures", "shutter", "exposure", "exp", "texposicionshutter"),
    "aperture": ("aperturef", "aperture", "f", "aperturaaperture"),
    "iso": ("iso",),
    "centre_lat": ("centrelat", "centerlat", "centerpointlat", "frameslat"),
    "centre_lon": ("centrelon", "centerlon", "centerpointlon", "frameslon"),
    "centre": ("coordenadasdelcentrodelaimagencentercordinates",),
    "place_lat": ("placelat", "citylat", "latcity", "citylat2", "mlcoordlat"),
    "place_lon": ("placelon", "citylon", "loncity", "citylon2", "mlcoordlon"),
    "lat": ("lat",),
    "lon": ("lon",),
    "place": ("place", "geon", "geographicname", "lugarplace", "city"),
    "country": ("paiscountry",),
    "features": ("features", "feat", "featuresidentifiedmanually"),
    "caption": ("caption", "captionscaption"),
    "sun_azimuth": ("sunazimuthdeg", "sunazimuth", "sunaz", "azi"),
    "sun_elevation": (
        "sunelevationdeg",
        "sunelevationangle",
        "sunel",
        "sunelv",
        "elev",
    ),
    "clouds": ("cloudpercent", "cloudspercentage", "cloudspct", "cldp"),
    "record_type": ("recordtype",),
    "map_link": ("coordimage",),
}
# Fields of the archive's database whose meaning depends on their table
TABLE_FIELDS: Mapping[str, str] = {
    "nadir.lat": "nadirlat",
    "nadir.lon": "nadirlon",
    "frames.lat": "frameslat",
    "frames.lon": "frameslon",
    "mlcoord.lat": "mlcoordlat",
    "mlcoord.lon": "mlcoordlon",
}
_TABLES = "frames|nadir|images|camera|captions|mlfeat|mlcoord|publicfeatures"
_FIELD = re.compile(rf"(?:{_TABLES})[.|](\w+)", re.IGNORECASE)


def bare(heading: str) -> str:
    """A heading as lower-case ASCII letters and digits, without accents and marks."""
    text = TABLE_FIELDS.get(heading.lower().replace("|", "."))
    if text is None:
        field = _FIELD.fullmatch(heading.strip())
        text = field[1] if field else heading
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]", "", plain.lower())


def known_columns(headings: Iterable[str]) -> dict[str, str]:
    """Which of a table's headings holds each value that we know.

    Parameters
    ----------
    headings : iterable of str
        As they stand in the table.

    Returns
    -------
    dict of str to str
        Our name to the table's heading.
    """
    written: dict[str, str] = {}
    for heading in headings:
        written.setdefault(bare(heading), heading)
    found = {}
    for name, spellings in SPELLINGS.items():
        for spelling in spellings:
            if spelling in written:
                found[name] = written[spelling]
                break
    return found
