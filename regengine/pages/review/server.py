"""Run the review server until it is stopped, and open the browser."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import socket
import threading
import webbrowser
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from regengine.errors import ConfigError
from regengine.pages.review.context import ReviewContext, parse_layers
from regengine.pages.review.queue import ReviewFrames
from regengine.store.reviews import Decisions, decisions_path, reviewer_name

if TYPE_CHECKING:
    from regengine.maps.lights import KindName
    from regengine.runs.run_inputs import RunInputs

SIGNALS = (signal.SIGINT, signal.SIGTERM)
LOOPBACK = "127.0.0.1"


def serve(
    context: ReviewContext,
    started: Callable[[str], object],
    *,
    host: str = LOOPBACK,
    port: int = 0,
    browser: bool = True,
) -> None:
    """Serve a review until Ctrl-C or SIGTERM.

    Port 0 is the store's usual one, or any that is free; ``browser`` opens the page. ``started`` is
    called with the URL of the page, including its token, once the server listens. ConfigError if it
    cannot listen there.
    """
    import uvicorn

    from regengine.pages.review.app import Access, make_guarded_app

    # The usual port of a store, where a page that waits for a restarted server finds it again: the
    # browser's data (work that was not sent when a server died) belongs to an address with its port
    first = 49152
    digest = hashlib.sha256(os.fsencode(context.store.resolve())).digest()
    usual = first + int.from_bytes(digest[:4]) % (65536 - first)
    listening = listen(host, port, usual)
    port = listening.getsockname()[1]
    access = Access()
    names = () if host == LOOPBACK else (host, socket.gethostname(), socket.getfqdn())
    app = make_guarded_app(context, access, port=port, hosts=names)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=3,
        )
    )
    name = f"[{host}]" if ":" in host else host
    if host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not listened on
        name = socket.gethostname()
    base = f"http://{name}:{port}/"
    if browser:
        # In a thread: with some browsers, the call blocks
        opener = threading.Thread(
            target=webbrowser.open, args=(f"{base}?token={access.once}",), daemon=True
        )
        opener.start()
    started(f"{base}?token={access.token}")
    # The server raises the signal that ended it again after its shutdown: then it is ignored
    before = {number: signal.signal(number, lambda *_: None) for number in SIGNALS}
    try:
        with listening:
            server.run(sockets=[listening])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def listen(host: str, wanted: int, usual: int) -> socket.socket:
    """Open a listening socket; for port 0 on the usual port or, if that is in use, any other."""
    for port in (usual, 0) if wanted == 0 else (wanted,):
        try:
            family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
            # With the protocol given: asyncio sends small responses without delay only on known TCP
            # sockets
            listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
            try:
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listening.bind((host, port))
                listening.listen(128)
                return listening
            except BaseException:
                listening.close()
                raise
        except (OSError, UnicodeError) as error:
            if port and wanted == 0 and getattr(error, "errno", None) == errno.EADDRINUSE:
                continue
            raise ConfigError(
                f"the server cannot listen on {host}, port {port} ({error}): "
                "name another with --port, or 0 for any that is free."
            ) from error
    raise AssertionError("port 0 is never taken")


@contextmanager
def open_review(
    store: Path,
    *,
    photos: Path | None = None,
    lights: Sequence[Path] = (),
    streets: Sequence[Path] = (),
    day: Sequence[Path] = (),
    tle: Sequence[Path] = (),
    metadata: Path | None = None,
    reviewer: str | None = None,
    readonly: bool = False,
    layers: Sequence[str] = (),
) -> Iterator[ReviewContext]:
    """Open the data of a review.

    Photos that have moved are searched for in the folder ``photos``, too. ``tle`` and ``metadata``
    are for tracks and searches; ``reviewer`` is the person who decides, None for the user's name on
    this machine. ``layers`` are online layers, see `regengine.pages.review.context.parse_layers`.
    StoreError, LightMapError, EphemerisError or ConfigError if one of them cannot be used.
    """
    from regengine.maps.opening import open_day_map, open_references
    from regengine.orbit.position import element_sets, frame_records

    def search_inputs() -> RunInputs:
        from regengine.runs.run_inputs import RunInputs

        return RunInputs(
            lights=tuple(lights),
            streets=tuple(streets),
            day=tuple(day),
            tle=tuple(tle),
            metadata=metadata,
        ).found_anywhere()

    name, allowed = reviewer_name(reviewer), parse_layers(layers)
    with closing(ReviewFrames(store, photos)) as frames:
        # All files are read, and the heads of maps, so that errors are reported at once
        if metadata is not None:
            frame_records(metadata.absolute())
        tles = element_sets(tuple(path.absolute() for path in tle)) if tle else None
        given: dict[KindName, Sequence[Path]] = {"lights": lights, "streets": streets, "day": day}
        maps = {
            kind: open_day_map(paths) if kind == "day" else open_references(kind, paths)
            for kind, paths in given.items()
            if paths
        }
        with closing(Decisions(decisions_path(store), readonly=readonly)) as decisions:
            yield ReviewContext(
                store=store,
                frames=frames,
                decisions=decisions,
                maps=maps,
                tles=tles,
                search_inputs=search_inputs,
                reviewer=name,
                readonly=readonly,
                layers=allowed,
            )
