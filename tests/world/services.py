"""Servers on this machine that stand for those of the network, and fail as they do."""

from __future__ import annotations

import io
import json
import operator
import re
import threading
import time
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from PIL import Image

LOGIN = b"<!DOCTYPE html><html><title>Log in to the hotel</title></html>"


@dataclass(frozen=True)
class Request:
    """What a client sent."""

    path: str  # without its query
    query: dict[str, str]
    headers: dict[str, str]


class Service:
    """Serves ``files`` by path, and whatever ``answer`` makes of others.

    ``faults`` are what goes wrong with a path (``"*"``: with any), each for one request, in turn;
    ``always`` with every one. A fault is a status, ``(status, headers)``, ``"to:ADDRESS"``,
    bytes (the body), ``"login"`` (a web page), ``"half"`` (of the body, as if it were whole),
    ``"cut"`` (half of what is promised), ``"long"`` (twice as much is promised as comes),
    ``"ok"``, or ``"unsized"`` (without a length).
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.faults: dict[str, list[object]] = defaultdict(list)
        self.always: dict[str, object] = {}
        self.requests: list[Request] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                with suppress(BrokenPipeError, ConnectionResetError):
                    outer._respond(self)

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def url(self, path: str) -> str:
        return self.address + path

    @property
    def asked(self) -> Counter[str]:
        """How often each path was asked for."""
        return Counter(request.path for request in self.requests)

    def answer(self, path: str, query: dict[str, str]) -> bytes:
        return self.files[path]

    def _respond(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.requests.append(Request(parts.path, query, dict(handler.headers)))
        waiting = self.faults[parts.path] or self.faults["*"]
        always = self.always.get(parts.path, self.always.get("*"))
        fault = waiting.pop(0) if waiting else always
        status, headers, body = 200, {}, b""
        if fault == "drip":  # its head, byte by byte
            for byte in b"HTTP/1.1 200 OK\r\nX-Pad: " + 40 * b".":
                handler.wfile.write(bytes([byte]))
                time.sleep(0.03)
            handler.wfile.write(b"\r\nContent-Length: 2\r\n\r\nok")
            return
        if isinstance(fault, str) and fault.startswith("to:"):
            status, headers = 302, {"Location": fault[3:]}
        elif isinstance(fault, int | tuple):
            status, headers = fault if isinstance(fault, tuple) else (fault, {})
        elif isinstance(fault, bytes) or fault == "login":
            body = fault if isinstance(fault, bytes) else LOGIN
        else:
            try:
                body = self.answer(parts.path, query)
            except KeyError:
                status = 404
        if fault == "half":
            body = body[: len(body) // 2]
        tag = f'"{zlib.crc32(body)}"'
        start = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        if start and status == 200 and handler.headers.get("If-Range", tag) == tag:
            whole = len(body)
            status, body = 206, body[int(start[1]) :]
            headers = {"Content-Range": f"bytes {start[1]}-{whole - 1}/{whole}"}
        handler.send_response(status)
        handler.send_header("ETag", tag)
        for name, value in headers.items():
            handler.send_header(name, value)
        if fault != "unsized":
            length = len(body) * 2 if fault == "long" else len(body)
            handler.send_header("Content-Length", str(length))
        handler.end_headers()
        handler.wfile.write(body[: len(body) // 2] if fault == "cut" else body)
        handler.close_connection = True


def tile(level: int = 90) -> bytes:
    """A PNG of 256 by 256 grey pixels that does not compress to nothing."""
    noise = np.random.default_rng(level).integers(0, 3, (256, 256), dtype=np.uint8)
    data = io.BytesIO()
    Image.fromarray(noise + np.uint8(level)).save(data, "PNG")
    return data.getvalue()


def night_picture() -> bytes:
    """A JPEG that looks like no town."""
    noise = np.random.default_rng(1).integers(0, 40, (300, 300), dtype=np.uint8)
    data = io.BytesIO()
    Image.fromarray(noise).save(data, "JPEG", quality=90)
    return data.getvalue()


class TileService(Service):
    """A service of map tiles: every ``/{z}/{y}/{x}.png`` that is no file is `tile`."""

    @property
    def template(self) -> str:
        """What ``--url`` takes."""
        return self.url("/{z}/{y}/{x}.png")

    def answer(self, path: str, query: dict[str, str]) -> bytes:
        if path not in self.files and re.fullmatch(r"/\d+/\d+/\d+\.png", path):
            return tile()
        return self.files[path]

    def list_files(self, path: str, names: list[str]) -> None:
        """Answer a path with a listing of files, as NASA's Earthdata has it."""
        content = [{"name": name, "downloadsLink": self.url(f"/files/{name}")} for name in names]
        self.files[path] = json.dumps({"content": content}).encode()


