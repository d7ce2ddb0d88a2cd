"""Merging: newest wins, lineage adds up, and once more changes nothing."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest
from builders import BASE_URL, NOON, answer, pending, table
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.record.answer import Answer, Outcome
from connector.record.flatten import flatten
from connector.record.merge import in_order, merge_rejects, resolve, splice
from connector.record.schema import GENERATIONS, REJECTS, TERMINAL_STATUSES

NOTHING = GENERATIONS.schema.empty_table()


def merge(existing: pa.Table, *answers: Answer, piece: int = 3) -> pa.Table:
    """Merge answers into a table that is handed over in small pieces."""
    upserts = resolve(existing, flatten(table(*answers)))
    pieces = [existing.slice(i, piece) for i in range(0, len(existing), piece)]
    return pa.concat_tables([NOTHING, *splice(pieces, upserts)])


def only(rows: pa.Table) -> dict[str, Any]:
    (row,) = rows.to_pylist()
    return row


def test_newest_answer_wins_and_lineage_adds_up() -> None:
    first = merge(NOTHING, pending(minutes=0))
    second = merge(first, pending(minutes=5))
    third = only(merge(second, answer(minutes=10)))
    assert third["status"] == "completed"
    assert third["fetches"] == 3
    assert third["first_seen_at"] == NOON
    assert (third["last_unfinished_at"] - NOON).total_seconds() == 300 - 0.25
    assert (third["first_finished_at"] - NOON).seconds == 600


def test_an_answer_no_newer_changes_nothing() -> None:
    known = merge(NOTHING, answer(minutes=5))
    for minutes in (5, 4):
        assert not len(resolve(known, flatten(table(pending(minutes=minutes)))))


def test_a_task_id_known_twice_is_refused() -> None:
    known = merge(NOTHING, answer())
    with pytest.raises(ValueError, match="twice"):
        resolve(pa.concat_tables([known, known]), flatten(table(answer(minutes=1))))


def test_a_row_moves_when_its_time_becomes_known() -> None:
    known = merge(NOTHING, pending("a"), answer("b"))
    assert known["task_id"].to_pylist() == ["b", "a"]
    body = {"id": "a", "state": "completed", "created_at": "2020-01-01T00:00:00Z"}
    merged = merge(known, answer("a", body, minutes=1))
    assert merged["task_id"].to_pylist() == ["a", "b"]


@st.composite
def histories(draw: st.DrawFn) -> list[list[Answer]]:
    """Commits, each with answers for a few task IDs at times that only grow."""
    created = ["2025-01-01T00:00:00Z", "2025-01-02T00:00:00Z", "2025-01-02T00:00:00Z", None]
    commits, minutes = [], 0
    for _ in range(draw(st.integers(1, 4))):
        commit = []
        for _ in range(draw(st.integers(0, 8))):
            minutes += draw(st.integers(0, 2))
            number = draw(st.integers(0, 9))
            state = draw(st.sampled_from(["pending", "completed"]))
            body = {"id": "x", "state": state, "created_at": created[number % 4]}
            commit.append(answer(f"t{number}", body, minutes=minutes))
        commits.append(commit)
    return commits


def by_hand(commits: list[list[Answer]]) -> dict[str, dict[str, Any]]:
    """The same lineage, the slow and obvious way."""
    rows: dict[str, dict[str, Any]] = defaultdict(dict)
    for one in (one for commit in commits for one in commit):
        row = rows[one.task_id]
        if row and row["fetched_at"] >= one.fetched_at:
            continue
        (flat,) = flatten(table(one)).to_pylist()
        is_finished = flat["status"] in TERMINAL_STATUSES
        if row and row["status"] in TERMINAL_STATUSES and not is_finished:
            continue
        if is_finished:
            row.setdefault("first_finished_at", one.fetched_at)
        else:
            row["last_unfinished_at"] = one.fetched_at - timedelta(seconds=0.25)
        row.setdefault("first_seen_at", one.fetched_at)
        row["fetches"] = row.get("fetches", 0) + 1
        row["fetched_at"], row["status"] = one.fetched_at, flat["status"]
    return dict(rows)


@settings(max_examples=150, deadline=None)
@given(histories(), st.integers(1, 4))
def test_merging_commit_by_commit_equals_the_obvious_way(
    commits: list[list[Answer]], piece: int
) -> None:
    # Answers of one task ID at the very same time are one answer: keep the first of each.
    seen: set[tuple[str, Any]] = set()
    for commit in commits:
        commit[:] = [
            one
            for one in commit
            if (one.task_id, one.fetched_at) not in seen
            and not seen.add((one.task_id, one.fetched_at))  # type: ignore[func-returns-value]
        ]
    merged = NOTHING
    for commit in commits:
        merged = merge(merged, *commit, piece=piece)
        assert merge(merged, *commit, piece=piece).equals(merged), "a repeated merge changed it"
        assert merged.equals(in_order(merged)), "not sorted"
    expected = by_hand(commits)
    assert sorted(merged["task_id"].to_pylist()) == sorted(expected)
    for row in merged.to_pylist():
        for name, value in expected[row["task_id"]].items():
            assert row[name] == value, name


def known() -> dict[str, str]:
    """The gateway of all answers here has given generations before."""
    return {BASE_URL: ""}


def rejected(task_id: str, reason: Outcome, minutes: float = 0) -> Answer:
    return answer(task_id, {"detail": "no"}, outcome=reason, status=404, minutes=minutes)


def test_a_reject_enters_is_renewed_and_leaves() -> None:
    empty = REJECTS.schema.empty_table()
    one = merge_rejects(
        empty, table(rejected("a", Outcome.TIMEOUT), rejected("b", Outcome.NOT_FOUND)), known()
    )
    assert one["task_id"].to_pylist() == ["a", "b"]
    assert one["is_final"].to_pylist() == [False, True]
    two = merge_rejects(one, table(rejected("a", Outcome.NOT_FOUND, minutes=1)), known())
    assert two["reason"].to_pylist() == ["not_found", "not_found"]
    three = merge_rejects(two, table(answer("a", minutes=2)), known())
    assert three["task_id"].to_pylist() == ["b"]
    assert three["body_start"].to_pylist() == ['{"detail": "no"}']


def test_rejects_that_do_not_change_are_the_same_object() -> None:
    gone = table(rejected("a", Outcome.NOT_FOUND))
    rejects = merge_rejects(REJECTS.schema.empty_table(), gone, known())
    assert merge_rejects(rejects, gone, known()) is rejects
    assert merge_rejects(rejects, table(answer("other")), known()) is rejects


def test_a_task_is_given_up_only_where_the_gateway_is_known_to_work() -> None:
    empty = REJECTS.schema.empty_table()
    gone = table(rejected("a", Outcome.NOT_FOUND), run_id="1")
    doubtful = merge_rejects(empty, gone, {})
    assert doubtful["is_final"].to_pylist() == [False]
    # A generation in the same run, before or after, shows that the address is right.
    good = table(answer("b", minutes=5), run_id="1")
    assert merge_rejects(doubtful, good, {})["is_final"].to_pylist() == [True]
    # One in a later run may be owed to another key: what was refused before is asked again.
    later = table(answer("b", minutes=5), run_id="2")
    assert merge_rejects(doubtful, later, {})["is_final"].to_pylist() == [False]
    # Another gateway's generation shows nothing.
    assert merge_rejects(empty, gone, {"https://another.example": ""})["is_final"].to_pylist() == [
        False
    ]


def test_what_is_not_true_of_the_task_is_never_held_against_it() -> None:
    empty = REJECTS.schema.empty_table()
    for outcome in (Outcome.NOT_JSON, Outcome.REDIRECTED, Outcome.NOT_READY, Outcome.TIMEOUT):
        merged = merge_rejects(empty, table(rejected("a", outcome)), known())
        assert merged["is_final"].to_pylist() == [False], outcome
