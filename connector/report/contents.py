"""Contents of the page: what the scripts need, with texts from outside made plain."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from connector import words
from connector.record.schema import FAILURE_CATEGORIES, GENERATIONS, STATUSES
from connector.report.explained import BASES, CATEGORIES, REASONS
from connector.report.facts import AGES, LENGTHS, OTHERS, STAGE_STEP
from connector.report.prompts import TEXT_CHARACTERS
from connector.report.tasks import EACH
from connector.version import VERSION
from connector.warehouse.highlights import last_days, quantile

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from connector.report.figures import Figures

NAME_CHARACTERS: Final = 80
MESSAGE_CHARACTERS: Final = 160
NO_PROMPT: Final = "(blank)"
# Indexed by whether the reject is final.
ASKED_AGAIN: Final = ("by the next run", "only on request")
# The period that is shown first, where the history is longer.
USUAL_DAYS: Final = 90


def page_contents(figures: Figures) -> dict[str, Any]:
    """Everything the page shows, ready for JSON."""
    return {
        "about": _about(figures),
        "facts": figures.highlights.facts,
        "stands_out": figures.highlights.stands_out,
        "cards": _cards(figures),
        "periods": _periods(figures),
        "statuses": STATUSES,
        "values": _values(figures),
        "by": words.plain(figures.by, NAME_CHARACTERS) if figures.by else None,
        "cube": figures.cube,
        "newest": figures.facts.newest.timestamp() if figures.facts.newest else None,
        "spans": figures.spans,
        "stage_step": STAGE_STEP,
        "tasks": figures.tasks,
        "each": EACH,
        "terms": [_term(row) for row in figures.chosen.terms],
        "families": [_family(row) for row in figures.chosen.families],
        "has_sure_term": any(row["is_sure"] for row in figures.chosen.terms),
        "category_codes": [*FAILURE_CATEGORIES],
        "lengths": LENGTHS,
        "ages": AGES,
        "prompt_ids": [row["prompt_id"] for row in figures.chosen.prompts],
        "by_column": figures.by if figures.by in GENERATIONS.schema.names else None,
        "bases": list(BASES.values()),
        "rejects": _rejects(figures),
        "prompts": _prompt_rows(figures),
        "prompt_count": figures.prompts.distinct,
        "runs": [_run(run) for run in figures.runs],
    }


def _about(figures: Figures) -> dict[str, str]:
    facts = figures.facts
    ends = [words.day(day) for day in (facts.oldest, facts.newest) if day]
    return {
        "warehouse": words.plain(figures.warehouse, NAME_CHARACTERS) or "warehouse",
        "span": " – ".join(dict.fromkeys(ends)) or "no generation yet",
        "made": f"{words.minute(figures.made_at)} UTC",
        "version": VERSION,
    }


def _periods(figures: Figures) -> dict[str, Any]:
    """Periods to choose from: those that leave something out, and all."""
    newest, oldest = figures.facts.newest, figures.facts.oldest
    days = (newest - oldest).days + 1 if newest and oldest else 0
    offered = [(index, length) for index, length in enumerate(AGES) if length < days]
    found = [{"value": -1, "label": "All of the time"}]
    for index, length in offered:
        first = words.day((newest or figures.made_at) - timedelta(days=length - 1))
        found.append({"value": index, "label": f"Last {length} days (from {first})"})
    usual = next((index for index, length in offered if length == USUAL_DAYS), -1)
    return {"offered": found, "usual": usual, "days": days}


def _cards(figures: Figures) -> list[dict[str, str]]:
    """Figures that filters do not touch; the page works out the others."""
    row = figures.highlights.estimated
    trend = figures.highlights.trend
    before = ""
    if trend.days:
        before = (
            f"{words.percent(trend.failed, trend.finished)} in {last_days(trend.days)},"
            f" {words.percent(trend.failed_before, trend.finished_before)} before"
        )
    rejected = sum(figures.rejects.values())
    again = sum(count for (_, is_final), count in figures.rejects.items() if not is_final)
    return [
        {"label": "Failure trend", "value": _change(figures), "note": before or "nothing before"},
        *(
            {
                "label": label,
                "value": quantile(row, level).partition(" (")[0] if row else "–",
                "note": _band(row, level) if row else "nothing measured yet",
            }
            for label, level in (("Half within", "p50"), ("Nine in ten within", "p90"))
        ),
        {
            "label": "Rejected",
            "value": words.number(rejected),
            "note": f"{words.number(again)} will be retried" if rejected else "no task IDs so far",
        },
    ]


def _change(figures: Figures) -> str:
    trend = figures.highlights.trend
    if not trend.days:
        return "–"
    share = trend.failed / trend.finished - trend.failed_before / trend.finished_before
    return f"{100 * share:+.1f} points".replace("-", "−")


def _band(row: Mapping[str, Any], level: str) -> str:
    low, high = row[f"{level}_lower"], row[f"{level}_upper"]
    if row[level] is None or high is None:
        return "since creation; all generations"
    return f"95% sure: {words.between(low or 0, high)}; all generations"


def _values(figures: Figures) -> dict[str, list[Any]]:
    """Names of the values of each dimension, as charts show them."""
    of = {name: one.values for name, one in figures.facts.dimensions.items()}
    found = {name: [_label(value, name) for value in values] for name, values in of.items()}
    found["model"] = [_label(_model(value), "model") for value in of["model"]]
    found["length"] = [_length(index) for index in of["length"]]
    found["category"] = [CATEGORIES.get(value or "", "Not classified") for value in of["category"]]
    for name in ("delivered", "requested"):
        found[name] = [_seconds(value) for value in of.get(name, [])]
    # What a query needs to find the rest: the values as they are in the tables.
    raw = {"model_source": [_source(value) for value in of["model"]]}
    return found | raw


def _label(value: Any, name: str) -> str:
    if value is None:
        return {"model": "unknown model", "prompt": NO_PROMPT}.get(name, "unknown")
    if value == "" and name == "reason":
        return "no reason given"
    limit = TEXT_CHARACTERS if name in {"prompt", "family"} else NAME_CHARACTERS
    return words.plain(value, limit) or "(blank)"


def _model(value: str | None) -> str | None:
    return value.partition("\t")[2] if value and "\t" in value else value


def _source(value: str | None) -> str:
    if value is None or value == OTHERS:
        return ""
    return value.partition("\t")[0]


def _seconds(value: str | None) -> str:
    if value in {None, OTHERS}:
        return OTHERS
    return f"{int(value or 0):,} s" if int(value or 0) else "under 0.5 s"


def _length(index: int) -> str:
    if index == 0:
        return "no prompt"
    if index == len(LENGTHS):
        return f"over {LENGTHS[-1]}"
    return f"{LENGTHS[index - 1] + 1}–{LENGTHS[index]}"


def _term(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "text": words.plain(row["term"], NAME_CHARACTERS),
        "prompts": row["prompts"],
        "is_sure": row["is_sure"],
    }


def _family(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"text": _prompt(row), "prompts": row["prompts"], "id": row["family_id"]}


def _rejects(figures: Figures) -> list[dict[str, Any]]:
    return [
        {
            "label": REASONS.get(reason, words.plain(reason, NAME_CHARACTERS)),
            "reason": reason,
            "again": ASKED_AGAIN[is_final],
            "count": count,
            "tasks": figures.rejected[reason, is_final],
        }
        for (reason, is_final), count in figures.rejects.items()
    ]


def _prompt(row: Mapping[str, Any]) -> str:
    return words.plain(row["prompt"] or "", TEXT_CHARACTERS) or NO_PROMPT


def _prompt_rows(figures: Figures) -> list[Sequence[Any]]:
    """Text, uses, completed, failed, unfinished, characters and day of last use."""
    both = (*figures.prompts.most_used, *figures.prompts.most_failing)
    return [
        [
            _prompt(row),
            row["uses"],
            row["completed"],
            row["failed"],
            row["unfinished"],
            row["prompt_characters"],
            row["last_used_at"].date().isoformat() if row["last_used_at"] else "",
        ]
        for row in {row["prompt_id"]: row for row in both}.values()
    ]


def _run(run: Mapping[str, Any]) -> dict[str, Any]:
    counts = {
        "given": run["given"],
        "dropped": run["blank"] + run["duplicate"] + run["invalid"],
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
