"""A photo archive on this machine that answers as documented, or fails as told.

Its database understands ``query=TABLE|FIELD|OPERATOR|VALUE|…`` (all conditions hold, tables are
joined by mission, roll and frame) and ``return=TABLE|FIELD|…``; it answers with a list of objects
of ``table.field``, texts all, or with ``{"result": "SQL found no records …"}``.
"""

from __future__ import annotations

import json
import operator
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlsplit

from tests.regengine.io.photo_server import served

KEY = "sEcret-0123"
DATABASE = "/SearchPhotos/PhotosDatabaseAPI/PhotosDatabaseAPI.pl"
PAGE = "/SearchPhotos/photo.pl"
PICTURES = "/DatabaseImages/ESC"
SILENCE_S = 1.0  # longer than the patience of the tests
Record = dict[str, str]
OPERATORS: dict[str, Callable[[object, object], bool]] = {
    "eq": operator.eq,
    "ge": operator.ge,
    "le": operator.le,
    "gt": operator.gt,
    "lt": operator.lt,
}


class ArchiveServer:
    """Tables, pictures and texts; what goes wrong, in turn; and what was asked.

    A fault is a status, ``(status, headers)``, "cut", "short" (a wrong length), "slow", "html",
    "truncated" (half of the JSON, whole by its length), bytes (the body), or "to:ADDRESS".
    """

    def __init__(self) -> None:
        self.tables: dict[str, list[Record]] = {"frames": [], "nadir": [], "camera": []}
        self.pictures: dict[str, bytes] = {}
        self.texts: dict[str, bytes] = {}
        self.faults: list[object] = []
        self.most_rows: int | None = None
        self.most_bytes: int | None = None
        self.ranges = True
        self.shift = 0  # of the part that comes against the one that was asked for
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.address = ""

    @property
    def database(self) -> str:
        return self.address + DATABASE

    def conditions(self) -> list[str]:
        return [parse_qs(urlsplit(path).query)["query"][0] for path in self.asked]

    def answer(self, path: str) -> bytes:
        parts = urlsplit(path)
        asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if parts.path == DATABASE:
            return self.select(asked)
        if parts.path == PAGE:
            return self.page("-".join(asked[name] for name in ("mission", "roll", "frame")))
        return self.texts.get(parts.path) or self.pictures[parts.path]

    def select(self, asked: dict[str, str]) -> bytes:
        if asked.get("key") != KEY:
            return json.dumps({"error": f"Invalid API key {asked.get('key')}"}).encode()
        words = asked["query"].split("|")
        conditions = [words[start : start + 4] for start in range(0, len(words), 4)]
        names = asked["return"].split("|")
        fields = list(zip(names[::2], names[1::2], strict=True))
        used = dict.fromkeys([table for table, *_ in conditions] + [table for table, _ in fields])
        tables = []
        for table in used:
            own = [condition[1:] for condition in conditions if condition[0] == table]
            tables.append(
                {
                    (row["mission"], row["roll"], row["frame"]): {
                        f"{table}.{field}": cell for field, cell in row.items()
                    }
                    for row in self.tables[table]
                    if all(holds(row[field], op, value) for field, op, value in own)
                }
            )
        common = [name for name in tables[0] if all(name in table for table in tables)]
        rows = []
        for name in common:
            whole = {heading: cell for table in tables for heading, cell in table[name].items()}
            rows.append({f"{table}.{field}": whole[f"{table}.{field}"] for table, field in fields})
        if not rows:
            told = {"result": "SQL found no records that match the specified criteria"}
            return json.dumps(told).encode()
        body = json.dumps(rows[: self.most_rows]).encode()
        return body[: self.most_bytes]

    def page(self, frame_id: str) -> bytes:
        place = f"/meta/{frame_id}.txt"
        button = (
            f'<input type="button" value="View camera metadata" onclick="window.open(\'{place}\')">'
        )
        has = button if place in self.texts else "No camera metadata file"
        told = self.told_of(frame_id)
        return f"<html><body><b>{frame_id}</b> {told} {has}</body></html>".encode()

    def told_of(self, frame_id: str) -> str:
        """What the page of a photo in the tables says of it, marked up as the archive does."""

        def row_of(table: str) -> Record:
            rows = self.tables[table]
            named = ("-".join((r["mission"], r["roll"], r["frame"])) for r in rows)
            return dict(zip(named, rows, strict=True)).get(frame_id, {})

        nadir, camera = row_of("nadir"), row_of("camera")
        if not nadir:
            return ""
        day, clock = nadir["pdate"], nadir["ptime"]
        lat, lon = float(nadir["lat"]), float(nadir["lon"])
        return (
            "<script>var Time = 'Time taken 01:01:01 GMT';</script><table>"
            f"<tr><td><b>Date taken</b></td><td>{day[:4]}.{day[4:6]}.{day[6:]}</td></tr>"
            f"<tr><td><b>Time taken</b></td><td>{clock[:2]}:{clock[2:4]}:{clock[4:]} GMT</td></tr>"
            "</table><em><b>Photo center point:</b></em> 1.0&deg; N, 2.0&deg; E<br>"
            f"<em><b>Spacecraft nadir point:</b></em> {abs(lat):.1f}&deg; {'NS'[lat < 0]}, "
            f"{abs(lon):.1f}&deg; {'EW'[lon < 0]}<br>"
            "<em><b>Spacecraft Altitude</b></em>: 223 nautical miles (413km)<table>"
            f"<tr><td><b>Camera:</b></td><td>{camera.get('camera', '')}: Nikon D3S</td></tr>"
            f"<tr><td><b>Focal Length:</b></td><td>{camera.get('fclt', '')}mm</td></tr></table>"
        )


