"""The marts: figures worked out by hand, files left alone, and bounds that hold the truth."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pytest
from builders import NOON, answer, example, pending, table

from connector.marts import fold as uses
from connector.marts.prompts import prompts
from connector.marts.resolutions import resolutions
from connector.marts.timings import Allowance, timings
from connector.record.flatten import flatten
from connector.record.merge import in_order, resolve
from connector.record.schema import GENERATIONS, PROMPTS, RESOLUTIONS, TIMINGS
from connector.storage import parquet
from connector.warehouse import refresh as marts
from connector.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from connector.marts.fold import Read
    from connector.record.answer import Answer


def merged(*answers: Answer) -> pa.Table:
    """Rows of `generations` after these answers."""
    nothing = GENERATIONS.schema.empty_table()
    return in_order(resolve(nothing, flatten(table(*answers))))


def reader(rows: pa.Table, piece: int = 2) -> Read:
    def read(columns: Sequence[str]) -> Iterator[pa.Table]:
        for start in range(0, len(rows), piece):
            yield rows.select(columns).slice(start, piece)

    return read


def made(
    task_id: str, prompt: str | None, state: str = "completed", day: int = 1, **more: Any
) -> Answer:
    body = {"state": state, "prompt": prompt, "created_at": f"2025-12-{day:02}T08:00:00Z", **more}
    return answer(task_id, body)


# Prompts.


def prompts_of(*answers: Answer) -> dict[str, dict[str, Any]]:
    rows = pa.concat_tables([PROMPTS.schema.empty_table(), *prompts(reader(merged(*answers)))])
    assert rows.schema.equals(PROMPTS.schema, check_metadata=True)
    return {row["prompt"]: row for row in rows.to_pylist()}


def test_a_prompt_counts_its_uses_and_what_came_of_them() -> None:
    rows = prompts_of(
        made("a", "a cat", day=3),
        made("b", "a cat", "failed", day=1, failure_reason="moderation"),
        made("c", "a cat", "failed", day=2, failure_reason="moderation"),
        made("d", "a cat", "failed", day=2, failure_reason="an error"),
        made("e", "a cat", "dreaming", day=9),
        made("f", "two dogs", "pending"),
        made("g", "", "completed"),
    )
    assert list(rows) == ["a cat", "two dogs", ""], "in the order of first use"
    cat, dogs = rows["a cat"], rows["two dogs"]
    assert (cat["uses"], cat["completed"], cat["failed"], cat["unfinished"]) == (5, 1, 3, 1)
    assert cat["failure_share"] == 0.75
    assert cat["main_failure_reason"] == "moderation"
    assert cat["first_used_at"] == datetime(2025, 12, 1, 8, tzinfo=UTC)
    assert cat["last_used_at"] == datetime(2025, 12, 9, 8, tzinfo=UTC)
    assert (cat["prompt_words"], cat["prompt_characters"]) == (2, 5)
    assert dogs["failure_share"] is None, "none is finished yet"
    assert dogs["main_failure_reason"] is None


def test_of_reasons_given_equally_often_the_first_in_the_alphabet_is_named() -> None:
    failures = [
        made(str(number), "x", "failed", failure_reason=reason)
        for number, reason in enumerate(["b", "a", "a", "b", None, None, None])
    ]
    assert prompts_of(*failures)["x"]["main_failure_reason"] == "a"


def test_surrounding_blanks_make_no_other_prompt_and_no_prompt_makes_no_row() -> None:
    rows = prompts_of(made("a", " a cat\n", day=1), made("b", "a cat", day=2), made("c", None))
    assert {text: row["uses"] for text, row in rows.items()} == {" a cat\n": 2}


def test_prompts_without_a_known_time_are_counted_too() -> None:
    row = prompts_of(answer("a", {"state": "completed", "prompt": "x"}))["x"]
    assert (row["uses"], row["first_used_at"], row["last_used_at"]) == (1, None, None)


@pytest.mark.parametrize("wrong", ["1970-01-01T00:00:00Z", "2999-12-31T00:00:00Z"])
def test_a_prompt_was_not_used_when_no_clock_was_right(wrong: str) -> None:
    at_odds = answer("w", {"state": "failed", "prompt": "x", "created_at": wrong})
    row = prompts_of(at_odds, made("a", "x", day=1), made("b", "x", day=2))["x"]
    assert (row["first_used_at"].day, row["last_used_at"].day) == (1, 2)
    assert (row["uses"], row["tries_until_completed"], row["tries_after_failure"]) == (3, 1, 0)


def test_counts_do_not_depend_on_how_the_rows_come(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = merged(
        *(
            made(f"t{n}", f"p{n * n % 37}", ("completed", "failed", "queued")[n % 3], 1 + n % 28)
            for n in range(400)
        )
    )
    at_once = pa.concat_tables(prompts(reader(rows, 1000)))
    monkeypatch.setattr(uses, "FOLD_ROWS", 10)
    assert pa.concat_tables(prompts(reader(rows, 7))).equals(at_once)
    assert pa.compute.sum(at_once["uses"]).as_py() == 400
    assert len(at_once) == len({n * n % 37 for n in range(400)})


# Resolutions.


def test_each_size_is_a_row_and_all_generations_are_in_one() -> None:
    asked = {"resolution": "720P", "aspect_ratio": "16:9"}
    rows = resolutions(
        reader(
            merged(
                answer("a", example("completed")),
                made("b", "x", video={"width": 752, "height": 1360}),
                made("c", "x", "failed", video={"width": 0, "height": 0}, request=asked),
                made("d", "x", "failed", request=asked),
                made("e", "x", "pending", request={"aspect_ratio": "1:1"}),
                made("f", "x", "pending"),
                made("g", "x", video={"width": 1024, "height": None}),
            )
        )
    )
    assert rows.schema.equals(RESOLUTIONS.schema, check_metadata=True)
    by_label = {row.pop("label"): row for row in rows.to_pylist()}
    assert {label: row["uses"] for label, row in by_label.items()} == {
        "752 × 1360": 2,
        "720p 16:9 (requested)": 2,
        "1:1 (requested)": 1,
        "unknown": 2,
    }
    assert by_label["752 × 1360"] == {
        "width": 752,
        "height": 1360,
        "resolution": "720p",
        "aspect_ratio": "9:16",
        "orientation": "portrait",
        "megapixels": 1.02272,
        "requested_resolution": None,
        "requested_aspect_ratio": None,
        "uses": 2,
        "completed": 2,
        "failed": 0,
        "unfinished": 0,
        "failure_share": 0.0,
    }
    requested = by_label["720p 16:9 (requested)"]
    assert (requested["width"], requested["megapixels"]) == (None, None)
    assert (requested["orientation"], requested["failure_share"]) == ("landscape", 1.0)


def test_what_was_requested_stands_beside_what_was_delivered() -> None:
    asked, video = {"resolution": "1080p"}, {"width": 1280, "height": 720}
    rows = resolutions(
        reader(merged(made("a", "x", video=video, request=asked), made("b", "x", video=video)))
    )
    found = [(row["resolution"], row["requested_resolution"]) for row in rows.to_pylist()]
    assert found == [("720p", "1080p"), ("720p", None)]
    assert rows["label"].to_pylist() == ["1280 × 720"] * 2


def test_no_generations_make_empty_marts() -> None:
    nothing = reader(GENERATIONS.schema.empty_table())
    assert resolutions(nothing).equals(RESOLUTIONS.schema.empty_table())
    assert list(prompts(nothing)) == []
    assert timings(GENERATIONS.schema.empty_table()).equals(TIMINGS.schema.empty_table())


# Timings. By default 5 s are allowed for clocks that differ; each fetch took 0.25 s.

CREATED = (NOON - timedelta(minutes=10)).isoformat()


def timed(*answers: Answer) -> dict[str, Any]:
    rows = timings(merged(*answers))
    assert rows.schema.equals(TIMINGS.schema, check_metadata=True)
    (row,) = rows.to_pylist()
    return row


def bounds(row: dict[str, Any]) -> tuple[float | None, float | None, str]:
    return row["seconds_lower"], row["seconds_upper"], row["basis"]


def seen(state: str, minutes: float, created_at: str | None = CREATED, **more: Any) -> Answer:
    return answer(body={"state": state, "created_at": created_at, **more}, minutes=minutes)


def signed(moment: datetime) -> dict[str, Any]:
    """A video whose download URL was signed then."""
    return {"download_url": f"https://storage/v.mp4?X-Amz-Date={moment:%Y%m%dT%H%M%SZ}"}


def test_the_documented_example_took_at_most_34_seconds() -> None:
    row = timed(answer("a", example("completed")))
    # Created at :19.325, signed in the second :53, which ends at :54.
    assert bounds(row) == (0.0, 34.675, "signed")
    assert row["finished_after_at"] == datetime(2024, 10, 15, 8, 56, 19, 325000, UTC)
    assert row["finished_before_at"] == datetime(2024, 10, 15, 8, 56, 54, tzinfo=UTC)
    assert row["model"] == "lit_lite_inference_v1.6-xl"
    assert (row["resolution"], row["created_hour"]) == ("720p", 8)


def test_seen_unfinished_and_then_finished_is_observed() -> None:
    row = timed(seen("queued", 0), seen("dreaming", 5), seen("completed", 7))
    # Lower: 15 min less 0.25 s for the fetch, 5 s for clocks, 1 s for a time in whole seconds.
    # Upper: 17 min and 5 s for the clocks.
    assert bounds(row) == (900 - 6.25, 1020 + 5, "observed")
    assert row["finished_after_at"] == NOON + timedelta(seconds=300 - 5.25)
    assert row["finished_before_at"] == NOON + timedelta(seconds=420 + 5)


def test_a_failure_is_timed_like_a_success() -> None:
    assert bounds(timed(seen("queued", 5), seen("failed", 7))) == (893.75, 1025, "observed")


def test_first_seen_finished_and_unsigned_is_backfilled() -> None:
    assert bounds(timed(seen("completed", 0))) == (0, 605, "backfilled")


def test_an_unfinished_one_has_no_upper_bound() -> None:
    row = timed(seen("queued", 5))
    assert bounds(row) == (893.75, None, "unfinished")
    assert row["finished_before_at"] is None


def test_a_state_that_nobody_knows_may_be_final_so_nothing_is_known() -> None:
    assert bounds(timed(seen("archived", 5))) == (0, None, "unfinished")


def test_a_signature_made_for_the_fetch_itself_tells_no_more_than_the_fetch() -> None:
    row = timed(seen("completed", 0, video=signed(NOON - timedelta(seconds=30))))
    assert bounds(row) == (0, 600 - 30 + 1, "backfilled")


def test_a_signature_narrows_what_was_observed() -> None:
    done = seen("completed", 60, video=signed(NOON + timedelta(minutes=8)))
    assert bounds(timed(seen("queued", 5), done)) == (893.75, 1080 + 1, "signed")


def test_a_signature_from_before_the_creation_is_not_this_generations() -> None:
    early = signed(NOON - timedelta(minutes=11))
    assert bounds(timed(seen("completed", 0, video=early))) == (0, 605, "backfilled")


def test_a_signature_on_a_failure_or_on_a_preview_bounds_nothing() -> None:
    early = signed(NOON - timedelta(minutes=9))
    assert bounds(timed(seen("failed", 0, video=early))) == (0, 605, "backfilled")
    assert bounds(timed(seen("dreaming", 0, video=early))) == (600 - 6.25, None, "unfinished")


def test_without_a_creation_first_sight_gives_a_lower_bound_but_none_gives_an_upper() -> None:
    row = timed(seen("queued", 0, None), seen("queued", 5, None), seen("completed", 7, None))
    # Five minutes between two looks, less 0.25 s for the fetch and twice 5 s for the clocks.
    assert bounds(row) == (300 - 10.25, None, "undated")
    assert row["finished_before_at"] == NOON + timedelta(seconds=420 + 5)
    assert row["created_hour"] is None


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param(
            [seen("completed", 0, (NOON + timedelta(hours=1)).isoformat())],
            id="seen before it was created",
        ),
        pytest.param(
            [
                seen("queued", 5),
                seen("completed", 7, video=signed(NOON - timedelta(minutes=5))),
            ],
            id="signed while unfinished",
        ),
    ],
)
def test_where_things_contradict_each_other_nothing_is_claimed(answers: list[Answer]) -> None:
    row = timed(*answers)
    assert bounds(row) == (0, None, "contradictory")
    assert (row["finished_after_at"], row["finished_before_at"]) == (None, None)


@pytest.mark.parametrize("later", [["queued"], ["queued", "completed"]])
def test_what_is_said_after_the_end_changes_no_bound(later: list[str]) -> None:
    answers = [seen(state, minute) for minute, state in enumerate(["completed", *later])]
    assert bounds(timed(*answers)) == bounds(timed(answers[0]))


def test_what_clocks_may_differ_by_is_no_contradiction() -> None:
    """Created 4 s ahead of our clock, signed 5 s before an answer that still said `queued`."""
    ahead = (NOON + timedelta(seconds=4)).isoformat()
    assert bounds(timed(seen("completed", 0, ahead))) == (0, 1, "backfilled")
    early = seen("completed", 7, video=signed(NOON + timedelta(seconds=295)))
    assert bounds(timed(seen("queued", 5), early)) == (893.75, 896, "signed")


# Reported times. `CREATED` is 11:50:00, in whole seconds: it lies up to a second later.


def clock(minute: int, second: float) -> str:
    """A moment after 11:00, as text: whole seconds without fractions."""
    moment = NOON + timedelta(minutes=minute - 60, seconds=second)
    return moment.isoformat()


def test_a_finish_in_whole_seconds_is_known_to_a_second() -> None:
    row = timed(seen("completed", 0, completed_at=clock(51, 35)))
    assert row["finished_after_at"] == NOON - timedelta(seconds=505)
    assert row["finished_before_at"] == NOON - timedelta(seconds=504)
    # From :00.999… to :35.0 at least, from :00.0 to :35.999… at most.
    assert bounds(row) == (94, 96, "reported")


@pytest.mark.parametrize(
    ("created_at", "finished_at", "lower", "upper"),
    [
        pytest.param(clock(50, 0.5), clock(51, 35.75), 95.25, 95.25, id="both in fractions"),
        pytest.param(clock(50, 0.5), clock(51, 35), 94.5, 95.5, id="finish in whole seconds"),
        pytest.param(clock(50, 0), clock(51, 35.5), 94.5, 95.5, id="creation in whole seconds"),
        pytest.param(clock(50, 0), clock(50, 0), 0, 1, id="in one second"),
        pytest.param(clock(50, 0.75), clock(50, 0), 0, 0.25, id="in the rest of a second"),
        pytest.param(clock(50, 0.75), clock(50, 0.75), 0, 0, id="at once"),
    ],
)
def test_bounds_are_as_far_apart_as_the_gateway_counts(
    created_at: str, finished_at: str, lower: float, upper: float
) -> None:
    row = timed(seen("completed", 0, created_at, finished_at=finished_at))
    assert bounds(row) == (lower, upper, "reported")
    # The finish as such is no nearer than that, but for what the creation rules out.
    assert row["finished_after_at"] == max(
        datetime.fromisoformat(created_at), datetime.fromisoformat(finished_at)
    )


@pytest.mark.parametrize("state", ["completed", "failed"])
def test_a_report_counts_for_more_than_what_was_seen_or_signed(state: str) -> None:
    finished_at = clock(58, 30)
    late = signed(NOON + timedelta(minutes=6))
    row = timed(
        answer(body={"state": "dreaming", "created_at": CREATED}, minutes=-5),
        seen(state, 60, finished_at=finished_at, video=late),
    )
    assert bounds(row) == (509, 511, "reported")


def test_a_signature_from_before_the_reported_finish_is_no_contradiction() -> None:
    """The video is uploaded and signed, then the gateway writes that it is finished."""
    done = seen(
        "completed", 7, finished_at=clock(58, 30), video=signed(NOON - timedelta(minutes=3))
    )
    assert bounds(timed(done)) == (509, 511, "reported")


def test_waiting_and_working_are_told_apart() -> None:
    row = timed(
        seen(
            "completed",
            0,
            submit_time=int(NOON.timestamp()) - 600,
            start_time=int(NOON.timestamp()) - 588,
            finish_time=int(NOON.timestamp()) - 505,
        )
    )
    assert (row["queue_seconds"], row["work_seconds"]) == (12, 83)
    assert bounds(row) == (94, 96, "reported")


def test_without_a_submission_waiting_begins_with_the_creation() -> None:
    row = timed(seen("completed", 0, clock(50, 0.5), started_at=clock(50, 9)))
    assert (row["queue_seconds"], row["work_seconds"]) == (8.5, None)
    assert row["basis"] == "backfilled"


def test_one_that_is_worked_on_has_waited_but_has_no_work_yet() -> None:
    """Nor is a finish believed of one that goes on: some gateways tell when they expect it."""
    row = timed(seen("dreaming", -5, started_at=clock(50, 9), finished_at=clock(53, 0)))
    assert (row["queue_seconds"], row["work_seconds"]) == (9, None)
    assert bounds(row) == (300 - 6.25, None, "unfinished")


@pytest.mark.parametrize(
    ("times", "queue", "work"),
    [
        pytest.param({"started_at": clock(49, 57)}, None, 98, id="begun before it was created"),
        pytest.param({"started_at": clock(51, 36)}, 96, None, id="begun after it was finished"),
        pytest.param({"started_at": clock(50, 0)}, 0, 95, id="begun at once"),
        pytest.param({}, None, None, id="not told when it was begun"),
        pytest.param({"started_at": 0, "submitted_at": 0}, None, None, id="zero is no time"),
    ],
)
def test_a_negative_time_is_none(
    times: dict[str, Any], queue: float | None, work: float | None
) -> None:
    row = timed(seen("completed", 0, finished_at=clock(51, 35), **times))
    assert (row["queue_seconds"], row["work_seconds"]) == (queue, work)
    assert bounds(row) == (94, 96, "reported"), "the finish is told all the same"


NOT_SET = ["0002-01-01T00:00:00Z", "1200-01-31T23:00:00Z", "1970-01-01T00:00:00Z", 1, "1999-12-31"]


@pytest.mark.parametrize("none", NOT_SET)
def test_a_time_before_2000_is_of_a_clock_that_was_not_set(none: str | int) -> None:
    """It neither contradicts what is known nor makes a wait of centuries."""
    row = timed(seen("completed", 0, clock(50, 0), submitted_at=none, finished_at=none))
    assert row["basis"] == "backfilled"
    assert row["seconds_upper"] == 605
    row = timed(seen("completed", 0, none, started_at=clock(50, 9), finished_at=clock(51, 0)))
    assert (row["queue_seconds"], row["work_seconds"]) == (None, 51)
    assert bounds(row) == (0, None, "undated")
    assert row["created_at"] is not None, "what the gateway says is kept"


@pytest.mark.parametrize("state", ["dreaming", "completed"])
def test_a_start_ahead_of_all_that_was_seen_is_no_wait(state: str) -> None:
    for ahead in ("9999-12-31T23:59:59Z", (NOON + timedelta(minutes=2)).isoformat()):
        row = timed(seen(state, 0, clock(50, 0), started_at=ahead))
        assert (row["queue_seconds"], row["work_seconds"]) == (None, None)


def test_a_start_by_another_clock_than_the_creation_leaves_the_rest_as_it_is() -> None:
    """Of the case `output-and-meta`: begun 3.2 s before it was created, as the output has it."""
    body = (Path(__file__).parent / "cases/answers/output-and-meta.json").read_bytes()
    row = timed(answer("f7", body, minutes=10_000))
    assert (row["queue_seconds"], row["work_seconds"]) == (None, 189.7)
    assert bounds(row) == (186.472, 186.472, "reported")


def test_a_reported_finish_is_known_without_a_creation_too() -> None:
    row = timed(seen("queued", 0, None), seen("completed", 7, None, finished_at=clock(65, 0)))
    # It had been created 5 s after our first sight at the latest: that clock may be behind.
    assert bounds(row) == (300 - 5, None, "undated")
    assert row["finished_after_at"] == NOON + timedelta(minutes=5)
    assert row["finished_before_at"] == NOON + timedelta(minutes=5, seconds=1)


CONTRADICTIONS = {
    "a second before it was created": [seen("completed", 0, finished_at=clock(49, 59))],
    "a fraction before it was created": [
        seen("completed", 0, clock(50, 0.5), finished_at=clock(50, 0.25))
    ],
    "a whole second that was over when it was created": [
        seen("completed", 0, clock(50, 1.25), finished_at=clock(50, 0))
    ],
    "still unfinished after it": [
        seen("dreaming", 1),
        # The fetch began at 12:00:59.75; clocks may be 5 s apart, and its second is to be over.
        seen("completed", 7, finished_at=clock(60, 53)),
    ],
    "finished before it": [seen("completed", 0, finished_at=clock(60, 6))],
    "finished before it, and asked for again": [
        seen("completed", 0),
        seen("completed", 60, finished_at=clock(60, 6)),
    ],
}


@pytest.mark.parametrize("answers", CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_a_report_that_cannot_be_true_claims_nothing(answers: list[Answer]) -> None:
    *before, last = answers
    begun = {**json.loads(last.body or b""), "started_at": clock(50, 4)}
    row = timed(*before, last._replace(body=json.dumps(begun).encode()))
    assert bounds(row) == (0, None, "contradictory")
    assert (row["finished_after_at"], row["finished_before_at"]) == (None, None)
    assert (row["queue_seconds"], row["work_seconds"]) == (None, None)
    assert row["finished_at"] is not None, "what the gateway says is kept"


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param(
            [seen("dreaming", 1), seen("completed", 7, finished_at=clock(60, 54))],
            id="unfinished within what clocks differ by",
        ),
        pytest.param(
            [seen("completed", 0, finished_at=clock(60, 5))],
            id="finished within what clocks differ by",
        ),
    ],
)
def test_what_clocks_may_differ_by_does_not_contradict_a_report(answers: list[Answer]) -> None:
    assert timed(*answers)["basis"] == "reported"


# On disk.


def ingest(root: Path, batch: str, *answers: Answer) -> list[str]:
    with Warehouse.writing(root) as warehouse:
        warehouse.save(batch, answers, "run")
        warehouse.commit()
        return rebuild(warehouse)


def rebuild(warehouse: Warehouse) -> list[str]:
    return marts.rebuild(warehouse.storage, warehouse.generations.files().values())


def rebuilt(root: Path) -> list[str]:
    with Warehouse.writing(root) as warehouse:
        return rebuild(warehouse)


def created(task_id: str, day: str, state: str = "completed", **more: Any) -> Answer:
    body = {"state": state, "prompt": f"of {task_id}", "created_at": f"{day}T08:00:00Z"}
    return answer(task_id, body, **more)


MARCH, APRIL = (f"timings/created_month=2025-{month}/timings.parquet" for month in ("03", "04"))


def test_pandas_reads_each_mart_in_one_line(tmp_path: Path) -> None:
    ingest(tmp_path, "1", created("a", "2025-03-01"), created("b", "2025-04-01"), pending("c"))
    generations = pd.read_parquet(tmp_path / "generations")
    rows = pd.read_parquet(tmp_path / "timings")
    assert rows.task_id.tolist() == generations.task_id.tolist()
    assert rows.basis.tolist() == ["backfilled", "backfilled", "unfinished"]
    assert str(rows.created_hour.dtype) == "Int32"
    assert pd.read_parquet(tmp_path / "resolutions").uses.sum() == 3
    assert pd.read_parquet(tmp_path / "prompts").prompt.tolist() == ["of a", "of b"]


def test_marts_that_are_up_to_date_are_left_alone(tmp_path: Path) -> None:
    ingest(tmp_path, "1", created("a", "2025-03-01"))
    state = tmp_path / marts.STATE
    before = state.stat().st_mtime_ns
    assert rebuilt(tmp_path) == []
    assert state.stat().st_mtime_ns == before


def test_only_what_changed_is_replaced(tmp_path: Path) -> None:
    first = ingest(tmp_path, "1", created("a", "2025-03-01", "queued"), created("b", "2025-04-01"))
    # No term is in five prompts: that file has zero rows, as from the beginning.
    whole = set(marts.WHOLE.values()) - {marts.WHOLE["terms"]}
    assert set(first) == {MARCH, APRIL, *whole}
    # Later, but not otherwise: only the bound that its last sight gives has changed.
    assert ingest(tmp_path, "2", created("a", "2025-03-01", "queued", minutes=5)) == [MARCH]
    # Seen finished once more: nothing has.
    assert ingest(tmp_path, "3", created("b", "2025-04-01", minutes=5)) == []
    assert rebuilt(tmp_path) == []


@pytest.mark.parametrize("name", [MARCH, *marts.WHOLE.values(), marts.STATE])
def test_a_mart_that_is_missing_or_cut_short_is_made_again(tmp_path: Path, name: str) -> None:
    ingest(tmp_path, "1", *(created(f"a{number}", "2025-03-01") for number in range(5)))
    whole = (tmp_path / name).read_bytes()
    for damage in (os.unlink, lambda path: os.truncate(path, 10)):
        damage(tmp_path / name)
        assert rebuilt(tmp_path) == ([] if name == marts.STATE else [name])
        if name != marts.STATE:
            assert (tmp_path / name).read_bytes() == whole


def test_a_rebuild_that_died_is_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ingest(tmp_path, "1", created("a", "2025-03-01"))
    monkeypatch.setattr(marts, "resolutions", _interrupted)
    with pytest.raises(KeyboardInterrupt):
        ingest(tmp_path, "2", created("b", "2025-03-02"))
    monkeypatch.undo()
    assert set(rebuilt(tmp_path)) == set(marts.WHOLE.values()) - {marts.WHOLE["terms"]}
    assert pd.read_parquet(tmp_path / "resolutions").uses.sum() == 2


def _interrupted(_read: object) -> pa.Table:
    raise KeyboardInterrupt


def test_timings_of_a_partition_that_is_no_more_go(tmp_path: Path) -> None:
    ingest(tmp_path, "1", created("a", "2025-03-01"), created("b", "2025-04-01"))
    with Warehouse.writing(tmp_path) as warehouse:
        (gone,) = (tmp_path / "generations" / "created_month=2025-04").iterdir()
        gone.unlink()
        assert APRIL in rebuild(warehouse)
    assert pd.read_parquet(tmp_path / "timings").task_id.tolist() == ["a"]


def test_other_allowances_make_other_bounds(tmp_path: Path) -> None:
    ingest(tmp_path, "1", created("a", "2025-03-01"))
    generous = Allowance(clock_skew=timedelta(hours=1))
    with Warehouse.writing(tmp_path) as warehouse:
        files = list(warehouse.generations.files().values())
        assert marts.rebuild(warehouse.storage, files, generous) == [MARCH]
        assert marts.rebuild(warehouse.storage, files, generous) == []


def test_other_numbers_of_prompts_make_other_terms(tmp_path: Path) -> None:
    answers = [made(str(n), f"red {n}x") for n in range(5)]
    ingest(tmp_path, "1", *answers)
    assert pd.read_parquet(tmp_path / "terms").term.tolist() == ["red"]
    with Warehouse.writing(tmp_path) as warehouse:
        warehouse.refresh_marts(term_prompts=6)
        assert pd.read_parquet(tmp_path / "terms").term.tolist() == []
        assert rebuild(warehouse) == [], "it stays with the number that it was given"
        warehouse.refresh_marts(term_prompts=1)
    assert len(pd.read_parquet(tmp_path / "terms")) == 11


def test_timings_say_where_the_model_is_from_and_whether_they_are_measured() -> None:
    video = {"url": "https://storage/lit_v2/a/video.mp4"}
    asked = timed(seen("completed", 0, model="ray-2", video=video))
    assert (asked["model"], asked["model_source"]) == ("ray-2", "requested")
    stored = timed(seen("completed", 0, video=video))
    assert (stored["model"], stored["model_source"]) == ("lit_v2", "storage")
    neither = timed(seen("queued", 0))
    assert (neither["model"], neither["model_source"]) == (None, None)
    assert not stored["is_measured"]
    assert timed(seen("queued", 0), seen("completed", 5))["is_measured"]


def test_timings_of_many_row_groups_stay_in_order(tmp_path: Path) -> None:
    count = parquet.ROW_GROUP_ROWS + 100
    ingest(tmp_path, "1", *(created(f"t{n:06}", f"2025-03-{1 + n % 28:02}") for n in range(count)))
    rows = pd.read_parquet(tmp_path / "timings")
    assert rows.task_id.tolist() == pd.read_parquet(tmp_path / "generations").task_id.tolist()
    assert len(pd.read_parquet(tmp_path / "prompts")) == count
