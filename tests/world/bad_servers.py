"""Ports of this machine that accept a connection, and answer as no server should."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Literal

Manner = Literal["silent", "drips", "speaks HTTP", "echoes"]
DRIP_S = 0.02
PAGE = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5\r\n\r\nhello"


@dataclass
class BadServer:
    """A server that runs; ``asked`` counts the connections that it accepted."""

    port: int
    asked: int = 0
    is_asked: Event = field(default_factory=Event)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"


@contextmanager
def serve_badly(manner: Manner) -> Iterator[BadServer]:
    """Serve until the end of the block."""
    ended = Event()

    def drip(connection: socket.socket) -> None:
        while not ended.wait(DRIP_S):
            connection.sendall(b"\0")

    def echo(connection: socket.socket) -> None:
        while (said := connection.recv(4096)) and not ended.is_set():
            connection.sendall(said)

    def page(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(PAGE)
        ended.wait()

    manners: dict[Manner, Callable[[socket.socket], object]] = {
        "silent": lambda connection: ended.wait(),
        "drips": drip,
        "speaks HTTP": page,
        "echoes": echo,
    }

    def answer(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            manners[manner](connection)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = BadServer(listening.getsockname()[1])

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    server.asked += 1
                    server.is_asked.set()
                    Thread(target=answer, args=(connection,), daemon=True).start()

        Thread(target=accept, daemon=True).start()
        try:
            yield server
        finally:
            ended.set()
            with suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
