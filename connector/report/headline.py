"""The eight headline figures, each with a short note."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connector import words

if TYPE_CHECKING:
    from connector.report.figures import Figures

NOTHING = "–"


def cards(figures: Figures) -> list[dict[str, str]]:
    """A label, a value and a note each."""
    return [
        *_outcomes(figures),
        _rejected(figures),
        _turnaround(figures),
        _card("Warehouse", words.byte_size(figures.size), "on disk, including all answers"),
        _last_run(figures),
    ]


def _card(label: str, value: str, note: str) -> dict[str, str]:
    return {"label": label, "value": value, "note": note}


def _outcomes(figures: Figures) -> list[dict[str, str]]:
    counts, statuses = figures.counts, figures.counts.statuses
    completed, failed = statuses.get("completed", 0), statuses.get("failed", 0)
    running, queued = statuses.get("running", 0), statuses.get("queued", 0)
    finished = completed + failed
    days = f"on {words.plural(len(counts.days), 'day')}" if counts.days else "none yet"
    of = f"{words.number(completed)} of {words.number(finished)} finished"
    share = f"{words.percent(failed, finished)} of finished"
    going = f"{words.number(running)} running, {words.number(queued)} queued"
    return [
        _card("Generations", words.number(counts.total), days),
        _card("Completed", words.percent(completed, finished), of if finished else "none finished"),
        _card("Failed", words.number(failed), share if finished else "none finished"),
        _card("Unfinished", words.number(counts.total - finished), going),
    ]


def _rejected(figures: Figures) -> dict[str, str]:
    rejected = sum(figures.rejects.values())
    again = sum(count for (_, is_final), count in figures.rejects.items() if not is_final)
    note = f"{words.number(again)} will be retried" if rejected else "no task IDs so far"
    return _card("Rejected", words.number(rejected), note)


def _turnaround(figures: Figures) -> dict[str, str]:
    found = figures.turnaround.all
    if found is None:
        return _card("Median turnaround", NOTHING, "nothing measured yet")
    note = f"of {words.plural(found.count, 'measured generation')}"
    return _card("Median turnaround", words.between(*found.typical), note)


def _last_run(figures: Figures) -> dict[str, str]:
    if not figures.runs:
        return _card("Last run", NOTHING, "no run has made a request yet")
    run = figures.runs[0]
    fetched = f"{words.number(run['fetched'])} fetched"
    note = f"{run['started_at']:%H:%M} UTC, {run['outcome']}, {fetched}"
    return _card("Last run", words.day(run["started_at"]), note)