class ArchiveService(Service):
    """The archive of astronaut photos: its database, its pages and its pictures.

    The database understands ``query=TABLE|FIELD|OPERATOR|VALUE|…`` (all conditions hold, tables
    are joined by mission, roll and frame) and ``return=TABLE|FIELD|…``; it answers with a list of
    objects of ``table.field``, texts all, or with ``{"result": "SQL found no records …"}``.
    """

    KEY = "sEcret-0123"
    DATABASE = "/SearchPhotos/PhotosDatabaseAPI/PhotosDatabaseAPI.pl"
    PAGE = "/SearchPhotos/photo.pl"
    PICTURES = "/DatabaseImages/ESC"

    def __init__(self) -> None:
        super().__init__()
        self.tables: dict[str, list[dict[str, str]]] = {"frames": [], "nadir": [], "camera": []}
        self.most_rows: int | None = None  # of an answer
        self.most_bytes: int | None = None

    def add_picture(self, frame_id: str, data: bytes, size: str = "large") -> None:
        self.files[f"{self.PICTURES}/{size}/{frame_id.partition('-')[0]}/{frame_id}.JPG"] = data

    def add_frame(
        self,
        number: int,
        *,
        day: str = "20140117",
        lat: float = 35.1,
        lon: float = -151.8,
        sun: float = -33.0,
        focal: str | None = "50",
        catalogued: bool = False,
        mission: str = "ISS990",
    ) -> None:
        """Put a photo into the tables; of a camera only where there is a focal length."""
        named = {"mission": mission, "roll": "E", "frame": str(number)}
        taken = {"pdate": day, "ptime": "074602", "azi": "201", "elev": f"{sun:g}", "cldp": "10"}
        self.tables["nadir"].append({**named, **taken, "lat": f"{lat:.1f}", "lon": f"{lon:.1f}"})
        if focal is not None:
            self.tables["camera"].append({**named, "fclt": focal, "camera": "N5"})
        if catalogued:
            place = {"nlat": f"{lat:.1f}", "nlon": f"{lon:.1f}", "lat": "35.5", "lon": "-152.0"}
            words = {"geon": "PACIFIC", "feat": "CITY, COAST"}
            shot = {"fclt": focal or "", "camera": "N5"}
            self.tables["frames"].append({**named, **taken, **place, **shot, **words})

    def answer(self, path: str, query: dict[str, str]) -> bytes:
        if path == self.DATABASE:
            return self._select(query)
        if path == self.PAGE:
            return self._page("-".join(query[name] for name in ("mission", "roll", "frame")))
        return self.files[path]

    def _select(self, query: dict[str, str]) -> bytes:
        if query.get("key") != self.KEY:
            return json.dumps({"error": f"Invalid API key {query.get('key')}"}).encode()
        words = query["query"].split("|")
        conditions = [words[start : start + 4] for start in range(0, len(words), 4)]
        names = query["return"].split("|")
        fields = list(zip(names[::2], names[1::2], strict=True))
        used = dict.fromkeys([table for table, *_ in conditions] + [table for table, _ in fields])
        tables = {
            table: {
                _name(row): row
                for row in self.tables[table]
                if all(_holds(row[f], op, value) for of, f, op, value in conditions if of == table)
            }
            for table in used
        }
        first, *others = tables.values()
        rows = [
            {f"{table}.{field}": tables[table][name][field] for table, field in fields}
            for name in first
            if all(name in other for other in others)
        ]
        if not rows:
            return b'{"result": "SQL found no records that match the specified criteria"}'
        return json.dumps(rows[: self.most_rows]).encode()[: self.most_bytes]

    def _page(self, frame_id: str) -> bytes:
        """The page of a photo, marked up as the archive does."""
        rows = {table: {_name(row): row for row in rows} for table, rows in self.tables.items()}
        nadir, camera = rows["nadir"].get(frame_id), rows["camera"].get(frame_id, {})
        if nadir is None:
            return f"<html><body><b>{frame_id}</b></body></html>".encode()
        day, clock = nadir["pdate"], nadir["ptime"]
        lat, lon = float(nadir["lat"]), float(nadir["lon"])
        return (
            f"<html><body><b>{frame_id}</b>"
            "<script>var Time = 'Time taken 01:01:01 GMT';</script><table>"
            f"<tr><td><b>Date taken</b></td><td>{day[:4]}.{day[4:6]}.{day[6:]}</td></tr>"
            f"<tr><td><b>Time taken</b></td><td>{clock[:2]}:{clock[2:4]}:{clock[4:]} GMT</td></tr>"
            "</table><em><b>Photo center point:</b></em> 1.0&deg; N, 2.0&deg; E<br>"
            f"<em><b>Spacecraft nadir point:</b></em> {abs(lat):.1f}&deg; {'NS'[lat < 0]}, "
            f"{abs(lon):.1f}&deg; {'EW'[lon < 0]}<br>"
            "<em><b>Spacecraft Altitude</b></em>: 223 nautical miles (413km)<table>"
            f"<tr><td><b>Camera:</b></td><td>{camera.get('camera', '')}: Nikon D3S</td></tr>"
            f"<tr><td><b>Focal Length:</b></td><td>{camera.get('fclt', '')}mm</td></tr></table>"
            "</body></html>"
        ).encode()


def _name(row: dict[str, str]) -> str:
    return "-".join((row["mission"], row["roll"], row["frame"]))


def _holds(cell: str, op: str, value: str) -> bool:
    compare = getattr(operator, op)  # eq, ge, le, gt, lt
    try:
        return bool(compare(float(cell), float(value)))
    except ValueError:
        return bool(cell) and bool(compare(cell, value))


@pytest.fixture
def service(socket_enabled: None) -> Iterator[Service]:
    with closing(Service()) as server:
        yield server


@pytest.fixture
def tiles(socket_enabled: None) -> Iterator[TileService]:
    with closing(TileService()) as server:
        yield server


@pytest.fixture
def archive(socket_enabled: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[ArchiveService]:
    """An archive, empty so far, that photos' names are looked up in."""
    with closing(ArchiveService()) as server:
        monkeypatch.setenv("REGENGINE_ARCHIVE", server.address)
        yield server


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that a client would have waited; no test waits longer than a moment."""
    waited: list[float] = []
    sleep = time.sleep

    def sleep_a_moment(seconds: float) -> None:
        if seconds > 0.1:  # others may look every moment whether something has happened
            waited.append(seconds)
        sleep(min(seconds, 0.01))

    monkeypatch.setattr("time.sleep", sleep_a_moment)
    return waited
