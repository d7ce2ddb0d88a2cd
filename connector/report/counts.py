"""What is counted in one pass over `generations`: by day, model, reason and length of prompt."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from connector.marts.fold import COUNTS, Fold, counts
from connector.record.schema import GENERATIONS, STATUSES
from connector.warehouse.generations import FIRST_YEAR, LAST_YEAR

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date

    from connector.report.tables import Tables

READ: Final = (
    "created_at",
    "status",
    "model",
    "storage_model",
    "failure_reason",
    "prompt_characters",
)

REASON_CHARACTERS: Final = 200
"""Reasons that differ only behind this are one."""

LENGTHS: Final = (0, 50, 100, 200, 400, 800)
"""Upper ends of the classes of prompt length, in characters; the last class has none."""


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What came of the generations of one kind; `name` is None where it is not known."""

    name: Any
    completed: int = 0
    failed: int = 0
    unfinished: int = 0

    @property
    def total(self) -> int:
        """How many there are."""
        return self.completed + self.failed + self.unfinished

    @property
    def finished(self) -> int:
        """How many are known to have ended."""
        return self.completed + self.failed


@dataclass(frozen=True, slots=True)
class Counts:
    """Generations, counted.

    Attributes:
        days: Of each day with any, in order: how many of which status.
        undated: How many have no sensible time of creation.
        models: By model, most first.
        reasons: Failures by reason, most first; None where none is given.
        lengths: By class of prompt length, an index into `LENGTHS` or its length; no prompt is 0.
    """

    statuses: dict[str, int] = field(default_factory=dict)
    days: dict[date, dict[str, int]] = field(default_factory=dict)
    undated: int = 0
    models: list[Outcomes] = field(default_factory=list)
    reasons: dict[str | None, int] = field(default_factory=dict)
    lengths: list[Outcomes] = field(default_factory=list)

    @property
    def total(self) -> int:
        """How many generations there are."""
        return sum(self.statuses.values())


def count(tables: Tables) -> Counts:
    """Count, in memory that grows with the number of different days, models and reasons only."""
    days = _fold({"day": pa.date32(), "status": pa.string()}, {"count": "sum"})
    reasons = _fold({"reason": pa.string()}, {"count": "sum"})
    models = _fold({"name": pa.string()}, COUNTS)
    lengths = _fold({"name": pa.int32()}, COUNTS)
    for piece in tables.generations(READ):
        outcome, once = counts(piece["status"]), pa.repeat(1, len(piece))
        days.add(_rows(day=_day(piece["created_at"]), status=piece["status"], count=once))
        failed = _rows(reason=_reason(piece["failure_reason"]), count=once)
        reasons.add(failed.filter(pc.equal(piece["status"], "failed")))
        model = pc.coalesce(piece["model"], piece["storage_model"])
        models.add(_rows(name=model, **outcome))
        lengths.add(_rows(name=length_class(piece["prompt_characters"]), **outcome))
    by_reason = sorted(
        reasons.groups().to_pylist(), key=lambda row: (-row["count"], str(row["reason"]))
    )
    return Counts(
        **_by_day(days.groups().to_pylist()),
        models=sorted(_outcomes(models), key=lambda one: (-one.total, str(one.name))),
        reasons={row["reason"]: row["count"] for row in by_reason},
        lengths=sorted(_outcomes(lengths), key=lambda one: one.name),
    )


def length_class(characters: pa.ChunkedArray) -> pa.ChunkedArray:
    """Tell the class of each prompt's length: an index into `LENGTHS`, or its length."""
    known = pc.fill_null(characters, 0)
    found = pc.cast(pc.greater(known, LENGTHS[0]), pa.int32())
    for upper in LENGTHS[1:]:
        found = pc.add(found, pc.cast(pc.greater(known, upper), pa.int32()))
    return found


def outcomes_of(rows: Iterable[Mapping[str, Any]], name: str) -> list[Outcomes]:
    """Rows with the three counts, as values; rows of one name are added up."""
    found: dict[Any, Outcomes] = {}
    for row in rows:
        before = found.get(row[name], Outcomes(row[name]))
        found[row[name]] = Outcomes(
            row[name], *(getattr(before, column) + row[column] for column in COUNTS)
        )
    return list(found.values())


def _fold(keys: Mapping[str, pa.DataType], folds: Mapping[str, str]) -> Fold:
    schema = pa.schema([*keys.items(), *((name, pa.int64()) for name in folds)])
    return Fold(schema, list(keys), folds)


def _rows(**columns: Any) -> pa.Table:
    return pa.table(columns)


def _day(created_at: pa.ChunkedArray) -> pa.ChunkedArray:
    year = pc.year(created_at)
    is_sensible = pc.and_(pc.greater_equal(year, FIRST_YEAR), pc.less_equal(year, LAST_YEAR))
    nothing = pa.scalar(None, GENERATIONS["created_at"].type)
    return pc.if_else(is_sensible, created_at, nothing).cast(pa.timestamp("us")).cast(pa.date32())


def _reason(text: pa.ChunkedArray) -> pa.ChunkedArray:
    cut = pc.utf8_slice_codeunits(pc.utf8_trim_whitespace(text), 0, REASON_CHARACTERS)
    return pc.if_else(pc.equal(cut, ""), pa.scalar(None, pa.string()), cut)


def _by_day(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    days: dict[date, dict[str, int]] = {}
    statuses = dict.fromkeys(STATUSES, 0)
    undated = 0
    for row in rows:
        statuses[row["status"]] = statuses.get(row["status"], 0) + row["count"]
        if row["day"] is None:
            undated += row["count"]
        else:
            days.setdefault(row["day"], {})[row["status"]] = row["count"]
    return {"days": dict(sorted(days.items())), "undated": undated, "statuses": statuses}


def _outcomes(fold: Fold) -> list[Outcomes]:
    return outcomes_of(fold.groups().to_pylist(), "name")