def holds(cell: str, op: str, value: str) -> bool:
    try:
        return OPERATORS[op](float(cell), float(value))
    except ValueError:
        return bool(OPERATORS[op](cell, value)) if cell else False


class Handler(BaseHTTPRequestHandler):
    told: ArchiveServer

    def do_GET(self) -> None:
        told = self.told
        told.asked.append(self.path)
        told.headers.append(dict(self.headers))
        fault = told.faults.pop(0) if told.faults else None
        try:
            self.respond(fault)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def respond(self, fault: object) -> None:
        if isinstance(fault, str) and fault.startswith("to:"):
            self.head(302, {"Location": fault[3:], "Content-Length": "0"})
            return
        if isinstance(fault, int | tuple):
            status, headers = fault if isinstance(fault, tuple) else (fault, {})
            self.head(status, {"Content-Length": "0", **headers})
            return
        if fault == "slow":
            threading.Event().wait(SILENCE_S)
        try:
            body = fault if isinstance(fault, bytes) else self.told.answer(self.path)
        except KeyError:
            self.head(404, {"Content-Length": "0"})
            return
        if fault == "html":
            body = b"<!DOCTYPE html><html><title>Log in to the hotel</title></html>"
        if fault == "truncated":
            body = body[: len(body) // 2]
        status, headers = 200, {"ETag": f'"{len(body)}"'}
        wanted = self.headers.get("Range", "")
        if wanted and self.told.ranges and self.headers.get("If-Range") == headers["ETag"]:
            begin = int(wanted.removeprefix("bytes=").rstrip("-")) + self.told.shift
            if begin >= len(body):
                self.head(416, {"Content-Length": "0"})
                return
            headers["Content-Range"] = f"bytes {begin}-{len(body) - 1}/{len(body)}"
            status, body = 206, body[begin:]
        length = len(body) * 2 if fault == "short" else len(body)
        self.head(status, {**headers, "Content-Length": str(length)})
        self.wfile.write(body[: len(body) // 2] if fault == "cut" else body)
        if fault in ("cut", "short"):
            self.close_connection = True

    def head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *arguments: object) -> None: ...


@contextmanager
def archive_server() -> Iterator[ArchiveServer]:
    told = ArchiveServer()
    handler = type("ToldHandler", (Handler,), {"told": told})
    with served(handler) as told.address:
        yield told


def add_frame(
    server: ArchiveServer,
    number: int,
    *,
    day: str = "20140117",
    time: str = "074602",
    lat: float = 35.1,
    lon: float = -151.8,
    sun: float = -33.0,
    focal: str | None = "50",
    catalogued: bool = False,
    mission: str = "ISS990",
) -> None:
    """Put a made-up photo into the tables; of a camera only where there is a focal length."""
    named = {"mission": mission, "roll": "E", "frame": str(number)}
    taken = {"pdate": day, "ptime": time, "azi": "201", "elev": f"{sun:g}", "cldp": "10"}
    server.tables["nadir"].append({**named, **taken, "lat": f"{lat:.1f}", "lon": f"{lon:.1f}"})
    if focal is not None:
        server.tables["camera"].append({**named, "fclt": focal, "camera": "N5"})
    if catalogued:
        place = {"nlat": f"{lat:.1f}", "nlon": f"{lon:.1f}", "lat": "35.5", "lon": "-152.0"}
        words = {"geon": "PACIFIC", "feat": "CITY, COAST"}
        shot = {"fclt": focal or "", "camera": "N5"}
        server.tables["frames"].append({**named, **taken, **place, **shot, **words})
