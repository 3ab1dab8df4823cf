"""An HTTP server on this machine that behaves as told."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class PhotoServer:
    """Serves ``files`` by path; ``answers`` are statuses to give first, or instead.

    Attributes
    ----------
    asked : Counter
        How often each path was asked for.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.answers: dict[str, list[int]] = {}
        self.redirects: dict[str, str] = {}
        self.cut: set[str] = set()  # promised whole, sent by half
        self.hidden_size: set[str] = set()
        self.asked: Counter[str] = Counter()
        self.headers: list[dict[str, str]] = []
        self.address = ""

    def url(self, path: str) -> str:
        return f"{self.address}{path}"


@contextmanager
def served(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """The address at which a handler answers until the end of the block."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def photo_server() -> Iterator[PhotoServer]:
    told = PhotoServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            told.asked[path] += 1
            told.headers.append(dict(self.headers))
            statuses = told.answers.get(path, [])
            status = statuses.pop(0) if statuses else 200
            if path in told.redirects:
                self.send_response(302)
                self.send_header("Location", told.redirects[path])
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            body = told.files.get(path, b"")
            if status == 200 and path not in told.files:
                status = 404
            self.send_response(status)
            if path not in told.hidden_size:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            # Who has seen enough goes away
            with suppress(BrokenPipeError, ConnectionResetError):
                if path in told.cut:
                    self.wfile.write(body[: len(body) // 2])
                    self.wfile.flush()
                    self.connection.close()
                else:
                    self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    with served(Handler) as told.address:
        yield told
