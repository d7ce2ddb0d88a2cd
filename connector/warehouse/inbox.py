"""The inbox and the log: durable answers before and after they are in the tables."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from connector.errors import DamagedFile
from connector.record.answer import Answer, Concern, Outcome
from connector.record.pieces import grouped
from connector.record.schema import ANSWERS
from connector.storage import parquet
from connector.storage.memory import release
from connector.warehouse.damage import are_equal, set_aside
from connector.warehouse.files import INBOX as FOLDER
from connector.warehouse.files import files_of, is_own
from connector.warehouse.founding import is_zero_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from connector.storage.storage import Storage

# Bytes of answers flattened at once; three such groups are in memory.
GROUP_BYTES: Final = 8 * 1024 * 1024


def file_of(batch: str) -> str:
    """The file of a batch in the inbox."""
    return f"{FOLDER}/{batch}.parquet"


def save_batch(
    storage: Storage, batch: str, answers: Sequence[Answer], run_id: str, sequence: int
) -> None:
    """Make a batch of answers durable, as one file named after the batch.

    Its answers take the place in the log that `sequence` says. Saving it again changes nothing.
    """
    columns: dict[str, Any] = dict(zip(Answer._fields, zip(*answers, strict=True), strict=True))
    columns |= {"run_id": [run_id] * len(answers), "sequence": [sequence] * len(answers)}
    table = pa.table({name: columns[name] for name in ANSWERS.schema.names}, schema=ANSWERS.schema)
    parquet.write_table(storage, file_of(batch), ANSWERS, [table], is_new=True)
    if table.nbytes > GROUP_BYTES:
        del table
        release()


def read_batches(storage: Storage, prefix: str) -> Iterator[Answer]:
    """Read the waiting answers of all batches with this prefix."""
    for name in waiting_files(storage):
        if name.startswith(f"{FOLDER}/{prefix}"):
            for piece in parquet.read_pieces(storage, name, ANSWERS.schema):
                yield from (_answer(**row) for row in piece.to_pylist())


def _answer(*, outcome: str, run_id: str, **rest: Any) -> Answer:  # noqa: ARG001  not part of it
    rest["concerns"] = rest["concerns"] and Concern(rest["concerns"])
    return Answer(outcome=Outcome(outcome), **rest)


def waiting_files(storage: Storage, but: tuple[str, ...] = ()) -> list[str]:
    """Files that wait for a commit, oldest first, except batches with these prefixes."""
    left = tuple(f"{FOLDER}/{batch}" for batch in but)
    return [name for name in storage.list(FOLDER) if is_own(name) and not name.startswith(left)]


def logged_files(storage: Storage) -> list[str]:
    """Files of the log that have answers, oldest first."""
    return [name for name in files_of(storage, ANSWERS) if not is_zero_rows(name)]


def read_groups(storage: Storage, names: Iterable[str]) -> Iterator[pa.Table]:
    """Read files in order, in groups of a bounded size.

    Of a damaged file, what can be read is read; `set_aside` keeps a copy of it.
    """
    pieces = (piece for name in names for piece in _read_repaired(storage, name))
    return grouped(pieces, size=GROUP_BYTES)


def _read_repaired(storage: Storage, name: str) -> Iterator[pa.Table]:
    try:
        yield from parquet.read_pieces(storage, name, ANSWERS.schema)
    except DamagedFile as error:
        set_aside(storage, name, error)
        if storage.exists(name):
            # A row that comes twice counts once.
            yield from parquet.read_pieces(storage, name, ANSWERS.schema)


def first_proofs(storage: Storage, base_urls: Iterable[str]) -> dict[str, str]:
    """The first run that each of these gateways gave a generation in, by the log."""
    schema = pa.schema([ANSWERS[name].field for name in ("base_url", "run_id", "outcome")])
    proofs: dict[str, str] = {}
    wanted = pa.array(base_urls, pa.string())
    for name in logged_files(storage):
        for piece in parquet.read_pieces(storage, name, schema):
            is_good = pc.equal(piece["outcome"], Outcome.GENERATION.value)
            rows = piece.filter(pc.and_(is_good, pc.is_in(piece["base_url"], wanted)))
            for base_url, run_id in zip(
                *(rows[n].to_pylist() for n in schema.names[:2]), strict=True
            ):
                proofs[base_url] = min(run_id, proofs.get(base_url, run_id))
    return proofs


def upgrade_log(storage: Storage) -> None:
    """Rewrite files of the log that lack columns of this version."""
    for name in logged_files(storage):
        if parquet.read_column_names(storage, name) != ANSWERS.schema.names:
            parquet.refuse_unknown(storage, name, ANSWERS.schema)
            pieces = parquet.read_pieces(storage, name, ANSWERS.schema)
            kept = parquet.read_metadata(storage, name)
            parquet.write_table(storage, name, ANSWERS, pieces, parquet.own_metadata(kept))


def archive(storage: Storage, names: Iterable[str]) -> None:
    """Move merged files to the log, oldest first.

    The order matters: the files that a crash leaves to be merged again must be the newer ones.
    """
    # One may have been set aside.
    storage.move_all((name, _place_of(storage, name)) for name in names if storage.exists(name))


def are_logged(storage: Storage, names: Iterable[str]) -> bool:
    """Whether all these files are in the log too: a move that was cut short leaves both."""
    places = ((name, _place_of(storage, name)) for name in names)
    return all(storage.exists(place) and are_equal(storage, name, place) for name, place in places)


def _place_of(storage: Storage, name: str) -> str:
    folder = f"{ANSWERS.partition}_month={_month_of(storage, name)}"
    return f"{ANSWERS.name}/{folder}/{name.rpartition('/')[2]}"


def _month_of(storage: Storage, name: str) -> str:
    times = parquet.read_table(storage, name, pa.schema([ANSWERS["fetched_at"].field]))
    latest = pc.max(times["fetched_at"]).as_py() or datetime.now(UTC)
    return f"{latest:%Y-%m}"
