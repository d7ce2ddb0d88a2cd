"""Timings against histories whose truth is known: the bounds hold it, and only get narrower."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from builders import table
from hypothesis import event, given, settings
from hypothesis import strategies as st

from connector.marts.timings import ALLOWANCE, timings
from connector.record.answer import Answer, Outcome
from connector.record.flatten import flatten
from connector.record.merge import resolve, splice
from connector.record.schema import GENERATIONS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

EPOCH = datetime(2026, 1, 2, tzinfo=UTC)
SECOND = 1_000_000

# In microseconds: seconds are floating point numbers.
ROUNDING = 0.5
SKEW = ALLOWANCE.clock_skew // timedelta(microseconds=1)
MOST_POLLS = 6
LONGEST_ANSWER = ALLOWANCE.answer // timedelta(microseconds=1)

TOLD_IN = ("seconds", "milliseconds", "milliseconds", "microseconds", None)
SIGNINGS = ("once", "never", "once", "each")

REPORTED_IN = (None, "seconds", "milliseconds", "microseconds")

# How much of a time its notation cuts off, at most; in microseconds.
GRAINS = {None: 0, "seconds": SECOND, "milliseconds": 1_000, "microseconds": 0}


@dataclass(frozen=True)
class Poll:
    """One fetch. All in microseconds."""

    looked_at: int
    """When the gateway read the task's state, by its own clock."""
    took: int
    """From that to the end of the answer."""
    skew: int
    """Of our clock, ahead of the gateway's."""


@dataclass(frozen=True)
class History:
    """A task's life by the gateway's clock, in microseconds since an epoch, and our fetches."""

    created: int
    finished: int
    outcome: str
    told_in: str | None
    """Precision of `created_at`; None if it is not told."""
    signing: str
    """When the download URL is signed: `never`, `once` it is finished, or at `each` fetch."""
    signed_late: int
    polls: tuple[Poll, ...]
    started: int = 0
    reported_in: str | None = None
    """Precision of `submitted_at`, `started_at` and `finished_at`; None if they are not told."""
    taken_back: frozenset[int] = frozenset()
    """Polls that say it is not finished, though an earlier one said it is."""


def when(micros: int) -> datetime:
    return EPOCH + timedelta(microseconds=micros)


def spans(most: int) -> st.SearchStrategy[int]:
    """Microseconds: bounds are met at the ends, and most of what matters is short."""
    ends, short = st.sampled_from([0, most]), st.integers(0, min(most, 90 * SECOND))
    return st.one_of(ends, short, st.integers(0, most))


SKEWS = st.one_of(st.sampled_from([-SKEW, SKEW]), st.integers(-SKEW, SKEW))


@st.composite
def histories(draw: st.DrawFn, *, is_steady: bool = False) -> History:
    """Any history that the allowances cover.

    A steady one has one skew throughout, a state that only moves on, and a URL that stays. An
    answer that is taken back by a clock that jumps back cannot be told from one that is not.
    """
    some_polls = st.frozensets(st.integers(1, MOST_POLLS - 1), max_size=2)
    is_fickle = not is_steady and draw(st.sampled_from([False, False, False, True]))
    taken_back = draw(some_polls) if is_fickle else frozenset()
    has_one_skew = is_steady or bool(taken_back)
    steady_skew = draw(SKEWS)
    created = now = draw(st.integers(0, 3 * SECOND))
    polls: list[Poll] = []
    for _ in range(draw(st.integers(1, MOST_POLLS))):
        now += draw(spans(3600 * SECOND))
        took = draw(spans(LONGEST_ANSWER))
        polls.append(Poll(now, took, steady_skew if has_one_skew else draw(SKEWS)))
        now += took + 1
    # Often it is finished just when it was looked at, or right after.
    moments = [created, *(poll.looked_at for poll in polls)]
    finished = draw(st.sampled_from(moments)) + draw(st.sampled_from([0, 1, 1, 10**8, 10**9]))
    started = draw(st.one_of(st.sampled_from([created, finished]), st.integers(created, finished)))
    return History(
        created,
        finished,
        started=started,
        reported_in=None if is_steady else draw(st.sampled_from(REPORTED_IN)),
        outcome=draw(st.sampled_from(["completed", "completed", "failed"])),
        told_in=draw(st.sampled_from(TOLD_IN)),
        signing=draw(st.sampled_from(SIGNINGS[:2] if is_steady else SIGNINGS)),
        signed_late=draw(spans(3600 * SECOND)),
        polls=tuple(polls),
        taken_back=taken_back,
    )


def body(history: History, poll: Poll, state: str) -> dict[str, Any]:
    """What the gateway answers."""
    answer: dict[str, Any] = {"id": "t", "state": state}
    if history.told_in is not None:
        answer["created_at"] = when(history.created).isoformat(timespec=history.told_in)
    if history.reported_in is not None:
        moments = {"submitted_at": history.created, "started_at": history.started}
        moments["finished_at"] = history.finished
        # What has not happened yet has no time: many gateways write zero.
        answer |= {
            name: reported(moment, history.reported_in) if moment <= poll.looked_at else 0
            for name, moment in moments.items()
        }
    if state == "completed" and history.signing != "never":
        signed = history.finished + history.signed_late
        signed = poll.looked_at if history.signing == "each" else min(signed, first_told(history))
        url = f"https://storage/v.mp4?X-Amz-Date={when(signed):%Y%m%dT%H%M%SZ}&X-Amz-Expires=3600"
        answer["video"] = {"download_url": url}
    return answer


