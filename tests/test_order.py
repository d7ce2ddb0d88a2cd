"""The order of answers is that of the log, whatever the clocks said."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from builders import answer, pending
from case_gateway import CaseGateway, generation
from test_recovery import same, tables

from connector.record.answer import Answer, Outcome
from connector.storage.local import LocalStorage
from connector.warehouse import inbox, sequence
from connector.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    from conftest import CommandLine

NOW = datetime.now(UTC).replace(microsecond=0)
AHEAD, RIGHT, UNSET = NOW + timedelta(days=10), NOW, datetime(1970, 1, 1, 0, 5, tzinfo=UTC)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets the clock that numbers are taken from."""

    def set_to(moment: datetime) -> None:
        micros = (moment - sequence.EPOCH) // sequence.MICROSECOND
        monkeypatch.setattr(sequence.time, "time_ns", lambda: micros * 1_000)

    return set_to


def received(root: Path, clock: Any, at: datetime, *answers: Answer) -> None:
    """A run at this time by its clock, with these answers."""
    clock(at)
    with Warehouse.writing(root) as warehouse:
        run_id = sequence.run_id_of(warehouse.next_sequence())
        given = [one._replace(fetched_at=at) for one in answers]
        warehouse.save(f"{run_id}-000001", given, run_id)
        warehouse.commit()


def rejected(task_id: str = "t", outcome: Outcome = Outcome.TIMEOUT) -> Answer:
    return answer(task_id, {"detail": "no"}, outcome=outcome, status=404)


def states(root: Path) -> dict[str, str]:
    """Status or reason of each task ID; of one that ended and was then refused, both."""
    generations, rejects = tables(root).values()
    ends = dict(zip(generations.task_id, generations.status, strict=True))
    for task_id, reason in zip(rejects.task_id, rejects.reason, strict=True):
        ends[task_id] = " ".join(filter(None, (ends.get(task_id), reason)))
    return ends


def queued(task_id: str = "t") -> Answer:
    return pending(task_id, created_at="2025-12-31T08:00:00Z")


@pytest.mark.parametrize("wrong", [AHEAD, UNSET])
@pytest.mark.parametrize("first", [queued("t"), rejected("t")])
def test_what_came_by_a_wrong_clock_is_replaced_by_the_next_answer(
    tmp_path: Path, clock: Any, wrong: datetime, first: Answer
) -> None:
    received(tmp_path, clock, wrong, first)
    received(tmp_path, clock, RIGHT, answer("t"))
    assert states(tmp_path) == {"t": "completed"}
    before = tables(tmp_path)
    with Warehouse.writing(tmp_path) as warehouse:
        assert "t" in warehouse.settled().to_pylist()
        warehouse.compact()
        warehouse.rebuild()
    same(before, tables(tmp_path))


def test_a_clock_set_back_does_not_hold_a_reject_or_hide_one(tmp_path: Path, clock: Any) -> None:
    received(tmp_path, clock, AHEAD, pending("a"), rejected("b"), answer("c"))
    received(tmp_path, clock, RIGHT, rejected("b", Outcome.NOT_FOUND))
    received(tmp_path, clock, UNSET, rejected("b", Outcome.SERVER_ERROR), pending("a"))
    assert states(tmp_path) == {"a": "queued", "b": "server_error", "c": "completed"}
    (row,) = pd.read_parquet(tmp_path / "generations").query("task_id == 'a'").to_dict("records")
    assert row["fetches"] == 2


def test_what_is_finished_stays_so_and_of_two_ends_the_last_counts(
    tmp_path: Path, clock: Any
) -> None:
    failed = answer("t", {"id": "t", "state": "failed"})
    received(tmp_path, clock, AHEAD, answer("t"))
    received(tmp_path, clock, AHEAD + timedelta(minutes=1), pending("t"))
    assert states(tmp_path) == {"t": "completed"}
    received(tmp_path, clock, RIGHT, failed)
    received(tmp_path, clock, RIGHT + timedelta(minutes=1), pending("t"))
    assert states(tmp_path) == {"t": "failed"}
    before = tables(tmp_path)
    assert before["generations"].fetches.tolist() == [2]
    with Warehouse.writing(tmp_path) as warehouse:
        assert warehouse.rebuild().changed_files == 0


