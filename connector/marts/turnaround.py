"""How long generations took, between which bounds: of many, as quantiles of both bounds.

How long they waited and were worked on is apart, where the gateway reports it.

No generation took longer than its own upper bound says. So no quantile of the truth is above the
same quantile of the upper bounds; and none is below that of the lower bounds.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from connector.marts.timings import MEASURED
from connector.record.schema import TIMINGS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

BOUNDS: Final = ("seconds_lower", "seconds_upper")
BY: Final = (*BOUNDS, "model", "created_hour")
STAGES: Final = ("queue_seconds", "work_seconds")
READ: Final = ("basis", *BY, *STAGES)
SHARES: Final = tuple(percent / 100 for percent in range(1, 100))
TYPICAL, SLOW = 0.5, 0.9
MODELS: Final = 12


class Bounds(NamedTuple):
    """A number of seconds, known to lie between two."""

    lower: float
    upper: float


@dataclass(frozen=True, slots=True)
class Spread:
    """How long the generations of one kind took; `name` is None where it is not known."""

    name: Any
    count: int
    typical: Bounds
    slow: Bounds


@dataclass(frozen=True, slots=True)
class Stage:
    """How long one stage took, in seconds, of the generations whose gateway reports it."""

    count: int
    typical: float
    slow: float


@dataclass(frozen=True, slots=True)
class Turnaround:
    """How long generations took.

    Attributes:
        bases: How many generations have which basis.
        all: All that are measured; None if there are none.
        shares: Within how many seconds which share of them was finished.
        hours: By the hour of creation, in order.
        models: By model, most first; only the most used.
        queue: How long generations waited; None if no gateway reports it.
        work: How long they were worked on; None if no gateway reports it.
    """

    bases: dict[str, int] = field(default_factory=dict)
    all: Spread | None = None
    shares: dict[float, Bounds] = field(default_factory=dict)
    hours: list[Spread] = field(default_factory=list)
    models: list[Spread] = field(default_factory=list)
    queue: Stage | None = None
    work: Stage | None = None


def turnaround(timings: Iterable[pa.Table]) -> Turnaround:
    """Work out quantiles; holds up to four numbers, an hour and a model for each generation.

    Args:
        timings: Pieces of the table, with the columns `READ`.
    """
    bases: Counter[str] = Counter()
    pieces = [pa.schema([TIMINGS[name].field for name in BY]).empty_table()]
    stages: dict[str, list[pa.Array]] = {name: [] for name in STAGES}
    for piece in timings:
        bases.update({row["values"]: row["counts"] for row in _value_counts(piece["basis"])})
        measured = piece.filter(pc.is_in(piece["basis"], pa.array(MEASURED)))
        pieces.append(measured.select(BY).cast(pieces[0].schema))
        for name in STAGES:
            stages[name] += piece[name].drop_null().chunks
    rows = pa.concat_tables(pieces)
    queue, work = (_stage(found) for found in stages.values())
    if not len(rows):
        return Turnaround(dict(bases), queue=queue, work=work)
    return Turnaround(
        bases=dict(bases),
        all=_spread(None, rows),
        shares=dict(zip(SHARES, _quantiles(rows, SHARES), strict=True)),
        hours=sorted(_spreads(rows, "created_hour"), key=lambda spread: spread.name),
        models=_spreads(rows, "model")[:MODELS],
        queue=queue,
        work=work,
    )


def _stage(found: list[pa.Array]) -> Stage | None:
    seconds = pa.chunked_array(found, pa.float64())
    if not len(seconds):
        return None
    return Stage(len(seconds), *pc.quantile(seconds, q=[TYPICAL, SLOW]).to_pylist())


def _spreads(rows: pa.Table, column: str) -> list[Spread]:
    most = sorted(_value_counts(rows[column]), key=lambda row: (-row["counts"], str(row["values"])))
    return [
        _spread(row["values"], rows.filter(_is(rows[column], row["values"])))
        for row in most[: max(MODELS, 24)]
    ]


def _is(values: pa.ChunkedArray, value: Any) -> pa.ChunkedArray:
    return pc.is_null(values) if value is None else pc.equal(values, value)


def _spread(name: Any, rows: pa.Table) -> Spread:
    return Spread(name, len(rows), *_quantiles(rows, (TYPICAL, SLOW)))


def _quantiles(rows: pa.Table, shares: Sequence[float]) -> list[Bounds]:
    lower, upper = (pc.quantile(rows[name], q=list(shares)).to_pylist() for name in BOUNDS)
    return [Bounds(*bounds) for bounds in zip(lower, upper, strict=True)]


def _value_counts(values: pa.ChunkedArray) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pc.value_counts(values).to_pylist()
    return rows