def reported(moment: int, unit: str) -> str | int:
    """Whole seconds as a number since 1970, fractions as text: each as is usual."""
    if unit == "seconds":
        return int(when(moment).timestamp())
    return when(moment).isoformat(timespec=unit)


def first_told(history: History) -> int:
    """When the gateway first told that it is finished: the URL was signed by then."""
    return min(poll.looked_at for poll in history.polls if poll.looked_at >= history.finished)


def answers_of(task_id: str, history: History) -> Iterator[Answer]:
    was_told = False
    for number, poll in enumerate(history.polls):
        is_finished = poll.looked_at >= history.finished
        says_so = is_finished and not (was_told and number in history.taken_back)
        was_told |= says_so
        state = history.outcome if says_so else "processing"
        yield Answer(
            task_id=task_id,
            outcome=Outcome.GENERATION,
            http_status=200,
            attempts=1,
            elapsed_seconds=poll.took / SECOND,
            fetched_at=when(poll.looked_at + poll.took + poll.skew),
            body=json.dumps(body(history, poll, state)).encode(),
        )


def timings_step_by_step(
    tasks: dict[str, History], commits: Sequence[int]
) -> Iterator[list[dict[str, Any]]]:
    """Timings after each commit, made by the way that a warehouse takes.

    Args:
        tasks: Histories by task ID.
        commits: After how many polls of each task there is a commit; one more follows the last.
    """
    answers = [list(answers_of(task_id, history)) for task_id, history in tasks.items()]
    rows = GENERATIONS.schema.empty_table()
    for start, end in pairwise([0, *sorted(commits), MOST_POLLS]):
        batch = [answer for of_task in answers for answer in of_task[start:end]]
        upserts = resolve(rows, flatten(table(*batch)))
        rows = pa.concat_tables(splice([rows], upserts))
        yield timings(rows).to_pylist()


def tasks(*, is_steady: bool = False) -> st.SearchStrategy[dict[str, History]]:
    """A few dozen tasks at once: it is quicker than one by one."""
    one = histories(is_steady=is_steady)
    lists = st.lists(one, min_size=12, max_size=40)
    return lists.map(lambda found: {f"t{number}": one for number, one in enumerate(found)})


@settings(max_examples=30, deadline=None)
@given(tasks(), st.sets(st.integers(1, MOST_POLLS - 1)))
def test_the_truth_lies_within_the_bounds(tasks: dict[str, History], commits: set[int]) -> None:
    """Whatever the clocks within the allowance, the polls, the signing and what is not told."""
    for rows in timings_step_by_step(tasks, list(commits)):
        for row in rows:
            history = tasks[row["task_id"]]
            event(row["basis"])
            took, finished_at = history.finished - history.created, when(history.finished)
            # A time with fractions is taken as exact, though digits may have been cut off.
            cut = 1_000 if row["basis"] == "reported" else 0
            assert row["seconds_lower"] * SECOND <= took + cut + ROUNDING
            upper, before = row["seconds_upper"], row["finished_before_at"]
            assert upper is None or took <= upper * SECOND + cut + ROUNDING
            assert row["finished_after_at"] is None or row["finished_after_at"] <= finished_at
            assert before is None or finished_at <= before + timedelta(microseconds=cut)
            is_bounded = row["basis"] in {"reported", "observed", "signed", "backfilled"}
            assert is_bounded == (row["seconds_upper"] is not None)
            check_report(row, history)


def check_report(row: dict[str, Any], history: History) -> None:
    """What a consistent gateway reports is believed, and is as sharp as it counts."""
    is_final = row["status"] in {"completed", "failed"}
    has_finish = history.reported_in is not None and row["finished_at"] is not None
    # A clock of ours that jumps back makes "finished, then not" of what is none.
    is_steady = len({poll.skew for poll in history.polls}) == 1 and not history.taken_back
    if is_final and history.told_in and has_finish and is_steady:
        assert row["basis"] == "reported"
    if row["basis"] != "reported":
        assert row["work_seconds"] is None
        return
    width = row["finished_before_at"] - row["finished_after_at"]
    is_whole = not row["finished_at"].microsecond
    assert width <= timedelta(seconds=1 if is_whole else 0)
    grain = GRAINS[history.reported_in] + ROUNDING
    stages = {
        "queue_seconds": history.started - history.created,
        "work_seconds": history.finished - history.started,
    }
    for name, micros in stages.items():
        assert abs(row[name] * SECOND - micros) <= grain


@settings(max_examples=20, deadline=None)
@given(tasks(is_steady=True))
def test_more_polls_never_widen_the_bounds(tasks: dict[str, History]) -> None:
    """As long as the state only moves on, and a URL once signed stays."""
    narrowest = dict.fromkeys(tasks, (0.0, math.inf))
    for rows in timings_step_by_step(tasks, range(1, MOST_POLLS)):
        for row in rows:
            assert row["basis"] != "contradictory"
            lower, upper = narrowest[row["task_id"]]
            now = row["seconds_lower"], row["seconds_upper"] or math.inf
            assert lower <= now[0] <= now[1] <= upper
            narrowest[row["task_id"]] = now
