"""A warehouse in a few figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from connector.marts import turnaround
from connector.record.pieces import shortened
from connector.record.schema import GENERATIONS
from connector.storage import parquet
from connector.warehouse import inbox
from connector.warehouse import refresh as marts
from connector.warehouse.highlights import highlights
from connector.warehouse.runs import latest_runs

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

    from connector.marts.turnaround import Spread, Stage
    from connector.warehouse.warehouse import Warehouse


@dataclass(frozen=True, slots=True)
class Overview:
    """Figures for people and for `show --json`.

    Attributes:
        bytes: Size of all files, the log of answers included.
        waiting: Batches in the inbox, which the next run commits.
        created: Creation of the oldest and the newest generation.
        failures: Failed generations by category.
        turnaround: Bounds of how long generations took; None if none is measured.
        estimated: The row of all in `turnaround_quantiles`; None if there is none.
        facts: Sentences: failures against the period before, the surest term, the turnaround.
        stands_out: Sentences on what chance hardly explains; empty if there is nothing.
        queue: How long they waited; None if no gateway reports it.
        work: How long the gateway worked on them; None if no gateway reports it.
        last_run: The last run's row in `runs`.
    """

    root: str
    generations: int
    rejects: int
    given_up: int
    bytes: int
    waiting: int
    statuses: dict[str, int]
    resolutions: dict[str, int]
    aspect_ratios: dict[str, int]
    failures: dict[str, int]
    reasons: dict[str, int]
    created: tuple[datetime, datetime] | None
    turnaround: Spread | None
    estimated: Mapping[str, Any] | None
    facts: tuple[str, ...]
    stands_out: tuple[str, ...]
    queue: Stage | None
    work: Stage | None
    last_run: dict[str, Any] | None


def overview(warehouse: Warehouse, give_up_after: timedelta) -> Overview:
    """Read the figures of a warehouse."""
    storage = warehouse.storage
    names = ("status", "failure_category", "resolution", "aspect_ratio", "created_at")
    schema = pa.schema([GENERATIONS[name].field for name in names])
    files = list(warehouse.generations.files().values())
    pieces = (
        shortened(piece) for name in files for piece in parquet.read_pieces(storage, name, schema)
    )
    rows = pa.concat_tables([schema.empty_table(), *pieces])
    rejects = warehouse.rejects()
    span = pc.min_max(rows["created_at"]).as_py()
    times = turnaround.turnaround(marts.read_timings(storage, files, turnaround.READ))
    first = highlights(marts.Marts(storage, files))
    return Overview(
        root=storage.address,
        generations=len(rows),
        rejects=len(rejects),
        given_up=len(warehouse.given_up(give_up_after)),
        bytes=storage.size(),
        waiting=len(inbox.waiting_files(storage)),
        statuses=_counts(rows["status"]),
        resolutions=_counts(rows["resolution"]),
        aspect_ratios=_counts(rows["aspect_ratio"]),
        failures=_counts(rows["failure_category"]),
        reasons=_counts(rejects["reason"]),
        created=(span["min"], span["max"]) if span["min"] else None,
        turnaround=times.all,
        estimated=first.estimated,
        facts=first.facts,
        stands_out=first.stands_out,
        queue=times.queue,
        work=times.work,
        last_run=next(iter(latest_runs(storage, 1)), None),
    )


def first_rows(warehouse: Warehouse, count: int = 5) -> list[dict[str, Any]]:
    """The first rows of `generations`, in the order of the files."""
    rows: list[dict[str, Any]] = []
    for name in warehouse.generations.files().values():
        piece = next(parquet.read_pieces(warehouse.storage, name, GENERATIONS.schema), None)
        rows += piece.slice(0, count - len(rows)).to_pylist() if piece else []
        if len(rows) == count:
            break
    return rows


def _counts(values: pa.ChunkedArray) -> dict[str, int]:
    return {
        str(entry["values"]): entry["counts"]
        for entry in pc.value_counts(values.drop_null()).to_pylist()
    }
