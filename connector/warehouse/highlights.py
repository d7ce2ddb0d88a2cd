"""What people should know first of a warehouse, in sentences: the only place for their wording.

`show`, the flow's page and the report print these sentences.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from connector import words
from connector.marts.findings import (
    Findings,
    Hidden,
    SlowHours,
    Trend,
    failing_terms,
    failure_trend,
    hidden_prompts,
    slow_hours,
)
from connector.record.order import plausible
from connector.record.schema import (
    FAMILIES,
    TERMS,
    TURNAROUND_HOURS,
    TURNAROUND_QUANTILES,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import date

    from connector.warehouse.refresh import Marts

    Days = Mapping[date | None, tuple[int, int]]

# Terms are surest first: further ones hold nothing sure.
TERMS_READ: Final = 200
QUOTED: Final = 80


@dataclass(frozen=True, slots=True)
class Highlights:
    """Facts that are always shown, and findings if there are any.

    Attributes:
        facts: Failures against the period before, the surest term, and the turnaround.
        stands_out: A sentence for each finding.
        estimated: The row of all in `turnaround_quantiles`; None if there is none.
    """

    facts: tuple[str, ...]
    stands_out: tuple[str, ...]
    trend: Trend
    findings: Findings = field(default_factory=Findings)
    estimated: Mapping[str, Any] | None = None


def highlights(marts: Marts) -> Highlights:
    """Read the marts for what matters most."""
    days = _count_days(marts.generations(("created_at", "status")))
    trend = failure_trend(
        {day: counts for day, counts in days.items() if day}, days.get(None, (0, 0))
    )
    terms = next(marts.read(TERMS), TERMS.schema.empty_table()).slice(0, TERMS_READ).to_pylist()
    quantiles = marts.table(TURNAROUND_QUANTILES).slice(0, 1).to_pylist()
    estimated = quantiles[0] if quantiles else None
    largest = next((piece for piece in marts.read(FAMILIES) if len(piece)), None)
    sizes = marts.table(FAMILIES, ["prompts"])["prompts"]
    findings = Findings(
        failing_terms(terms),
        slow_hours(marts.table(TURNAROUND_HOURS).to_pylist()),
        trend if trend.is_sure else None,
        hidden_prompts(sizes.to_pylist(), largest.slice(0, 1).to_pylist()[0] if largest else None),
    )
    facts = (_of_trend(trend), _of_first(terms), _of_turnaround(estimated))
    stands_out = tuple(_sentences(findings))
    return Highlights(tuple(filter(None, facts)), stands_out, trend, findings, estimated)


def _count_days(pieces: Iterable[pa.Table]) -> Days:
    """Completed and failed generations by day of creation; None where it is not known."""
    found: Counter[tuple[date | None, str]] = Counter()
    for piece in pieces:
        rows = pa.table({"day": created_day(piece["created_at"]), "status": piece["status"]})
        grouped = rows.group_by(["day", "status"], use_threads=False).aggregate([([], "count_all")])
        for row in grouped.to_pylist():
            found[row["day"], row["status"]] += row["count_all"]
    return {day: (found[day, "completed"], found[day, "failed"]) for day, _ in found}


def created_day(created_at: pa.ChunkedArray) -> pa.ChunkedArray:
    """The day (UTC) of each time; null where it is of no sensible year, or in the future."""
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    return plausible(created_at, tomorrow).cast(pa.timestamp("us")).cast(pa.date32())


def _of_trend(trend: Trend) -> str:
    if not trend.finished:
        return ""
    share = words.percent(trend.failed, trend.finished)
    if trend.days is None or trend.lower is None or trend.upper is None:
        return f"Failed: {share} of {words.number(trend.finished)} finished generations"
    before = words.percent(trend.failed_before, trend.finished_before)
    return (
        f"Failed: {share} in {last_days(trend.days)}, {before} in the {_before(trend.days)}"
        f" (difference {_points(trend.lower, trend.upper)})"
    )


def last_days(days: int) -> str:
    """Such as `the last 7 days`."""
    return "the last day" if days == 1 else f"the last {days} days"


def _before(days: int) -> str:
    return "day before" if days == 1 else f"{days} days before"


def _points(lower: float, upper: float) -> str:
    return f"{100 * lower:+.1f} to {100 * upper:+.1f} percentage points".replace("-", "−")


def _of_first(terms: list[dict[str, Any]]) -> str:
    if not terms:
        return ""
    if not terms[0]["is_sure"]:
        return "Words and phrases: none surely goes with more or fewer failures"
    return f"Surest term: {_of_term(terms[0])}"


def _of_term(row: Mapping[str, Any]) -> str:
    finished = row["completed"] + row["failed"]
    points = _points(row["failure_difference_lower"], row["failure_difference_upper"])
    return (
        f"{_quote(row['term'])} fails in {words.percent(row['failure_share'], 1)} of"
        f" {words.plural(finished, 'use')}, other prompts in"
        f" {words.percent(row['failure_share_without'], 1)} (difference {points})"
    )


def _of_turnaround(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return ""
    shares = {"half": quantile(row, "p50"), "nine in ten": quantile(row, "p90")}
    known = [f"{share} within {time}" for share, time in shares.items() if time != words.NOT_KNOWN]
    return f"Turnaround: {', '.join(known) or 'not known yet'}"


def quantile(row: Mapping[str, Any], level: str) -> str:
    """A quantile of `turnaround_quantiles` in words, with its 95% band."""
    return words.estimate(row[level], row[f"{level}_lower"], row[f"{level}_upper"])


def _sentences(found: Findings) -> Iterator[str]:
    for row in found.terms:
        yield f"Failing term: {_of_term(row)}"
    yield from map(_of_hours, found.slow)
    if found.changed:
        rose = (found.changed.lower or 0) > 0
        yield f"Failures have {'risen' if rose else 'fallen'}. {_of_trend(found.changed)}"
    if found.hidden:
        yield _of_families(found.hidden)


def _of_hours(slow: SlowHours) -> str:
    model = _quote(slow.model) if slow.model else "the unknown model"
    return (
        f"Slow hours: {model} takes {slow.seconds / slow.seconds_else:.1f} times as long if created"
        f" from {slow.first:02}:00 to {slow.last:02}:59 UTC: half within about"
        f" {words.about(slow.seconds)}, at other hours {words.about(slow.seconds_else)}"
    )


def _of_families(hidden: Hidden) -> str:
    return (
        f"Near-duplicates: {words.number(hidden.prompts)} of"
        f" {words.plural(hidden.distinct, 'different prompt')} are variants that form"
        f" {words.number(hidden.families)} families; the largest"
        f" has {words.number(hidden.largest['prompts'])}: {_quote(hidden.largest['prompt'])}"
    )


def _quote(text: object) -> str:
    return f"“{words.plain(text, QUOTED)}”"
