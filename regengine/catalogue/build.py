"""From stores to a catalogue: read frame by frame, arranged on disk, whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from regengine.catalogue.arrange import Arranged, arrange
from regengine.catalogue.facts import Row, catalogue_row
from regengine.catalogue.needs import need_packages
from regengine.catalogue.pictures import NOTHING_SEEN, PictureFacts
from regengine.catalogue.raw_rows import write_raw
from regengine.errors import ConfigError, StoreError
from regengine.export.frame import ExportFrame, engine_frame, together
from regengine.export.reviewed_frame import with_review
from regengine.export.run import in_place_of
from regengine.outputs import check_new_file
from regengine.review.reviewed import reviewed
from regengine.store.reader import iter_frames
from regengine.store.snapshot import Snapshot

BLOCK_FRAMES = 256  # whose footprints are worked out at once
ENDINGS = (".parquet", ".geoparquet")


def check_out(out: Path, force: bool) -> None:
    """See to it, before anything is read, that the catalogue can be written.

    Raises
    ------
    ConfigError
        If not.
    """
    need_packages()
    check_new_file(out, ENDINGS, force=force)


def count_frames(stores: Sequence[Path]) -> int:
    """How many frames stores have.

    Raises
    ------
    StoreError
        If one of them is none.
    ConfigError
        If one is named twice.
    """
    total = 0
    seen: set[Path] = set()
    for store in stores:
        if store.resolve() in seen:
            raise ConfigError(f"{store} is named twice: name each store once.")
        seen.add(store.resolve())
        with Snapshot.of(store) as snapshot:
            total += len(snapshot.frame_index)
    return total


def build(
    stores: Sequence[Path],
    out: Path,
    *,
    look: Callable[[ExportFrame], PictureFacts] = lambda frame: NOTHING_SEEN,
    advance: Callable[[], object] = lambda: None,
) -> Arranged:
    """Build a catalogue.

    Parameters
    ----------
    stores : sequence of Path
        Runs may be writing them.
    out : Path
        See `check_out`; a file that is there is replaced.
    look : callable, optional
        Tells what is seen in a frame's photo.
    advance : callable, optional
        Called after each frame.

    Returns
    -------
    Arranged

    Raises
    ------
    StoreError
        If a store cannot be read, or the catalogue not be written.
    """

    def rows() -> Iterator[Row]:
        for store in stores:
            reviews = reviewed(store)
            frames = (
                with_review(engine_frame(stored, store), reviews.get(stored.frame_index))
                for stored in iter_frames(store)
            )
            while block := together(list(islice(frames, BLOCK_FRAMES))):
                for frame in block:
                    yield catalogue_row(frame, look(frame))
                    advance()

    import duckdb

    try:
        with TemporaryDirectory(prefix=".regengine-", dir=out.absolute().parent) as folder:
            raw = Path(folder) / "raw.parquet"
            write_raw(raw, rows())
            with in_place_of((out,)) as (temporary,):
                held = arrange(raw, temporary)
    except duckdb.Error as error:
        said = next(iter(str(error).splitlines()), "unknown")
        raise StoreError(
            f"{out} could not be arranged ({said}): make room in its folder and in memory."
        ) from error
    except OSError as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError(
            f"{out} could not be written ({error.strerror or error}): name a place that exists "
            "and has room."
        ) from error
    return held
