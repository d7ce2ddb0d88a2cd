"""Counts from one pass over `generations`: by day, model, failure, prompt and video length."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from connector.marts.fold import COUNTS, Fold, counts
from connector.record.order import FIRST_YEAR, LAST_YEAR
from connector.record.schema import GENERATIONS, STATUSES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date

    from connector.report.tables import Tables

READ: Final = (
    "created_at",
    "status",
    "model",
    "storage_model",
    "failure_category",
    "failure_reason",
    "video_duration_seconds",
    "duration_seconds",
    "prompt_characters",
)

# Reasons are compared up to this length.
REASON_CHARACTERS: Final = 200

# A video this close to the requested length counts as equal: some have a frame more or less.
NEAR_SECONDS: Final = 0.5

# Longer videos count as this long.
LONGEST_SECONDS: Final = 1e9

# Upper bounds of the prompt length classes, in characters; the last class has none.
LENGTHS: Final = (0, 50, 100, 200, 400, 800)


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Outcomes of the generations of one kind; `name` is None if it is unknown."""

    name: Any
    completed: int = 0
    failed: int = 0
    unfinished: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.completed + self.failed + self.unfinished

    @property
    def finished(self) -> int:
        """Those that have ended."""
        return self.completed + self.failed


@dataclass(frozen=True, slots=True)
class Durations:
    """Counts of video lengths.

    Attributes:
        delivered: Videos by their length in whole seconds, most first.
        requested: Generations by the requested length, likewise.
        both: Generations with both lengths known.
        near: Those of them that have the requested length.
    """

    delivered: dict[int, int] = field(default_factory=dict)
    requested: dict[int, int] = field(default_factory=dict)
    both: int = 0
    near: int = 0


@dataclass(frozen=True, slots=True)
class Counts:
    """Counts of generations.

    Attributes:
        days: Counts by status for each day that has any, in order.
        undated: Those without a sensible creation time.
        models: By model, most first.
        failures: By category and reason, most first; None if unknown.
        durations: Lengths of videos.
        lengths: By class of prompt length: an index into `LENGTHS`, or `len(LENGTHS)`; no prompt
            is 0.
    """

    statuses: dict[str, int] = field(default_factory=dict)
    days: dict[date, dict[str, int]] = field(default_factory=dict)
    undated: int = 0
    models: list[Outcomes] = field(default_factory=list)
    failures: dict[tuple[str | None, str | None], int] = field(default_factory=dict)
    durations: Durations = field(default_factory=Durations)
    lengths: list[Outcomes] = field(default_factory=list)

    @property
    def total(self) -> int:
        """All generations."""
        return sum(self.statuses.values())

    @property
    def reasons(self) -> dict[str | None, int]:
        """Failures by reason, most first; None if none is given."""
        found: Counter[str | None] = Counter()
        for (_, reason), number in self.failures.items():
            found[reason] += number
        return dict(_most_first(found))


def count_generations(tables: Tables) -> Counts:
    """Count in memory that grows only with the number of different days, models and reasons."""
    days = _fold({"day": pa.date32(), "status": pa.string()}, {"count": "sum"})
    failures = _fold({"category": pa.string(), "reason": pa.string()}, {"count": "sum"})
    durations = _fold(
        {"delivered": pa.int64(), "requested": pa.int64(), "near": pa.bool_()}, {"count": "sum"}
    )
    models = _fold({"name": pa.string()}, COUNTS)
    lengths = _fold({"name": pa.int32()}, COUNTS)
    for piece in tables.generations(READ):
        outcome, once = counts(piece["status"]), pa.repeat(1, len(piece))
        days.add(_rows(day=_day(piece["created_at"]), status=piece["status"], count=once))
        failed = _rows(
            category=piece["failure_category"], reason=_reason(piece["failure_reason"]), count=once
        )
        failures.add(failed.filter(pc.equal(piece["status"], "failed")))
        durations.add(_rows(**_lengths(piece), count=once))
        model = pc.coalesce(piece["model"], piece["storage_model"])
        models.add(_rows(name=model, **outcome))
        lengths.add(_rows(name=length_class(piece["prompt_characters"]), **outcome))
    by_failure = {
        (row["category"], row["reason"]): row["count"] for row in failures.groups().to_pylist()
    }
    return Counts(
        **_by_day(days.groups().to_pylist()),
        models=sorted(_outcomes(models), key=lambda one: (-one.total, str(one.name))),
        failures=dict(_most_first(by_failure)),
        durations=_durations(durations.groups().to_pylist()),
        lengths=sorted(_outcomes(lengths), key=lambda one: one.name),
    )


def length_class(characters: pa.ChunkedArray) -> pa.ChunkedArray:
    """The length class of each prompt: an index into `LENGTHS`, or `len(LENGTHS)`."""
    known = pc.fill_null(characters, 0)
    found = pc.cast(pc.greater(known, LENGTHS[0]), pa.int32())
    for upper in LENGTHS[1:]:
        found = pc.add(found, pc.cast(pc.greater(known, upper), pa.int32()))
    return found


def outcomes_of(rows: Iterable[Mapping[str, Any]], name: str) -> list[Outcomes]:
    """Outcomes from rows with the three counts; rows of the same name are added up."""
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


def _most_first(counts: Mapping[Any, int]) -> list[tuple[Any, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], str(item[0])))


def _lengths(piece: pa.Table) -> dict[str, pa.ChunkedArray]:
    """Delivered and requested length in whole seconds, and whether they match."""
    delivered, requested = (
        _positive(piece[name]) for name in ("video_duration_seconds", "duration_seconds")
    )
    apart = pc.abs(pc.subtract(delivered, requested))
    return {
        "delivered": pc.round(delivered).cast(pa.int64()),
        "requested": pc.round(requested).cast(pa.int64()),
        "near": pc.less_equal(apart, NEAR_SECONDS),
    }


def _positive(seconds: pa.ChunkedArray) -> pa.ChunkedArray:
    """Plausible lengths; some gateways write zero for an unknown one."""
    nothing = pa.scalar(None, pa.float64())
    return pc.if_else(
        pc.greater(seconds, 0), pc.min_element_wise(seconds, LONGEST_SECONDS), nothing
    )


def _durations(rows: Iterable[Mapping[str, Any]]) -> Durations:
    found: dict[str, Counter[int]] = {"delivered": Counter(), "requested": Counter()}
    nearness: Counter[bool | None] = Counter()
    for row in rows:
        nearness[row["near"]] += row["count"]
        for name, lengths in found.items():
            if row[name] is not None:
                lengths[row[name]] += row["count"]
    return Durations(
        **{name: dict(_most_first(lengths)) for name, lengths in found.items()},
        both=nearness[True] + nearness[False],
        near=nearness[True],
    )


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
