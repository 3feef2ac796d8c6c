"""Read a recorded run: DataFrames, batches and SQL over its Parquet parts, finished or not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simlab.errors import RecordingError, did_you_mean
from simlab.recording.manifest import (
    CONFIG_FILE,
    FINISHED,
    RUNNING,
    read_manifest,
    read_reached,
    writer_of,
)
from simlab.recording.schema import TABLES, Table, table_named

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.dataset as ds

__all__ = ["Run", "open_run"]

_NAMED_BY = {
    "instrument": "instruments",
    "account": "agents",
    "taker_account": "agents",
    "maker_account": "agents",
}
_NOBODY = -1


def open_run(path: Path | str) -> Run:
    """Open a run folder for reading, whether the run finished, is going on, or was killed.

    Parameters
    ----------
    path : Path
        The folder a `RunWriter` wrote.

    Raises
    ------
    RecordingError
        When the folder is not a run; the message names what is missing and the runs nearby.

    Example
    -------
    >>> open_run("runs/first").trades(columns=["step", "price"])  # doctest: +SKIP
    """
    return Run(Path(path))


class Run:
    """One recorded run.

    Every table is read from the parts that are on disk at the time of the call, so an unfinished run can
    be read while it grows; all tables of it end at the same step, `reached`. The methods named after tables
    all take the parameters of `frame`.

    Attributes
    ----------
    path : Path
    manifest : dict
        What ``manifest.json`` says: status, versions, seed, counts, and what the caller added.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.manifest: dict[str, Any] = read_manifest(path)

    @property
    def finished(self) -> bool:
        """Whether the run came to its end; False while it goes on, and for a killed or failed one."""
        return self.manifest.get("status") == FINISHED

    @property
    def reached(self) -> int | None:
        """The step before which all tables are whole: of a finished run the number of its steps.

        What a killed or failed run left of later steps is not read. None when the recording does not say.
        """
        if self.manifest.get("status") == RUNNING:
            found = read_reached(self.path)
            if found is not None:
                return found
            self.manifest = read_manifest(self.path)  # it may have ended since
        reached = self.manifest.get("reached")
        return reached if reached is not None or not self.finished else self.manifest.get("steps")

    @property
    def status(self) -> str:
        """How the run ended: ``finished``, or that it is unfinished, why, and how far it reaches."""
        reached, planned = self.reached, self.manifest.get("steps")
        if self.finished:
            return FINISHED
        status = str(self.manifest.get("status", "unknown"))
        how = f"{writer_of(self.manifest)}, pid {self.manifest.get('pid')}" if status == RUNNING else status
        total = f" of {planned:,}" if isinstance(planned, int) else ""
        where = f"; recorded to step {reached:,}{total}" if reached is not None else ""
        return f"unfinished ({how}){where}"

    @property
    def summary(self) -> dict[str, list[dict[str, Any]]]:
        """What the run came to: a row a population and a row an instrument; none when unfinished."""
        return {key: list(self.manifest.get(key, ())) for key in ("populations", "instruments")}

    @property
    def event_log_hash(self) -> str | None:
        """The hash of all events, 16 hexadecimal digits; None for an unfinished run."""
        return self.manifest.get("event_log_hash")

    @cached_property
    def config(self) -> dict[str, Any]:
        """The resolved configuration of the run."""
        import yaml

        path = self.path / CONFIG_FILE
        try:
            # the C loader, where PyYAML was built with it, is ten times as fast
            return yaml.load(path.read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        except (OSError, yaml.YAMLError) as error:
            raise RecordingError(f"cannot read the configuration {path}: {error}") from error

    def tables(self) -> dict[str, int]:
        """Return the rows on disk of every table."""
        return {
            name: self._dataset(table).count_rows(filter=self._filter(table, None, None))
            for name, table in TABLES.items()
        }

    def count(self, table: str, *, before: int) -> int:
        """Return the rows of a table before a step; raises RecordingError when it has no steps."""
        declared = _require(table_named(table), "step")
        return self._dataset(declared).count_rows(filter=self._filter(declared, None, (None, before)))

    def frame(
        self,
        table: str,
        *,
        columns: Iterable[str] | None = None,
        instrument: str | None = None,
        steps: tuple[int | None, int | None] | None = None,
        names: bool = True,
    ) -> pd.DataFrame:
        """Read a table into memory; only the columns and row groups asked for leave the disk.

        Parameters
        ----------
        table : str
            A name in `TABLES`.
        columns : iterable of str, optional
            Columns to read, in this order; all by default.
        instrument : str, optional
            Name of the instrument to keep (in news: with what concerns all instruments).
        steps : (first, end), optional
            Keep ``first <= step < end``; None leaves a side open.
        names : bool, optional
            Give instruments and accounts by name, as categoricals, instead of as numbers. What concerns
            all instruments is missing (NaN) then.

        Returns
        -------
        DataFrame
            Rows in the order they were recorded. Integer columns that may be missing are float64 with NaN.

        Raises
        ------
        RecordingError
            When the table, a column or the instrument is unknown, or names were not recorded.
        """
        declared = table_named(table)
        chosen = _chosen_columns(declared, columns)
        rows = self._dataset(declared).to_table(
            columns=chosen,
            filter=self._filter(declared, instrument, steps),
            use_threads=not declared.static,  # of a few rows, handing them to threads is most of the time
        )
        return self._to_pandas(declared, rows, names)

    def batches(
        self,
        table: str,
        *,
        columns: Iterable[str] | None = None,
        instrument: str | None = None,
        steps: tuple[int | None, int | None] | None = None,
        names: bool = True,
        rows: int = 131_072,
    ) -> Iterator[pd.DataFrame]:
        """Iterate over a table in DataFrames of at most `rows` rows, in bounded memory.

        Parameters are those of `frame`. Batches may be smaller than `rows`; none is empty.
        """
        import pyarrow.dataset as ds

        declared = table_named(table)
        # Arrow's threads would read ahead of a slow reader without bound, whatever readahead they are told.
        batches = self._dataset(declared).to_batches(
            columns=_chosen_columns(declared, columns),
            filter=self._filter(declared, instrument, steps),
            batch_size=rows,
            batch_readahead=0,
            fragment_readahead=0,
            fragment_scan_options=ds.ParquetFragmentScanOptions(pre_buffer=False),
            use_threads=False,
        )
        return self._frames(declared, batches, names)

    def _frames(self, table: Table, batches: Iterable[pa.RecordBatch], names: bool) -> Iterator[pd.DataFrame]:
        import pyarrow as pa

        for batch in batches:
            if batch.num_rows:
                yield self._to_pandas(table, pa.Table.from_batches([batch]), names)

    def messages(self, **options: Any) -> pd.DataFrame:
        """Read every event but the fills: what was accepted, rejected, replaced, cancelled, expired."""
        return self.frame("messages", **options)

    def trades(self, **options: Any) -> pd.DataFrame:
        """Read every fill."""
        return self.frame("trades", **options)

    def quotes(self, **options: Any) -> pd.DataFrame:
        """Read the best prices, the last price, the volume and the fundamental value by step."""
        return self.frame("quotes", **options)

    def depth(self, **options: Any) -> pd.DataFrame:
        """Read the sampled levels of the books."""
        return self.frame("depth", **options)

    def accounts(self, **options: Any) -> pd.DataFrame:
        """Read the sampled positions of all accounts."""
        return self.frame("accounts", **options)

    def news(self, **options: Any) -> pd.DataFrame:
        """Read the news."""
        return self.frame("news", **options)

    def customer_orders(self, **options: Any) -> pd.DataFrame:
        """Read what accounts were given to trade for customers."""
        return self.frame("customer_orders", **options)

    def seats(self, **options: Any) -> pd.DataFrame:
        """Read which accounts were taken and given back by somebody outside, and with what cash."""
        return self.frame("seats", **options)

    def decisions(self, **options: Any) -> pd.DataFrame:
        """Read what agents noted about their decisions."""
        return self.frame("decisions", **options)

    def agents(self) -> pd.DataFrame:
        """Read who holds each account."""
        return self.frame("agents", names=False)

    def instruments(self) -> pd.DataFrame:
        """Read what was traded."""
        return self.frame("instruments", names=False)

    def sql(self, query: str) -> pd.DataFrame:
        """Run a DuckDB query in which every table of the run is a view over its Parquet files.

        Instruments and accounts are numbers there; join `instruments` and `agents` for their names.

        Raises
        ------
        RecordingError
            When DuckDB is not installed, or refuses the query.

        Example
        -------
        >>> run.sql("select step, sum(quantity) from trades group by step order by step")  # doctest: +SKIP
        """
        try:
            import duckdb
        except ImportError as error:
            raise RecordingError('SQL over a run needs DuckDB: pip install "simlab[sql]"') from error
        with duckdb.connect(":memory:") as connection:
            for table in TABLES.values():
                self._create_view(connection, table)
            try:
                return connection.sql(query).df()
            except duckdb.Error as error:
                raise RecordingError(
                    f"DuckDB refuses the query: {error}; tables: {', '.join(TABLES)}"
                ) from error

    def _create_view(self, connection: Any, table: Table) -> None:
        files = self._files(table)
        if files:
            listed = ", ".join("'" + str(file).replace("'", "''") + "'" for file in files)
            end = self._end(table)
            whole = "" if end is None else f" where step < {end}"
            connection.execute(f"create view {table.name} as select * from read_parquet([{listed}]){whole}")
        else:
            connection.register(table.name, table.schema.empty_table())

    def _files(self, table: Table) -> list[Path]:
        from simlab.recording.parts import part_files

        return part_files(self.path / table.name)

    def _dataset(self, table: Table) -> ds.Dataset:
        import pyarrow.dataset as ds

        files = [str(file) for file in self._files(table)]
        if not files:
            return ds.dataset(table.schema.empty_table())
        return ds.dataset(files, schema=table.schema, format="parquet")

    def _filter(
        self, table: Table, instrument: str | None, steps: tuple[int | None, int | None] | None
    ) -> ds.Expression | None:
        import pyarrow.dataset as ds

        terms = []
        if (whole := self._end(table)) is not None:
            terms.append(ds.field("step") < whole)
        if instrument is not None:
            numbers = [self._instrument_number(_require(table, "instrument"), instrument)]
            if table.name == "news":
                numbers.append(_NOBODY)
            terms.append(ds.field("instrument").isin(numbers))
        if steps is not None:
            first, end = steps
            _require(table, "step")
            terms += [ds.field("step") >= first] if first is not None else []
            terms += [ds.field("step") < end] if end is not None else []
        if not terms:
            return None
        return terms[0] if len(terms) == 1 else _all_of(terms)

    def _end(self, table: Table) -> int | None:
        """Return the step before which a table of an unfinished run is read; None to read all of it."""
        reached = self.reached
        return None if self.finished or "step" not in table.names else reached

    def _instrument_number(self, table: Table, name: str) -> int:
        numbers = {known: number for number, known in self._names("instruments").items()}
        if name not in numbers:
            hint = did_you_mean(name, numbers, otherwise="it has")
            raise RecordingError(f"{table.name}: no instrument {name!r} in {self.path}{hint}")
        return numbers[name]

    def _names(self, table: str) -> dict[int, str]:
        declared = TABLES[table]
        rows = self._dataset(declared).to_table()
        if not rows.num_rows:
            raise RecordingError(
                f"{self.path} has no table {table}, so numbers cannot be turned into names; read with "
                "names=False and without instrument="
            )
        return dict(zip(rows.column(0).to_pylist(), rows.column("name").to_pylist(), strict=True))

    def _to_pandas(self, table: Table, rows: pa.Table, names: bool) -> pd.DataFrame:
        import pandas as pd

        columns = {}
        for name in rows.column_names:
            declared = table.column(name)
            values = rows.column(name)
            if declared.categories:
                columns[name] = _categorical(values, declared.categories)
            elif declared.nullable and declared.dtype != "string":
                columns[name] = values.cast("float64").to_numpy()
            elif names and name in _NAMED_BY:
                columns[name] = self._named(values, _NAMED_BY[name])
            else:
                columns[name] = values.to_pandas()
        return pd.DataFrame(columns, copy=False)

    def _named(self, numbers: pa.ChunkedArray, table: str) -> pd.Categorical:
        import numpy as np
        import pandas as pd

        if not len(numbers) and not self._files(TABLES[table]):
            return pd.Categorical([], categories=[])
        names = self._names(table)
        position = np.full(max(names) + 2, _NOBODY)  # the last place is that of -1
        position[list(names)] = np.arange(len(names))
        values = numbers.to_numpy()
        known = (values >= _NOBODY) & (values < len(position) - 1)
        if not known.all() or (position[values[values >= 0]] < 0).any():
            raise RecordingError(
                f"{self.path}: numbers that the table {table} does not name; read with names=False"
            )
        return pd.Categorical.from_codes(position[values], categories=list(names.values()))

    def __repr__(self) -> str:
        counts = ", ".join(f"{name} {rows}" for name, rows in self.tables().items() if rows)
        return f"<Run {self.path}: {self.status}; rows: {counts or 'none'}>"


def _all_of(terms: list[ds.Expression]) -> ds.Expression:
    combined = terms[0]
    for term in terms[1:]:
        combined &= term
    return combined


def _chosen_columns(table: Table, columns: Iterable[str] | None) -> list[str]:
    if columns is None:
        return list(table.names)
    chosen = list(columns)
    for name in chosen:
        _require(table, name)
    return chosen


def _require(table: Table, column: str) -> Table:
    if column not in table.names:
        hint = did_you_mean(column, table.names, otherwise="it has")
        raise RecordingError(f"{table.name} has no column {column!r}{hint}")
    return table


def _categorical(values: pa.ChunkedArray, categories: tuple[str, ...]) -> pd.Categorical:
    import pandas as pd

    recorded = values.unify_dictionaries().to_pandas().array
    return pd.Categorical(recorded).set_categories(list(categories))
