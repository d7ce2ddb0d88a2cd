"""The tables behind the report, read in pieces and only with the columns needed."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from connector.errors import UsageError
from connector.record.kept import KEY, same_name
from connector.record.pieces import shortened
from connector.record.schema import GENERATIONS, PROMPTS, REJECTS
from connector.storage import parquet
from connector.warehouse import refresh as marts
from connector.warehouse.files import REJECTS_FILE
from connector.warehouse.given import PREFIX, declared, read_column
from connector.warehouse.runs import latest_runs
from connector.warehouse.warehouse import Warehouse
from connector.words import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from connector.record.column import Table
    from connector.storage.storage import Address


class Tables:
    """A warehouse's tables, for reading.

    Computes marts in memory if they are missing or older than `generations`.

    Raises:
        WarehouseError: The warehouse does not exist.
    """

    def __init__(self, address: Address) -> None:
        warehouse = Warehouse.existing(address)
        self._storage = warehouse.storage
        self._files = list(warehouse.generations.files().values())
        self.marts = marts.Marts(self._storage, self._files)

    @property
    def name(self) -> str:
        """The warehouse's name for people."""
        return self._storage.name

    def generations(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Columns of `generations`."""
        return self._read(self._files, GENERATIONS, columns)

    def no_generations(self, columns: Sequence[str]) -> pa.Table:
        """The same columns without rows."""
        return pa.schema([GENERATIONS[name].field for name in columns]).empty_table()

    def kept(self, column: str) -> pa.Table:
        """A column that came with the task IDs: `task_id` and `value`.

        Raises:
            UsageError: There is none of that name, nor one of `generations`.
        """
        names = GENERATIONS.schema.names
        kept = [name for name in declared(self._storage).schema.names if name != KEY]
        if (found := same_name(column.removeprefix(PREFIX), kept)) is None:
            raise UsageError(
                f"--by {column!r}: generations has no such column{did_you_mean(column, names)},"
                f" and kept with the task IDs (`ingest --keep`) are {', '.join(kept) or 'none'}"
            )
        return read_column(self._storage, found)

    def prompts(self) -> Iterator[pa.Table]:
        """The table `prompts`."""
        return self.marts.read(PROMPTS)

    def rejects(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Columns of `rejects`."""
        files = [REJECTS_FILE] if self._storage.exists(REJECTS_FILE) else []
        return self._read(files, REJECTS, columns)

    def last_runs(self, count: int) -> list[dict[str, Any]]:
        """The latest rows of `runs`, newest first; damaged files are skipped."""
        return latest_runs(self._storage, count)

    def _read(
        self, files: Sequence[str], table: Table, columns: Sequence[str]
    ) -> Iterator[pa.Table]:
        schema = pa.schema([table[name].field for name in columns])
        pieces = (parquet.read_pieces(self._storage, name, schema) for name in files)
        return (shortened(piece, but="prompt") for piece in chain.from_iterable(pieces))
