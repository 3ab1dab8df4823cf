"""Asks a catalogue questions in SQL: nothing but this file is read, and nothing is written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import TYPE_CHECKING, Any

from regengine.catalogue.needs import need_packages
from regengine.catalogue.table import FORMAT, FORMAT_VERSION
from regengine.errors import ConfigError, StoreError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

ROWS = 4096  # that are fetched at a time


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a question is answered with.

    Attributes
    ----------
    names : tuple of str
        Of the columns; no two are the same.
    rows : iterator of tuple
        Values in their order; few are in memory at a time.
    """

    names: tuple[str, ...]
    rows: Iterator[tuple[Any, ...]]

    def dicts(self) -> Iterator[dict[str, Any]]:
        """The rows with the names of the columns."""
        for row in self.rows:
            yield dict(zip(self.names, row, strict=True))


class Catalogue:
    """A catalogue to ask; a context manager.

    Parameters
    ----------
    path : Path
        Of the file that ``regengine catalogue build`` wrote.

    Raises
    ------
    StoreError
        If it is none.
    ConfigError
        If DuckDB or PyArrow is missing.
    """

    def __init__(self, path: Path) -> None:
        need_packages()
        self.path = path
        self.metadata = _metadata(path)
        # A name of our own, since DuckDB takes * ? [ for patterns
        self._folder = TemporaryDirectory(prefix="regengine-")
        try:
            link = Path(self._folder.name) / "catalogue.parquet"
            link.symlink_to(path.absolute())
            self._base = _locked(link)
        except BaseException:
            self._folder.cleanup()
            raise

    def __enter__(self) -> Catalogue:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._base.close()
        self._folder.cleanup()

    def ask(self, sql: str, values: Sequence[Any] = ()) -> Answer:
        """Ask a question of our own.

        Parameters
        ----------
        sql : str
            One statement on the view ``frames``, which has the columns of
            `regengine.catalogue.table.COLUMNS`.
        values : sequence, optional
            What its question marks stand for.

        Returns
        -------
        Answer
            To be read before the next question.

        Raises
        ------
        StoreError
            If the file is damaged.
        """
        return self._answer(sql, values, None)

    def query(self, sql: str) -> Answer:
        """Ask a stranger's question.

        Parameters
        ----------
        sql : str
            One statement that reads.

        Returns
        -------
        Answer

        Raises
        ------
        ConfigError
            If it is no such statement, or fails.
        """
        import duckdb

        with self._told(sql):
            kinds = [statement.type for statement in self._base.extract_statements(sql)]
        if kinds != [duckdb.StatementType.SELECT]:  # EXPLAIN ANALYZE would run what it explains
            example = "SELECT place, count(*) FROM frames GROUP BY place"
            raise ConfigError(f'{sql!r} is not one question: write one such as "{example}".')
        return self._answer(sql, (), sql)

    def _answer(self, sql: str, values: Sequence[Any], asked: str | None) -> Answer:
        with self._told(asked):
            batches = self._base.sql(sql, params=list(values) or None).to_arrow_reader(ROWS)
        return Answer(names=_distinct(batches.schema.names), rows=self._rows(batches, asked))

    def _rows(self, batches: Any, asked: str | None) -> Iterator[tuple[Any, ...]]:
        while True:
            with self._told(asked):
                batch = next(batches, None)
            if batch is None:
                return
            yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)

    @contextmanager
    def _told(self, asked: str | None = None) -> Iterator[None]:
        """Tell in a sentence what DuckDB says of a stranger's question, or of the file."""
        import duckdb
        import pyarrow as pa

        try:
            yield
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            said = next(iter(str(error).splitlines()), type(error).__name__)
            damage = duckdb.IOException | duckdb.InternalException | duckdb.SerializationException
            ours = isinstance(error, damage | pa.ArrowException | OSError)
            if asked is None or ours or type(error) is duckdb.Error:
                raise StoreError(f"{self.path} cannot be read ({said}): build it again.") from error
            raise ConfigError(
                f"{asked!r} cannot be answered ({said}): the columns are those of "
                "docs/catalogue.md."
            ) from error


def _distinct(names: Sequence[str]) -> tuple[str, ...]:
    """Names of columns, with a number where one has been there before."""
    found: list[str] = []
    for name in names:
        free = (f"{name}_{number}" for number in count(1))
        found.append(next(free) if name in found else name)
        while found[-1] in found[:-1]:
            found[-1] = next(free)
    return tuple(found)


def _metadata(path: Path) -> dict[str, str]:
    """What a catalogue's file tells of itself."""
    import pyarrow as pa
    from pyarrow import parquet

    if not path.is_file():
        raise StoreError(f"{path} is no file: name a catalogue that was built.")
    try:
        metadata = parquet.read_metadata(path).metadata or {}
    except (OSError, pa.ArrowException) as error:
        raise StoreError(
            f"{path} is no catalogue, or damaged: build one with regengine catalogue build."
        ) from error
    told = {key.decode(): value.decode() for key, value in metadata.items()}
    version = told.get(FORMAT)
    if version is None:
        raise StoreError(
            f"{path} is a Parquet file, but no catalogue: build one with regengine catalogue build."
        )
    if version != str(FORMAT_VERSION):
        raise StoreError(f"{path} is a catalogue of version {version}: build it again.")
    return told


def _locked(file: Path) -> DuckDBPyConnection:
    """A database in memory that may read one file and nothing else, for good."""
    import duckdb

    base = duckdb.connect(":memory:")
    quoted = str(file).replace("'", "''")
    base.execute("SET TimeZone = 'UTC'")
    base.execute("SET enable_progress_bar = false")
    base.execute(f"SET allowed_paths = ['{quoted}']")
    base.execute("SET temp_directory = ''")
    base.execute("SET enable_geoparquet_conversion = false")  # geometries stay bytes
    base.execute("SET python_enable_replacements = false")
    base.execute("SET enable_external_access = false")
    base.read_parquet(str(file)).create_view("frames")
    base.execute("SET lock_configuration = true")
    return base
