"""Outcomes of generations by model, size and prompt length; reasons of failures and rejects."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from connector import words
from connector.report.charts.marks import (
    Spec,
    chart,
    count_axis,
    label,
    labelled_rows,
    stacked,
    tooltip_of,
)
from connector.report.counts import LENGTHS, Outcomes
from connector.report.explained import REASONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from connector.report.counts import Counts, Durations
    from connector.report.figures import Format

SHOWN: Final = 12
COUNT: Final = {"field": "count", "type": "quantitative", "axis": None, "scale": {"nice": False}}
ORDER: Final = ("completed", "failed", "unfinished")
# Indexed by whether the reject is final.
ASKED_AGAIN: Final = ("by the next run", "only on request")

# 95% of a normal distribution is within this many standard deviations.
NINETY_FIVE: Final = 1.96


def by_model(counts: Counts) -> dict[str, Spec]:
    """Outcomes of each model."""
    return _by_kind("Generations by model and outcome", counts.models, "unknown model")


def by_size(sizes: Sequence[Outcomes]) -> dict[str, Spec]:
    """Outcomes of each width × height."""
    return _by_kind("Generations by size of the video and outcome", sizes, "unknown")


def reasons(counts: Counts) -> dict[str, Spec]:
    """Failures by reason."""
    total = sum(counts.reasons.values())
    shown = list(counts.reasons.items())[:SHOWN]
    rows = [_counted(label(name, "no reason given"), count, total) for name, count in shown]
    return _plain_bars("Failed generations by reason", rows, {"value": "@failed"})


def formats(found: Sequence[Format]) -> dict[str, Spec]:
    """Generations by aspect ratio."""
    total = sum(one.uses for one in found)
    rows = [
        _counted(label(one.aspect_ratio, "unknown"), one.uses, total)
        | {"orientation": one.orientation or "unknown"}
        for one in found[:SHOWN]
    ]
    names = ("landscape", "portrait", "square", "unknown")
    return _coloured("Generations by aspect ratio", rows, "orientation", names)


def durations(found: Durations) -> dict[str, Spec]:
    """Lengths of videos, delivered and requested."""
    return {
        title: spec
        for title, lengths in (("Delivered", found.delivered), ("Requested", found.requested))
        for spec in _by_duration(f"Generations by length of the video: {title}", lengths)
    }


def _by_duration(description: str, lengths: Mapping[int, int]) -> Iterable[Spec]:
    total = sum(lengths.values())
    rows = [
        _counted(f"{words.number(seconds)} s" if seconds else "under 0.5 s", count, total)
        for seconds, count in list(lengths.items())[:SHOWN]
    ]
    return _plain_bars(description, rows, {"value": "@kind-1"}).values()


def rejects(found: Mapping[tuple[str, bool], int]) -> dict[str, Spec]:
    """Rejected task IDs by reason."""
    total = sum(found.values())
    rows = [
        _counted(REASONS.get(reason, label(reason, "unknown")), count, total)
        | {"reason": reason, "again": ASKED_AGAIN[is_final]}
        for (reason, is_final), count in found.items()
    ]
    return _coloured("Rejected task IDs by reason", rows, "again", ASKED_AGAIN, ["reason"])


def left_out(counts: Iterable[int], noun: str) -> str:
    """A sentence about what a chart omits; empty if it shows everything."""
    rest = list(counts)[SHOWN:]
    if not rest:
        return ""
    return (
        f"Not shown: {words.plural(len(rest), f'other {noun}')}, {words.number(sum(rest))} in all."
    )


def by_length(counts: Counts) -> dict[str, Spec]:
    """Generations by prompt length, and the share of them that failed."""
    if not counts.lengths:
        return {}
    by_class = {one.name: one for one in counts.lengths}
    classes = [index for index in range(len(LENGTHS) + 1) if index or index in by_class]
    rows = [_length_row(by_class.get(index, Outcomes(index))) for index in classes]
    x = {
        "field": "name",
        "type": "ordinal",
        "sort": None,
        "title": "Characters in the prompt",
        "axis": {"labelAngle": 0, "labelOverlap": "greedy"},
    }
    found = {"Generations": _length_bars(rows, x)}
    measured = [row for row in rows if row["finished"]]
    if measured:
        found["Share that failed"] = _length_shares(measured, x)
    return found


def _by_kind(description: str, kinds: Sequence[Outcomes], nothing: str) -> dict[str, Spec]:
    if not kinds:
        return {}
    rows = [_outcomes_row(label(one.name, nothing), one) for one in kinds[:SHOWN]]
    statuses = [name for name in ORDER if any(row[name] for row in rows)]
    bars = stacked(statuses)
    bars["encoding"] |= {
        "x": COUNT,
        "tooltip": tooltip_of(["name"], [*statuses, "total"]) + tooltip_of(["failed_of_finished"]),
    }
    return {"": labelled_rows(description, rows, bars)}


def _outcomes_row(name: str, one: Outcomes) -> dict[str, Any]:
    return {
        "name": name,
        "label": name,
        "text": words.number(one.total),
        "total": one.total,
        "finished": one.finished,
        "failed_of_finished": words.percent(one.failed, one.finished),
        **{status: getattr(one, status) for status in ORDER},
    }


def _counted(name: str, count: int, total: int) -> dict[str, Any]:
    share = words.percent(count, total)
    text = f"{words.number(count)} · {share}"
    return {"name": name, "label": name, "text": text, "count": count, "share": share}


def _plain_bars(
    description: str,
    rows: Sequence[Spec],
    colour: Spec,
    texts: Iterable[str] = (),
) -> dict[str, Spec]:
    if not rows:
        return {}
    encoding = {
        "x": COUNT,
        "color": colour,
        "tooltip": tooltip_of(["name"], ["count"]) + tooltip_of(["share", *texts]),
    }
    bars = {"encoding": encoding, "mark": {"cornerRadius": 2}}
    return {"": labelled_rows(description, rows, bars)}


def _coloured(
    description: str,
    rows: Sequence[Spec],
    field: str,
    names: Sequence[str],
    texts: Iterable[str] = (),
) -> dict[str, Spec]:
    """Bars coloured by a field, whose possible values are `names`."""
    present = [name for name in names if any(row[field] == name for row in rows)]
    colour = {
        "field": field,
        "type": "nominal",
        "scale": {
            "domain": present,
            "range": [f"@kind-{names.index(name) + 1}" for name in present],
        },
        "legend": {"orient": "top", "title": None},
    }
    return _plain_bars(description, rows, colour, [field, *texts])


def _length_row(one: Outcomes) -> dict[str, Any]:
    low, high = interval(one.failed, one.finished)
    name = _length_name(one.name)
    return _outcomes_row(name, one) | {
        "share": one.failed / one.finished if one.finished else None,
        "low": low,
        "high": high,
        "likely_between": f"{low:.1%} and {high:.1%}",
    }


def _length_name(index: int) -> str:
    if index == 0:
        return "no prompt"
    if index == len(LENGTHS):
        return f"over {LENGTHS[-1]}"
    return f"{LENGTHS[index - 1] + 1}–{LENGTHS[index]}"


def interval(failed: int, finished: int) -> tuple[float, float]:
    """95% confidence interval of the failure rate (Wilson's)."""
    if not finished:
        return 0.0, 1.0
    share, square = failed / finished, NINETY_FIVE**2
    middle = share + square / (2 * finished)
    half = NINETY_FIVE * math.sqrt(share * (1 - share) / finished + (square / 4) / finished**2)
    scale = 1 + square / finished
    return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)