def test_runs_sort_in_their_order(tmp_path: Path, clock: Any) -> None:
    run_ids = []
    for at in (AHEAD, RIGHT, UNSET, AHEAD + timedelta(days=1)):
        received(tmp_path, clock, at, rejected("t"))
        run_ids += set(pd.read_parquet(tmp_path / "rejects").run_id)
    assert run_ids == sorted(run_ids)


def test_a_part_of_a_run_from_a_machine_whose_clock_is_ahead(tmp_path: Path, clock: Any) -> None:
    """Machines of one run may differ; what its own process asks for later is later."""
    clock(RIGHT)
    with Warehouse.writing(tmp_path) as warehouse:
        run_id = sequence.run_id_of(warehouse.next_sequence())
        clock(AHEAD)
        other = Warehouse.existing(tmp_path)
        first = pending("t")._replace(fetched_at=AHEAD)
        other.save(f"{run_id}-b000001-0001", [first], run_id, is_writer=False)
        clock(RIGHT)
        last = pending("t")._replace(fetched_at=RIGHT, message="later")
        warehouse.save(f"{run_id}-000001", [last], run_id)
        warehouse.commit()
    (row,) = pd.read_parquet(tmp_path / "generations").to_dict("records")
    assert row["fetched_at"].to_pydatetime() == RIGHT


def test_any_clock_gives_the_tables_of_a_right_one(tmp_path: Path, clock: Any) -> None:
    """Also after `compact` and `rebuild`, and in whatever order the log's months are read."""
    chance = random.Random(7)
    kinds = [queued, queued, answer, rejected, rejected]
    history = [[chance.choice(kinds)(f"t{n}") for n in range(20)] for _ in range(6)]
    for name in ("right", "any"):
        for number, answers in enumerate(history):
            away = timedelta(days=chance.choice([-40, 0, 40])) if name == "any" else timedelta()
            at = NOW - timedelta(hours=20 - number) + away
            received(tmp_path / name, clock, at, *answers)
    expected = states(tmp_path / "right")
    fetches = [tables(path)["generations"].fetches.tolist() for path in tmp_path.iterdir()]
    assert fetches[0] == fetches[1]
    assert states(tmp_path / "any") == expected
    before = tables(tmp_path / "any")
    with Warehouse.writing(tmp_path / "any") as warehouse:
        warehouse.compact()
        warehouse.rebuild()
    same(before, tables(tmp_path / "any"))


def test_a_file_of_the_log_committed_again_changes_nothing(tmp_path: Path, clock: Any) -> None:
    """A storage without a rename may show a file in inbox and log."""
    received(tmp_path, clock, AHEAD, pending("t"), rejected("r"))
    received(tmp_path, clock, RIGHT, answer("t"), answer("r"))
    before = tables(tmp_path)
    storage = LocalStorage(tmp_path)
    for name in inbox.logged_files(storage):
        (tmp_path / "inbox").mkdir(exist_ok=True)
        (tmp_path / "inbox" / Path(name).name).write_bytes((tmp_path / name).read_bytes())
    with Warehouse.writing(tmp_path):
        pass
    same(before, tables(tmp_path))
    assert states(tmp_path) == {"t": "completed", "r": "completed"}


def test_a_wrong_clock_is_mentioned(tmp_path: Path, clock: Any, cli: CommandLine) -> None:
    """Answers from a clock that was ahead, and a gateway that creates in the future."""
    received(tmp_path, clock, AHEAD, pending("t"))
    with CaseGateway() as gateway:
        gateway.tasks["t"] = generation("t", created_at="2088-01-01T00:00:00Z")
        arguments = ("ingest", "-", "--warehouse", tmp_path, "--base-url", gateway.base_url)
        done = cli(*arguments, stdin="t")
    assert done.returncode == 0, done.stderr
    assert states(tmp_path) == {"t": "completed"}
    text = " ".join(done.stdout.split())
    assert "ahead of this machine's clock" in text
    assert "1 answer with a `created_at` in the future" in text
    (note,) = pd.read_parquet(tmp_path / "runs").note
    assert "9 d ahead" in note or "10 d ahead" in note


