"""What the sources of a run give beside the task IDs, on its way to the table `given`.

It is gathered on disk, so memory is bounded however long the lists are.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final, Self

import pyarrow as pa
import pyarrow.compute as pc

from connector.record import kept
from connector.record.kept import KEY, NOTHING, TEXT, WORDS, joined
from connector.record.schema import GIVEN
from connector.storage.local import trying_to
from connector.storage.memory import release

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from connector.record.kept import Values
    from connector.storage.storage import Storage

# Rows and bytes that are merged at once, and after how many bytes rows go to the disk.
BUCKET_ROWS: Final = 65_536
BUCKET_BYTES: Final = 32 * 1024 * 1024
MEMORY_BYTES: Final = 16 * 1024 * 1024
SAMPLED: Final = 64  # one row in this many, or more if rows are large


class Gathered:
    """What a run's sources give beside the task IDs, on its way to the table.

    A context: at its end, what it holds on disk is removed.
    """

    def __init__(self, storage: Storage) -> None:
        self._folder = storage.scratch / GIVEN.name
        self._held: list[pa.Table] = []
        # Some task IDs, each with the share of a bucket that it stands for.
        self._sample: list[pa.Table] = []
        self._share = 0.0
        self._held_bytes = 0
        self._raw: pa.OSFile | None = None
        self._names: dict[str, str] = {}
        # By name, then by source: the types of the values, and whether two of them are odd.
        self._types: dict[str, dict[str, tuple[set[pa.DataType], bool]]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._raw:
            self._raw.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def add(
        self, where: str, task_ids: pa.Array, columns: Mapping[str, Values], *, has_types: bool
    ) -> None:
        """Add rows.

        Args:
            where: Their source.
            task_ids: Valid ones.
            columns: For each name the values, in the order of the task IDs.
            has_types: Whether the source has types, so that two of them in one column are odd.
        """
        names = [self._names.setdefault(name.casefold(), name) for name in columns]
        for name, values in zip(names, columns.values(), strict=True):
            types, _ = self._types.setdefault(name, {}).setdefault(where, (set(), has_types))
            types |= values.types
        rows = pa.table(
            [task_ids, *(values.texts for values in columns.values())], names=[KEY, *names]
        )
        self._note(rows)
        self._held.append(rows)
        self._held_bytes += rows.nbytes
        if self._held_bytes > MEMORY_BYTES:
            with trying_to(f"write to {self._folder}"):
                self._write_out()

    def _note(self, rows: pa.Table) -> None:
        """Take a sample of the task IDs, as fine as the rows are large."""
        if not len(rows):
            return
        of_one = max(1 / BUCKET_ROWS, rows.nbytes / len(rows) / BUCKET_BYTES)
        step = max(1, min(SAMPLED, int(SAMPLED / BUCKET_ROWS / of_one)))
        sample = rows[KEY].take(pa.array(range(0, len(rows), step)))
        shares = pa.repeat(of_one * len(rows) / len(sample), len(sample))
        self._sample.append(pa.table([sample, shares], names=[KEY, "share"]))
        self._share += of_one * len(rows)

    def types(self) -> dict[str, pa.DataType]:
        """The type of each column: that of all sources together."""
        return {
            name: joined(joined(types) for types, _ in by_source.values())
            for name, by_source in self._types.items()
        }

    def has_types(self, name: str) -> bool:
        """Whether a source of this column has types, which texts of CSV do not."""
        return any(has_types for _, has_types in self._types[name].values())

    def remarks(self) -> Iterator[str]:
        """What to tell people of columns that are text because types differ."""
        for name, by_source in self._types.items():
            for where, (types, has_types) in by_source.items():
                if has_types and joined(types) == TEXT and len(types - {NOTHING}) > 1:
                    yield f"{name} of {where} has {_listed(types)}"
            of_sources = {joined(types) for types, _ in by_source.values()}
            if joined(of_sources) == TEXT and len(of_sources - {NOTHING}) > 1:
                yield f"{name} has {_listed(of_sources)} in different sources"

    def sorted_rows(self) -> Iterator[pa.Table]:
        """All rows as texts, one for each task ID, sorted, in tables of a bounded size."""
        schema = pa.schema([(KEY, TEXT), *((name, TEXT) for name in self._types)])
        if self._share <= 1:
            pieces = [_widened(rows, schema) for rows in self._all()]
            yield kept.latest(pa.concat_tables([schema.empty_table(), *pieces]))
            return
        with trying_to(f"write to {self._folder}"):
            for path in self._buckets(schema):
                # Not mapped: pages of a mapped file count as the process's memory.
                with pa.OSFile(path) as file, pa.ipc.open_stream(file) as stream:
                    rows = kept.latest(stream.read_all())
                yield rows
                del rows
                release()

    def _write_out(self) -> None:
        if self._raw is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._raw = pa.OSFile(str(self._folder / "raw"), "wb")
        for rows in self._held:
            # One stream after another in one file: each may have columns of its own.
            with pa.ipc.new_stream(self._raw, rows.schema) as stream:
                stream.write_table(rows)
        self._held, self._held_bytes = [], 0

    def _all(self) -> Iterator[pa.Table]:
        """All rows in the order in which they were given."""
        if self._raw:
            self._raw.close()
            with pa.OSFile(str(self._folder / "raw"), "rb") as file:
                while file.tell() < file.size():
                    with pa.ipc.open_stream(file) as stream:
                        yield stream.read_all()
        yield from self._held

    def _buckets(self, schema: pa.Schema) -> list[str]:
        """Write all rows to files, each with the task IDs between two of the sampled ones."""
        bounds = self._bounds()
        self._folder.mkdir(parents=True, exist_ok=True)
        paths = [str(self._folder / f"{number:06}") for number in range(len(bounds) + 1)]
        writers = [pa.ipc.new_stream(path, schema) for path in paths]
        try:
            for rows in self._all():
                whole = _widened(rows, schema)
                number = pa.repeat(pa.scalar(0, pa.int32()), len(whole))
                for bound in bounds:
                    number = pc.add(number, pc.greater_equal(whole[KEY], bound).cast(pa.int32()))
                for one in pc.unique(number).to_pylist():
                    writers[one].write_table(whole.filter(pc.equal(number, one)))
        finally:
            for writer in writers:
                writer.close()
        return paths

    def _bounds(self) -> list[str]:
        """The first task ID of each bucket but the first."""
        sample = pa.concat_tables(self._sample).group_by(KEY).aggregate([("share", "sum")])
        bounds, share = [], 0.0
        for task_id, more in zip(*sample.sort_by(KEY).select([KEY, "share_sum"]), strict=True):
            if share + more.as_py() > 1 and share:
                bounds.append(task_id.as_py())
                share = 0.0
            share += more.as_py()
        return bounds


def _listed(types: Iterable[pa.DataType]) -> str:
    return " and ".join(WORDS[type_] for type_ in WORDS if type_ in types)


def _widened(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """`rows` with all columns of a schema; what they do not have is not given."""
    columns = [
        rows[name] if name in rows.column_names else pa.nulls(len(rows), TEXT)
        for name in schema.names
    ]
    return pa.table(columns, schema=schema)