def _length_bars(rows: Sequence[Spec], x: Spec) -> Spec:
    statuses = [name for name in ORDER if any(row[name] for row in rows)]
    parts = stacked(statuses)
    parts["encoding"] |= {
        "x": x,
        "y": {
            "field": "count",
            "type": "quantitative",
            "title": "Generations",
            "axis": count_axis(max(row["total"] for row in rows)),
        },
        "tooltip": tooltip_of(["name"], [*statuses, "total"]) + tooltip_of(["failed_of_finished"]),
    }
    mark = {"type": "bar", "width": {"band": 0.7}}
    return chart("Generations by prompt length and outcome", rows, 240, mark=mark, **parts)


def _length_shares(rows: Sequence[Spec], x: Spec) -> Spec:
    y = {"type": "quantitative", "title": "Failed, of finished"}
    axis = {"axis": {"format": "~%", "tickCount": 5}}
    tooltip = tooltip_of(["name", "failed_of_finished", "likely_between"], ["failed", "finished"])
    return chart(
        "Share of finished generations that failed, by prompt length",
        rows,
        240,
        encoding={"x": x, "tooltip": tooltip},
        layer=[
            {
                "mark": {"type": "rule", "strokeWidth": 3, "opacity": 0.35, "color": "@failed"},
                "encoding": {"y": {"field": "low", **y, **axis}, "y2": {"field": "high"}},
            },
            {
                "mark": {"type": "circle", "size": 90, "opacity": 1, "color": "@failed"},
                "encoding": {"y": {"field": "share", **y, **axis}},
            },
        ],
    )
