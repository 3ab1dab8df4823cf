"""The review's server with 100,000 frames: seconds to the first picture and to the next frame.

``python -m benchmarks review`` prints the table; ``--frames`` makes the store smaller, ``--out
FOLDER`` writes the page as Markdown, dated. The store and its photo of 45 megapixels are made in a
temporary folder (``--folder``) and deleted.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np

from benchmarks.made_up import make_store
from benchmarks.pages import command_of, parser, table, title_lines, write_page
from regengine.store.rows import Tables

ROOT = Path(__file__).resolve().parents[1]
WIDTH_PX, HEIGHT_PX = 8256, 5504  # 45.4 MP, as of a Nikon D850 or Z9
PREVIEW = "preview.jpg?size=2048"  # what the page asks for
ADDRESS = re.compile(r"(http://127\.0\.0\.1:\d+)/(\?token=\S+)")
NEXT = 10


def make_review_store(folder: Path, frames: int) -> Path:
    """A store whose frames all show one photo of 45 megapixels, a sample enlarged."""
    small = cv2.imread(str(ROOT / "data_samples" / "ISS990-E-000101.jpg"), cv2.IMREAD_COLOR)
    assert small is not None
    large = cv2.resize(small, (WIDTH_PX, HEIGHT_PX), interpolation=cv2.INTER_CUBIC)
    noise = np.random.default_rng(1).integers(-9, 10, large.shape, dtype=np.int16)
    noisy = np.clip(large + noise, 0, 255).astype(np.uint8)
    names = [f"{number}.jpg" for number in range(NEXT + 2)]  # of one another nothing is known
    (folder / "photos").mkdir()
    hashes = []
    for number, name in enumerate(names):
        data = cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes()
        data += bytes([number])  # beyond the picture's end
        (folder / "photos" / name).write_bytes(data)
        hashes.append(hashlib.sha256(data).hexdigest().encode())

    def with_photos(tables: Tables, chance: np.random.Generator) -> None:
        of_frames = tables["frames"]
        which = np.arange(len(of_frames["path"])) % len(names)
        of_frames["path"] = np.array([f"photos/{names[k]}".encode() for k in which])
        of_frames["sha256"] = np.array([hashes[k] for k in which])
        of_frames["width_px"][:], of_frames["height_px"][:] = WIDTH_PX, HEIGHT_PX

    make_store(folder / "scale.h5", frames, with_photos)
    return folder / "scale.h5"


def measure(store: Path, lights: Path) -> list[tuple[str, str]]:
    """Seconds from the command to the first picture, and of the next frames."""
    begun = time.perf_counter()
    words = ["review", str(store), "--no-browser", "--port", "0", "--lights", str(lights)]
    server = subprocess.Popen(
        [sys.executable, "-m", "cli", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
    )
    try:
        assert server.stdout is not None
        told = next(filter(None, map(ADDRESS.search, server.stdout)), None)
        if told is None:
            raise RuntimeError("the review server did not start")
        with httpx.Client(base_url=told[1], timeout=120.0, follow_redirects=True) as client:

            def ask(path: str) -> Any:
                answer = client.get(f"/{path}").raise_for_status()
                return answer.json() if answer.headers["content-type"].endswith("json") else None

            ask(told[2])
            ask("api/session")
            queue = ask("api/frames?limit=100")["frames"]
            photos = {ask(f"api/frames/{row['id']}")["sha256"]: row["id"] for row in queue}
            first, *others = photos.values()
            begun_first = time.perf_counter()
            ask(f"api/frames/{first}/{PREVIEW}")
            rows = [("address, page, session and queue", f"{begun_first - begun:.2f}")]
            rows += [("its first picture", f"{time.perf_counter() - begun_first:.2f}")]
            for what in ("a next picture, not seen before", "the same once more"):
                taken = []
                for frame in others[:NEXT]:
                    started = time.perf_counter()
                    ask(f"api/frames/{frame}/{PREVIEW}")
                    taken.append(time.perf_counter() - started)
                rows.append((what, f"{np.median(taken):.3f} (most {max(taken):.3f})"))
        return rows
    finally:
        server.terminate()
        server.wait(timeout=30.0)


def main(argv: Sequence[str]) -> int:
    """Measure and print; 0 when done."""
    given = parser("review", None)
    given.add_argument("--frames", type=int, default=100_000, help="of the store")
    given.add_argument("--lights", type=Path, default=ROOT / "data_samples" / "lights.tif")
    given.add_argument("--folder", type=Path, help="where to make the store; else temporary")
    options = given.parse_args(argv)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        store = make_review_store(Path(folder), options.frames)
        rows = measure(store, options.lights.resolve())
    note = f"A store of {options.frames:,} frames with photos of {WIDTH_PX} x {HEIGHT_PX} pixels."
    title = title_lines("The review's server", command_of("review", argv), note)
    write_page(options.out, "review", [*title, *table(("what", "s"), rows, right=1)])
    return 0
