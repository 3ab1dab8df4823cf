"""Text of a frame: the complete record in a store, and its line in the table of a run.

`register` and `show` print the table.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from rich.cells import cell_len

from matchers.geometry.footprint import centre_lonlat
from regengine.errors import escape_terminal
from regengine.io.console import as_typed, fit_cell
from regengine.io.plain import make_printable, plain
from regengine.io.tables import cell, csv_lines
from regengine.store import records
from regengine.store.result import FrameResult, Reviewed, decide_state
from regengine.store.reviews import describe_decision, name_shown
from regengine.store.rows import StoredFrame

Section = list[tuple[str, str]]


def frame_sheet(
    stored: StoredFrame, review: Reviewed | None = None, width: int | None = None
) -> str:
    """A multi-line description of one frame, without a final line break, and so wide at most."""
    result = stored.result
    if review is None or review.decision == "glanced":
        lines = [f"{result.frame}  {records.VERDICT_WORDS[result.verdict]}"]
        lines += [f"  {reason.code}: {reason.text}" for reason in result.reasons]
    else:
        decided, _, by = describe_decision(review).partition(" ")
        lines = [f"{result.frame}  {decided.upper()} {by}"]
    sections = {
        "decision": _decision(result, review),
        "photo": _photo(result),
        "start of the search": _start(result),
        "solution": _solution(result),
        "fit": _fit(result),
        "made": [
            ("by", f"regengine {result.engine_version}"),
            ("on the map", result.map_title or "none"),
            ("at", stored.processed_utc),
            ("in", f"{result.seconds:.2f} s"),
            *_settings(stored.parameters),
        ],
    }
    for title, rows in sections.items():
        if not rows:
            continue
        if title == "made":
            lines += _points(result)
            if result.hypotheses:
                head = "  rank     ncc log10 odds  off-nadir  centre"
                lines += ["", "hypotheses", head]
            lines += [
                f"  {h.rank:4d}  {h.ncc:6.3f} {h.log10_odds:10.1f}  {h.solved.off_nadir_deg:8.1f}°"
                f"  {records.ground_text(h.solved.camera)}"
                for h in result.hypotheses
            ]
        lines += ["", title, *(f"  {name:<{NAME_WIDTH}}{value}" for name, value in rows)]
    lines = [escape_terminal(as_typed(line)) for line in lines]
    if width is not None:
        lines = [part for line in lines for part in _wrap(line, width)]
    return "\n".join(lines)


NAME_WIDTH = 21
IN_THE_SKY = "the middle of the photo shows the sky"  # as the review page says


def _wrap(line: str, width: int) -> list[str]:
    """A line in parts of this width, the later ones under its value."""
    if len(line) <= width:
        return [line]
    indent = " " * (2 + NAME_WIDTH if line[:2] == "  " and line[1 + NAME_WIDTH] == " " else 4)
    start = len(line) - len(line.lstrip())
    return textwrap.wrap(
        line[start:],
        max(width, 2 * len(indent)),
        initial_indent=" " * start,
        subsequent_indent=indent,
        break_on_hyphens=False,
    )


def _decision(result: FrameResult, review: Reviewed | None) -> Section:
    if review is None:
        return []
    # A glance leaves the engine's word at the top
    told = () if review.decision == "glanced" else result.reasons
    rows = [
        ("decision", review.decision),
        ("by", review.reviewer),
        ("at", review.time_utc),
        ("engine's verdict", result.verdict),
        *(("", f"{reason.code}: {reason.text}") for reason in told),
    ]
    proposed = None if result.solved is None else result.solved.camera
    if review.decision == "accepted" and review.camera not in (None, proposed):
        rows.append(("camera", "placed by the reviewer, see export; below is the proposal"))
    if review.disputed:
        rows.append(("disputed", "others decided differently"))
    return rows


def _photo(result: FrameResult) -> Section:
    sources = dict(result.sources)

    def told(name: str, text: str) -> str:
        source = sources.get(name)
        return f"{text} ({_source_words(source)})" if source else text

    rows = [("path", result.path), ("sha256", result.sha256 or "unreadable")]
    if result.width_px is not None:
        size = f"{result.width_px} x {result.height_px} px, EXIF orientation {result.orientation}"
        rows.append(("size", size))
    if result.category is not None:
        rows.append(("category", told("category", result.category)))
    rows += [
        ("time", told("time", result.time_utc or "unknown")),
        ("camera", told("camera_body", result.camera_body or "unknown")),
        ("focal length", told("focal_mm", _number(result.focal_mm, "mm"))),
        ("pixel pitch", told("pixel_pitch_um", _number(result.pixel_pitch_um, "µm"))),
    ]
    if "place" in sources:
        rows.append(("named town", _source_words(sources["place"])))
    return rows


def _start(result: FrameResult) -> Section:
    nadir = records.prior_nadir(result)
    if nadir is None:
        return []
    place = f"{records.degrees_text(nadir.lon, nadir.lat, digits=3)}, {nadir.altitude_km:.1f} km"
    if dict(result.sources).get("altitude_km") == "assumed":
        place += " assumed"
    rows = [("prior nadir", f"{place} ({_source_words(nadir.source)})")]
    if nadir.tle_age_h is not None:
        whence = dict(result.sources).get("tle", "")
        whence = f", from {whence}" if whence else ""
        rows.append(("age of the TLE", f"{nadir.tle_age_h:.1f} h{whence}"))
    sigma = f"{nadir.sigma_along_km:.1f} km along the track, {nadir.sigma_cross_km:.1f} km across"
    return [*rows, ("one sigma", sigma)]


def _solution(result: FrameResult) -> Section:
    if result.solved is None:
        return []
    solved, camera = result.solved, result.solved.camera
    rows = [
        ("probability", records.probability_words(result) or "unknown"),
        ("shows", _name_place(result, None) or "unknown"),
        ("centre", records.centre_text(result, digits=4).replace("sky", IN_THE_SKY)),
        ("nadir", records.nadir_text(camera, digits=3)),
        ("off-nadir", f"{solved.off_nadir_deg:.2f}°"),
        ("focal length", f"{camera.focal_px:.2f} px"),
        ("principal point", "({:.2f}, {:.2f}) px".format(*camera.principal_point)),
        ("distortion", " ".join(f"{value:.5g}" for value in camera.distortion)),
        ("quaternion", " ".join(f"{value:.9f}" for value in camera.quaternion)),
        ("position ECEF", " ".join(f"{value:.1f}" for value in camera.position_ecef_m) + " m"),
        ("mirrored", "yes" if camera.mirrored else "no"),
    ]
    if offset := records.offset_text(result):
        rows.append(("along-track offset", offset))
    if camera.pixel_aspect is not None:
        rows.append(("pixel aspect", f"{camera.pixel_aspect:.3f}, stretched"))
    if result.footprint is not None:
        corners = [
            records.degrees_text(*corner) if corner else "sky" for corner in result.footprint
        ]
        rows.append(("corners", ", ".join(corners)))
    if result.footprint_diagonal_km is not None:
        rows.append(("footprint diagonal", f"{result.footprint_diagonal_km:.0f} km"))
    return rows


def _fit(result: FrameResult) -> Section:
    fit = result.fit
    if fit is None:
        return []
    held_out, by_lights = fit.held_out_residual_px, result.reference_kind == "lights"
    rows: list[tuple[str, str]] = [("placed on", result.reference_kind)]
    if by_lights:
        rows += [
            ("correlation", f"{fit.ncc:.3f}, runner-up {fit.runner_up_ncc:.3f}"),
            ("log10 odds", f"{fit.log10_odds:.1f}, runner-up {fit.runner_up_log10_odds:.1f}"),
            ("matched lights", str(fit.matched_lights)),
        ]
    else:
        for one in result.proofs:
            agree = f"{one.n_agreeing} of {one.n_patches} held-out patches agree"
            told = f"{agree} (chance 1e-{-one.log10_chance:.1f})"
            rows.append((f"at {one.sample_m:.4g} m a pixel", told))
        rows += [("correlation", f"{fit.ncc:.3f}"), ("log10 odds", f"{fit.log10_odds:.1f}")]
    few = "too few lights" if by_lights else "no patches"
    return [
        *rows,
        ("residual", f"{fit.residual_px:.2f} px, {fit.residual_m:.0f} m"),
        ("held-out residual", few if held_out is None else f"{held_out:.2f} px"),
    ]


def _points(result: FrameResult) -> list[str]:
    if not result.control_points:
        return []
    by_lights = result.reference_kind == "lights"
    rows = [
        f"  {number}  {p.x:9.2f} {p.y:9.2f}  {p.lon:11.5f} {p.lat:10.5f}"
        f"  {p.sigma_px:8.2f} {p.sigma_m:8.0f}" + (f"  {p.n_lights:6d}" if by_lights else "")
        for number, p in enumerate(result.control_points, start=1)
    ]
    title = "  #          x         y          lon        lat  sigma px  sigma m"
    return ["", "control points", title + ("  lights" if by_lights else ""), *rows]


def _settings(parameters: str) -> Section:
    """Files that the result depends on, and options that differ from their defaults."""
    from regengine.maps.index.earth import BlindOptions
    from regengine.photo.frame import FrameOptions
    from regengine.registration.parameters import RegisterParams

    try:
        known = json.loads(parameters)
        search = dict(known.pop("register", {}))
    except (ValueError, AttributeError, TypeError):
        return []
    known.pop("engine_version", None)
    made = {"neighbours": True, "stars": True, **asdict(RegisterParams())}
    made |= {"blind": asdict(BlindOptions()), "frame": asdict(FrameOptions())}
    usual = json.loads(json.dumps(made, default=str))
    lines = []
    for name, value in (known | search).items():
        if not isinstance(value, dict):
            value = None if value == usual.get(name) else value
        else:
            default = usual.get(name) or {}
            value = {key: one for key, one in value.items() if one != default.get(key)}
            if name == "blind":  # a hash, of the index beside the map
                value.pop("index", None)
        if text := _setting(value):
            lines.append((name.replace("_", " "), text))
    return lines


def _setting(value: Any) -> str:
    """Text of a setting: files by name, empty if it is not set."""
    if isinstance(value, dict):
        if "fingerprint" in value:
            return str(value.get("path") or value.get("name"))
        inner = {name: _setting(one) for name, one in value.items()}
        text = ", ".join(f"{name.replace('_', ' ')} {one}" for name, one in inner.items() if one)
    elif isinstance(value, list):
        text = ", ".join(map(_setting, value))
    elif isinstance(value, bool):
        text = "yes" if value else "no"
    else:
        text = "" if value is None else str(value)
    return textwrap.shorten(text, SETTING_LETTERS, placeholder=" …")


def _source_words(source: str) -> str:
    source, _, remark = source.partition(" (")
    told = source if source == "assumed" else f"from {source}"
    return f"{told}; {remark.removesuffix(')')}" if remark else told


def _number(value: float | None, unit: str) -> str:
    return "unknown" if value is None else f"{value:g} {unit}"


SETTING_LETTERS = 160
# Columns of the table: title, width, whether text, and which go first where there is little room
COLUMNS = (
    ("frame", 16, True, 0),
    ("verdict", 9, True, 0),
    ("probability", 11, False, 0),
    ("shows", 24, True, 0),
    ("centre", 18, True, 1),
    ("off-nadir", 9, False, 2),
    ("on", 7, True, 4),
    ("matched", 15, False, 3),
    ("margin", 6, False, 6),
    ("seconds", 7, False, 5),
)


def _kept_columns(width: int | None) -> tuple[list[int], int | None]:
    """Columns for which a line of this width has room, and what is left for the reason."""
    kept = [number for number, column in enumerate(COLUMNS) if column[3] == 0]
    if width is None:
        return list(range(len(COLUMNS))), None
    left = width - sum(COLUMNS[number][1] + 2 for number in kept)
    for number in sorted(range(len(COLUMNS)), key=lambda number: COLUMNS[number][3]):
        needed = COLUMNS[number][1] + 2
        if number not in kept:
            # 24 characters are left to the reason
            if left - needed < 24:
                break
            kept.append(number)
            left -= needed
    return sorted(kept), max(left, 0)


def measure_columns(frames: Iterable[str], places: Iterable[str]) -> dict[str, int]:
    """How wide columns must be for the names of frames and of what they show, by title.

    A name of more than 60 columns moves its own line alone.
    """
    told = {"frame": frames, "shows": places}
    return {
        title: min(max((cell_len(escape_terminal(text)) for text in texts), default=0), 60)
        for title, texts in told.items()
    }


def table_header(width: int | None = None, wide: Mapping[str, int] | None = None) -> str:
    """Titles of the columns for which there is room."""
    return _line([title for title, *_ in COLUMNS], "reason", width, wide)


def table_line(
    result: FrameResult,
    review: Reviewed | None = None,
    width: int | None = None,
    wide: Mapping[str, int] | None = None,
) -> str:
    """One frame's line: `COLUMNS`, who decided on it, and the messages or codes of its reasons.

    The margin is that of the correlation over the best alternative solution. A line is at most
    ``width`` long, and its cells are cut to their columns. Without a width everything is whole, in
    columns that are as ``wide`` at least (`measure_columns`).
    """
    solved, margin = result.solved, records.margin_of(result)
    cells = [
        result.frame,
        decide_state(result.verdict, review),
        records.probability_text(result.probability),
        _name_place(result, review),
        records.centre_text(result),
        "" if solved is None else f"{solved.off_nadir_deg:.0f}°",
        "" if result.fit is None else result.reference_kind,
        records.evidence_text(result),
        "" if margin is None else f"{margin:.2f}",
        f"{result.seconds:.1f}",
    ]
    left = _kept_columns(width)[1]
    # From 60 characters on reasons are sentences, and codes below
    codes = left is not None and left < 60
    reasons = [reason.code if codes else reason.text.rstrip(".") for reason in result.reasons]
    decided = escape_terminal(describe_decision(review))
    told = ", ".join(reasons) if codes else "; ".join(reasons)
    return _line(cells, decided or as_typed(told), width, wide)


def _name_place(result: FrameResult, review: Reviewed | None) -> str:
    """What the photo shows: as named or placed in review, else by the proposal."""
    return ", ".join(filter(None, name_shown(result, review)))


CSV_COLUMNS = (
    "frame", "path", "verdict", "probability", "centre_lon", "centre_lat", "off_nadir_deg",
    "placed_on", "matched_lights", "agreeing_patches", "held_out_patches", "ncc", "margin",
    "residual_m", "seconds", "reasons", "reason_texts", "place", "decision", "reviewer",
    "reviewed_utc",
)  # fmt: skip


def csv_row(result: FrameResult, review: Reviewed | None = None) -> str:
    """One frame as a line of CSV: the content of `table_line` in numbers."""
    fit, solved, proofs = result.fit, result.solved, result.proofs
    lon, lat = (None, None) if solved is None else centre_lonlat(solved.camera)
    by_lights = result.reference_kind == "lights"
    values = (
        result.frame,
        result.path,
        decide_state(result.verdict, review),
        result.probability,
        lon,
        lat,
        None if solved is None else solved.off_nadir_deg,
        None if fit is None else result.reference_kind,
        fit.matched_lights if fit is not None and by_lights else None,
        proofs[-1].n_agreeing if proofs else None,
        proofs[-1].n_patches if proofs else None,
        None if fit is None else fit.ncc,
        records.margin_of(result),
        None if fit is None else fit.residual_m,
        round(result.seconds, 3),
        result.codes,
        " ".join(reason.text for reason in result.reasons),
        _name_place(result, review) or None,
        *(getattr(review, name, None) for name in ("decision", "reviewer", "time_utc")),
    )
    told = zip(CSV_COLUMNS, plain(values, make_printable), strict=True)
    return next(csv_lines([[cell(name, value) for name, value in told]]))


def _line(
    cells: list[str], last: str, width: int | None, wide: Mapping[str, int] | None = None
) -> str:
    """Texts left-aligned, numbers right-aligned; cut where a line has an end."""
    kept, left = _kept_columns(width)
    texts = []
    for number in kept:
        title, size, is_text, _ = COLUMNS[number]
        if width is None:
            size = max(size, (wide or {}).get(title, 0), cell_len(escape_terminal(cells[number])))
        # Of names the end tells photos apart
        cell = fit_cell(cells[number], size, keep_end=title == "frame")
        texts.append(cell if is_text else cell.strip().rjust(size))
    if left is not None and len(last) > left:
        last = f"{last[: max(left - 1, 0)]}…"
    line = "  ".join([*texts, last]).rstrip()
    return line if width is None else line[:width]
