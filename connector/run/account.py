"""A run's summary in words, for a terminal and for Prefect's UI."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from connector.words import plural

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connector.summary import Summary


class End(NamedTuple):
    """One way to end: its name, its number of task IDs, and a note for the reader."""

    name: str
    task_ids: int
    note: str = ""


def headline(summary: Summary) -> str:
    """The run in one sentence, without a full stop."""
    if summary.asked or summary.not_reached or summary.message:
        return (
            f"{plural(summary.fetched, 'generation')}: {summary.new:,} new,"
            f" {summary.updated:,} updated; {summary.rejected:,} rejected"
        )
    if not summary.given:
        return "Nothing to fetch: the gateway lists no generation"
    if not summary.already_terminal:
        return "Nothing to fetch: no valid task ID was given"
    given_up = f", {summary.given_up_before:,} of them given up" if summary.given_up_before else ""
    settled = plural(summary.already_terminal, "task ID")
    return f"Nothing to fetch: {settled} settled before{given_up}"


def ends_of(summary: Summary) -> list[End]:
    """Where the task IDs ended, without empty rows; the last row is the sum."""
    dropped = Counter(blank=summary.blank, duplicate=summary.duplicate, invalid=summary.invalid)
    ends = (
        End("completed", summary.completed),
        End("failed", summary.failed, "at the gateway; `failure_reason` says why"),
        End("unfinished", summary.unfinished, "the next run asks for them again"),
        End(
            "given up",
            summary.given_up + summary.given_up_before,
            "unfinished for longer than `give_up_after`; `retry_rejected` asks again",
        ),
        End("rejected", summary.rejected, _listed(summary.reasons)),
        End(
            "settled before",
            summary.already_terminal - summary.given_up_before,
            "finished or finally rejected",
        ),
        End("forgotten", summary.forgotten, "on request: never requested again"),
        End("not reached", summary.not_reached, "the next run asks for them"),
        End("dropped", dropped.total(), _listed(dropped)),
    )
    return [
        *(end for end in ends if end.task_ids),
        End("given", summary.given, requests_in(summary)),
    ]


def requests_in(summary: Summary) -> str:
    """The requests of a run, such as `61 requests, 1 retry, 12 polls`."""
    parts = [plural(summary.requests, "request")]
    if summary.retries:
        parts.append(f"{summary.retries:,} {'retry' if summary.retries == 1 else 'retries'}")
    if summary.mixed_up:
        parts.append(f"{plural(summary.mixed_up, 'answer')} about another task asked for again")
    if summary.polls:
        parts.append(plural(summary.polls, "poll"))
    return ", ".join(parts)


def _listed(counts: Mapping[str, int]) -> str:
    most_first = Counter(counts).most_common()
    return ", ".join(f"{count:,} {name}" for name, count in most_first if count)
