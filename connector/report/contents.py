"""Contents of the page: headline figures, charts, lists, tables and remarks."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

from connector import words
from connector.marts.timings import MEASURED
from connector.report.charts import charts
from connector.report.charts.outcomes import left_out
from connector.report.explained import BASES, CATEGORIES
from connector.report.headline import cards
from connector.report.prompts import TEXT_CHARACTERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connector.report.figures import Figures

LISTED: Final = 8
NAME_CHARACTERS: Final = 80
MESSAGE_CHARACTERS: Final = 160
NO_PROMPT: Final = "(blank)"
# Reasons shown for each category of failures.
REASONS: Final = 3


def contents(figures: Figures) -> dict[str, Any]:
    """Everything the page shows, ready for JSON; texts from outside are made plain."""
    return {
        "about": _about(figures),
        "cards": cards(figures),
        "charts": {
            name: [view._asdict() for view in views] for name, views in charts(figures).items()
        },
        "remarks": _remarks(figures),
        "bases": _bases(figures),
        "failures": _failures(figures),
        "most_used": _most_used(figures),
        "most_failing": _most_failing(figures),
        "prompts": _prompt_rows(figures),
        "runs": [_run(run) for run in figures.runs],
    }


def _about(figures: Figures) -> dict[str, str]:
    days = figures.counts.days
    ends = dict.fromkeys((words.day(min(days)), words.day(max(days)))) if days else ()
    return {
        "warehouse": words.plain(figures.warehouse, NAME_CHARACTERS) or "warehouse",
        "span": " – ".join(ends) or "no generation yet",
        "made": f"{words.minute(figures.made_at)} UTC",
        "version": version("luma-to-parquet"),
    }


def _remarks(figures: Figures) -> dict[str, str]:
    """Sentences below charts; the page omits empty ones."""
    counts, models = figures.counts, figures.counts.models
    undated = f"{words.plural(counts.undated, 'generation')} without a usable creation time"
    return {
        "activity": f"Not shown: {undated}." if counts.undated else "",
        "models": left_out((one.total for one in models), "model"),
        "reasons": left_out(counts.reasons.values(), "reason"),
        "sizes": left_out((one.total for one in figures.sizes), "size"),
        "formats": left_out((one.uses for one in figures.formats), "shape"),
        "durations": _durations(figures),
        "stages": _stages(figures),
        "spread": _spread(figures),
        "prompts": _extent(len(_chosen(figures)), figures.prompts.distinct),
    }


def _spread(figures: Figures) -> str:
    measured = figures.turnaround.all
    if measured is None:
        return ""
    low, high = measured.typical
    if measured.count == 1:
        return f"The one measured generation took {words.between(low, high)}."
    return (
        f"The median of {words.number(measured.count)} measured generations is between"
        f" {words.at_least(low)} and {words.at_most(high)}."
    )


def _durations(figures: Figures) -> str:
    found = figures.counts.durations
    if not found.both:
        return ""
    return (
        f"{words.percent(found.near, found.both)} of {words.plural(found.both, 'video')} are within"
        " half a second of the requested length."
    )


def _stages(figures: Figures) -> str:
    """Counts of both: a gateway may report the start of work without its end."""
    stages = {"Waiting": figures.turnaround.queue, "Working": figures.turnaround.work}
    return " ".join(
        f"{name}: {words.plural(stage.count, 'generation')}."
        for name, stage in stages.items()
        if stage
    )


def _extent(shown: int, distinct: int) -> str:
    if shown == distinct:
        return f"All {words.plural(distinct, 'different prompt')}."
    return (
        f"The {words.number(shown)} most used and most failing of {words.number(distinct)}"
        " different prompts; the table “prompts” has all of them."
    )


def _bases(figures: Figures) -> list[dict[str, Any]]:
    bases, total = figures.turnaround.bases, figures.counts.total
    return [
        {
            "name": name,
            "count": words.number(bases[name]),
            "share": words.percent(bases[name], total),
            "part": bases[name] / max(total, 1),
            "text": text,
            "is_measured": name in MEASURED,
        }
        for name, text in BASES.items()
        if bases.get(name)
    ]


def _failures(figures: Figures) -> list[dict[str, Any]]:
    """Categories of failures, most frequent first, each with its top reasons."""
    categories: dict[str | None, dict[str | None, int]] = {}
    for (category, reason), count in figures.counts.failures.items():
        categories.setdefault(category, {})[reason] = count
    counts = {name: sum(reasons.values()) for name, reasons in categories.items()}
    total, most = sum(counts.values()), max(counts.values(), default=1)
    return [
        {
            "text": CATEGORIES.get(name or "", "Not classified"),
            "count": f"{words.number(counts[name])} · {words.percent(counts[name], total)}",
            "part": counts[name] / most,
            "note": _top_reasons(categories[name]),
        }
        for name in sorted(counts, key=lambda name: (-counts[name], name or ""))
    ]


def _top_reasons(reasons: Mapping[str | None, int]) -> str:
    """The most frequent reasons with their counts."""
    named = [
        f"{words.plain(reason, NAME_CHARACTERS) if reason else 'no reason given'}"
        f" ({words.number(count)})"
        for reason, count in list(reasons.items())[:REASONS]
    ]
    rest = len(reasons) - len(named)
    return " · ".join([*named, *([f"{words.plural(rest, 'other reason')}"] if rest else [])])


def _most_used(figures: Figures) -> list[dict[str, Any]]:
    rows = [row for row in figures.prompts.most_used[:LISTED] if row["uses"] > 1]
    total = figures.counts.total
    return [
        {
            "text": _prompt(row),
            "count": f"{words.number(row['uses'])} · {words.percent(row['uses'], total)}",
            "part": row["uses"] / rows[0]["uses"],
        }
        for row in rows
    ]


def _most_failing(figures: Figures) -> list[dict[str, Any]]:
    rows = figures.prompts.most_failing[:LISTED]
    return [
        {
            "text": _prompt(row),
            "count": f"{words.number(row['failed'])} of {words.number(_finished(row))}",
            "part": row["failed"] / rows[0]["failed"],
            "note": words.plain(row["main_failure_reason"] or "no reason given", NAME_CHARACTERS),
        }
        for row in rows
    ]


def _finished(row: Mapping[str, Any]) -> int:
    finished: int = row["completed"] + row["failed"]
    return finished


def _prompt(row: Mapping[str, Any]) -> str:
    return words.plain(row["prompt"] or "", TEXT_CHARACTERS) or NO_PROMPT


def _chosen(figures: Figures) -> list[dict[str, Any]]:
    """The rows of both rankings, without duplicates."""
    both = (*figures.prompts.most_used, *figures.prompts.most_failing)
    return list({row["prompt_id"]: row for row in both}.values())


def _prompt_rows(figures: Figures) -> list[list[Any]]:
    """Text, uses, completed, failed, unfinished, characters and day of last use."""
    return [
        [
            _prompt(row),
            row["uses"],
            row["completed"],
            row["failed"],
            row["unfinished"],
            row["prompt_characters"],
            f"{row['last_used_at']:%Y-%m-%d}" if row["last_used_at"] else "",
        ]
        for row in _chosen(figures)
    ]


def _run(run: Mapping[str, Any]) -> dict[str, Any]:
    dropped = run["blank"] + run["duplicate"] + run["invalid"]
    counts = {
        "given": run["given"],
        "dropped": dropped,
        "settled": run["already_terminal"],
        "fetched": run["fetched"],
        "rejected": run["rejected"],
        "not reached": run["not_reached"],
        "requests": run["requests"],
    }
    return {
        "started": words.minute(run["started_at"]),
        "outcome": run["outcome"],
        "message": words.plain(run["message"] or "", MESSAGE_CHARACTERS),
        "counts": {name: words.number(count) for name, count in counts.items()},
        "took": words.at_most(run["elapsed_seconds"]),
    }