@pytest.mark.parametrize("wrong", [AHEAD + timedelta(days=400), UNSET])
def test_a_generation_is_not_given_up_for_a_wrong_time(
    tmp_path: Path, clock: Any, wrong: datetime
) -> None:
    received(tmp_path, clock, wrong, pending("t", created_at=None))
    received(tmp_path, clock, wrong, pending("u", created_at="2088-01-01T00:00:00Z"))
    week = timedelta(days=7)
    found = Warehouse.existing(tmp_path)
    assert not len(found.settled(give_up_after=week))
    assert sorted(found.unfinished(week).to_pylist()) == ["t", "u"]


def received_by_clock(root: Path, clock: Any, at: datetime, *answers: Answer) -> None:
    """A run whose answers come a minute apart."""
    clock(at)
    with Warehouse.writing(root) as warehouse:
        run_id = sequence.run_id_of(warehouse.next_sequence())
        times = [at + n * timedelta(minutes=1) for n in range(len(answers))]
        given = [one._replace(fetched_at=t) for one, t in zip(answers, times, strict=True)]
        warehouse.save(f"{run_id}-000001", given, run_id)
        warehouse.commit()


def test_times_in_the_future_are_moved_back_once_and_a_rebuild_does_the_same(
    tmp_path: Path, clock: Any, caplog: pytest.LogCaptureFixture
) -> None:
    right = RIGHT - timedelta(hours=1)
    received_by_clock(tmp_path, clock, right, answer("old"), rejected("gone"))
    received_by_clock(tmp_path, clock, AHEAD, queued("t"), answer("u"), answer("t"), rejected("r"))
    with Warehouse.writing(tmp_path) as warehouse:
        opened = datetime.now(UTC)
        assert warehouse.latest > RIGHT + timedelta(days=9)
    assert "in the future" in caplog.text
    before = tables(tmp_path)
    rows = before["generations"].set_index("task_id")
    for table in before.values():
        assert (table.fetched_at <= opened).all()
    # The time between two answers stays.
    assert rows.first_finished_at["t"] - rows.first_seen_at["t"] == timedelta(minutes=2)
    assert rows.fetches["t"] == 2
    assert rows.fetched_at["old"] == right
    assert pd.read_parquet(tmp_path / "answers").fetched_at.max() > opened  # as they came

    files = {path: path.read_bytes() for path in tmp_path.rglob("*.parquet")}
    caplog.clear()
    with Warehouse.writing(tmp_path):
        pass
    assert "in the future" not in caplog.text
    assert files == {path: path.read_bytes() for path in tmp_path.rglob("*.parquet")}
    with Warehouse.writing(tmp_path) as warehouse:
        assert warehouse.rebuild().changed_files == 0
    same(before, tables(tmp_path))


def test_a_clock_that_is_behind_moves_nothing(
    tmp_path: Path, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gateway has created something since: it is this clock that is wrong."""
    body = {"id": "t", "state": "completed", "created_at": (NOW - timedelta(days=1)).isoformat()}
    received_by_clock(tmp_path, clock, NOW, answer("t", body))
    before = tables(tmp_path)

    class Behind(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) - timedelta(days=10)

    monkeypatch.setattr("connector.warehouse.rebuild.datetime", Behind)
    with Warehouse.writing(tmp_path):
        pass
    same(before, tables(tmp_path))
    assert not (tmp_path / "clocks.json").exists()


def test_a_number_that_no_warehouse_gave_is_not_counted_up_from() -> None:
    absurd = 2**63 - 1
    number = sequence.next_after(absurd)
    assert sequence.next_after(number - 1) == number < absurd
    assert sequence.run_id_of(absurd).startswith("9999")
