"""A map tile service on this machine that can be told to fail in every way a real one does."""

from __future__ import annotations

import io
import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
from PIL import Image

SILENCE_S = 60.0  # or until the server is closed: longer than anybody's patience


def picture(level: int = 90) -> bytes:
    """A PNG of 256 by 256 grey pixels that does not compress to nothing."""
    noise = np.random.default_rng(level).integers(0, 3, (256, 256), dtype=np.uint8)
    data = io.BytesIO()
    Image.fromarray(noise + np.uint8(level)).save(data, "PNG")
    return data.getvalue()


class TileServer:
    """Serves ``/{z}/{y}/{x}.png``; ``faults`` names what goes wrong with an address, in turn.

    A fault is a status, "truncated", "cut" (the connection), "slow", "html", "broken" (a whole
    answer with half a picture) or "to:ADDRESS" (a redirection).
    """

    def __init__(self) -> None:
        self.faults: dict[str, list[int | str]] = {}
        self.bodies: dict[str, bytes] = {}
        self.requests: Counter[str] = Counter()
        self.tokens: dict[str, str | None] = {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.answer(self)

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = False  # closing waits for them
        self.closing = threading.Event()
        self.thread = threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self.thread.start()
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        path = request.path.split("?")[0]
        self.requests[path] += 1
        self.tokens[path] = request.headers.get("Authorization")
        faults = self.faults.get(path) or self.faults.get("*") or []
        fault = faults.pop(0) if len(faults) > 1 else (faults[0] if faults else None)
        if fault == "ok":
            fault = None
        body = self.bodies.get(path, picture())
        try:
            self._respond(request, fault, body)
        except (BrokenPipeError, ConnectionResetError):
            request.close_connection = True

    def _respond(
        self, request: BaseHTTPRequestHandler, fault: int | str | None, body: bytes
    ) -> None:
        if isinstance(fault, int):
            request.send_error(fault)
            return
        if isinstance(fault, str) and fault.startswith("to:"):
            request.send_response(302)
            request.send_header("Location", fault[3:])
            request.end_headers()
            return
        if fault == "slow":
            self.closing.wait(SILENCE_S)
        if fault == "html":
            body = b"<!DOCTYPE html><html>Log in to the hotel network</html>"
        if fault == "broken":
            body = body[: len(body) // 2]
        request.send_response(200)
        request.send_header("Content-Type", "image/png")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        if fault == "cut":
            request.close_connection = True
        else:
            request.wfile.write(body[: len(body) // 2] if fault == "truncated" else body)

    def list_files(self, path: str, names: list[str], **more: object) -> None:
        """Answer an address with the archive's kind of listing."""
        content = [
            {"name": name, "downloadsLink": f"{self.url}/files/{name}", **more} for name in names
        ]
        self.bodies[path] = json.dumps({"content": content}).encode()
