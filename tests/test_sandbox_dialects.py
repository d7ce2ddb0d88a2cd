"""The sandbox in other gateways' shapes: the same tasks and the same times, told otherwise."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Any

import pytest
from sandbox_client import Client
from shapes import (
    LIVE,
    SECOND,
    SHAPES,
    STATE_OF,
    VIDEO_OF,
    moment,
    phase_of,
    told,
)
from steered import PLAIN, Steered

from connector.sandbox import Sandbox, SandboxSettings, task_ids
from connector.sandbox.spellings import ZERO_TIME

if TYPE_CHECKING:
    from connector.sandbox.choices import Shape

# Shapes


@pytest.mark.parametrize("dialect", SHAPES)
@pytest.mark.parametrize("ends_as", ["completed", "failed"])
def test_a_task_has_one_life_in_every_shape(dialect: Shape, ends_as: str) -> None:
    """Queued, running, ended: at the moments that are true, however they are told."""
    gateway = Steered(LIVE.changed({"dialect": dialect, "failed": int(ends_as == "failed")}))
    start = gateway.now
    seen = []
    for _ in range(120):
        seen.append((phase_of(STATE_OF[dialect](gateway.generation("an-id"))), gateway.now))
        gateway.now += 1
    first_seen = [next(group) for _, group in groupby(seen, key=lambda each: each[0])]
    assert [phase for phase, _ in first_seen] == ["queued", "running", "ended"]
    truth = gateway.gateway.truth("an-id")
    assert truth["ends_as"] == ends_as
    submitted = datetime.fromisoformat(truth["submitted_at"])
    assert submitted.timestamp() == 1_750_000_000 + start
    for name, (_, at) in zip(("started_at", "finished_at"), first_seen[1:], strict=True):
        late = timedelta(seconds=at - start) - (datetime.fromisoformat(truth[name]) - submitted)
        assert timedelta(0) <= late < SECOND


@pytest.mark.parametrize("dialect", SHAPES)
def test_a_completed_task_has_its_video_in_every_shape(dialect: Shape) -> None:
    documented = told(PLAIN)["video"]["url"]
    url = VIDEO_OF[dialect](told(PLAIN.changed({"dialect": dialect})))
    is_official = dialect == "official"
    assert url != documented if is_official else url == documented
    assert url.startswith("https://storage.cdn-luma.com/")


@pytest.mark.parametrize("dialect", ["record", "bare-record"])
def test_a_task_record_tells_true_times_in_whole_seconds(dialect: Shape) -> None:
    gateway = Steered(LIVE.changed({"dialect": dialect, "failed": 0.5}))
    for task_id in task_ids(20):
        record = gateway.generation(task_id)
        record = record if dialect == "bare-record" else record["data"]
        assert (record["start_time"], record["finish_time"]) == (0, 0)
        assert record["data"] in (None, {})
        assert (record["progress"], record["fail_reason"]) == ("0%", "")
    gateway.now += 100
    for task_id in task_ids(20):
        record = gateway.generation(task_id)
        record = record if dialect == "bare-record" else record["data"]
        truth = gateway.gateway.truth(task_id)
        for told_as, name in (
            ("submit_time", "submitted_at"),
            ("start_time", "started_at"),
            ("finish_time", "finished_at"),
        ):
            assert record[told_as] == int(datetime.fromisoformat(truth[name]).timestamp())
        assert isinstance(record["id"], int)
        assert record["task_id"] == task_id
        assert record["properties"]["input"] == truth["prompt"]
        assert record["fail_reason"] == (truth["failure_reason"] or "")
        assert bool(record["fail_reason"]) == (record["status"] == "FAILURE")


def test_a_record_has_no_generation_before_there_is_one() -> None:
    gateway = Steered(LIVE.changed({"dialect": "bare-record"}))
    ids = task_ids(40)
    for task_id in ids:
        gateway.generation(task_id)
    gateway.now += 29
    running = [record["data"] for record in map(gateway.generation, ids) if record["start_time"]]
    assert {None, "{}", "dreaming"} <= {
        data if data is None else data["state"] if data else "{}" for data in running
    }
    assert not any(data.get("video") for data in running if data)


@pytest.mark.parametrize("dialect", ["output", "status"])
def test_other_shapes_tell_true_times_to_the_millisecond(dialect: Shape) -> None:
    gateway = Steered(SandboxSettings(dialect=dialect, unfinished=0, failed=0.5))
    for task_id in task_ids(30):
        body, truth = gateway.generation(task_id), gateway.gateway.truth(task_id)
        times = {
            "output": lambda body: body["data"]["meta"].values(),
            "status": lambda body: (body["created_at"], None, body["completed_at"]),
        }[dialect](body)
        for value, name in zip(times, ("submitted_at", "started_at", "finished_at"), strict=True):
            if value is not None:
                at = moment(value)
                assert at
                assert timedelta(0) <= datetime.fromisoformat(truth[name]) - at < SECOND


def test_the_output_wrapper_tells_of_a_failure_in_error() -> None:
    failed = told(SandboxSettings(dialect="output", unfinished=0, failed=1))["data"]
    assert failed["error"]["code"] != 0
    assert failed["error"]["message"]
    assert failed["output"] in (None, {})
    done = told(PLAIN.changed({"dialect": "output"}))["data"]
    assert done["error"] == {"code": 0, "message": ""}
    assert done["task_id"] == "an-id"
    assert "state" not in done["output"]


def test_status_stands_in_place_of_state() -> None:
    failed = told(SandboxSettings(dialect="status", unfinished=0, failed=1))
    assert failed["status"] == "failed"
    assert failed["error"]["message"]
    assert not {"state", "failure_reason"} & failed.keys()


def test_of_two_videos_one_is_finished_first() -> None:
    gateway = Steered(LIVE.changed({"dialect": "list-of-two"}))
    ids = task_ids(20)
    assert [len(gateway.generation(task_id)["data"]) for task_id in ids] == [2] * 20
    gateway.now += 29
    running = [gateway.generation(task_id)["data"] for task_id in ids]
    orders = [[phase_of(each["state"]) for each in both] for both in running]
    assert ["running", "ended"] in orders
    assert ["ended", "running"] in orders
    assert "X-Amz-Date" not in str(running)
    gateway.now += 100
    done = [gateway.generation(task_id)["data"] for task_id in ids]
    assert {each["state"] for both in done for each in both} == {"completed"}
    assert all(len({each["id"] for each in both}) == 2 for both in done)
    assert str(done).count("X-Amz-Date") == 40


def test_media_stand_under_artifact_beside_the_zero_time() -> None:
    body = told(PLAIN.changed({"dialect": "artifact", "extra_keys": 1, "vip": 1}))
    assert {"video", "video_raw", "thumbnail", "last_frame"} <= body["artifact"].keys()
    assert not {"video", "video_raw", "thumbnail", "last_frame"} & body.keys()
    assert body["artifact"]["created_at"] == ZERO_TIME


def test_mixed_gives_each_id_one_shape_and_all_of_them_to_many() -> None:
    gateway = Steered(SandboxSettings(dialect="mixed"))
    ids = task_ids(300)
    dialects = {task_id: gateway.gateway.truth(task_id)["dialect"] for task_id in ids}
    assert set(dialects.values()) == set(SHAPES)
    for task_id in ids:
        alone = told(SandboxSettings(dialect=dialects[task_id]), task_id)
        assert gateway.generation(task_id) == alone


# Truth


def test_truth_is_told_over_the_socket_and_is_no_poll() -> None:
    settings = LIVE.changed({"finish_after": 0.6, "dialect": "record"})
    with Sandbox(settings) as sandbox, Client(sandbox.base_url) as client:
        before = sandbox.truth("an/id")
        assert (before["submitted_at"], before["is_unfinished"]) == (None, True)
        polls: list[tuple[datetime, Any]] = []
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            asked_at = datetime.now(UTC)
            polls.append((asked_at, client.generation("an/id")["data"]))
            if polls[-1][1]["status"] == "SUCCESS":
                break
        answered_at = datetime.now(UTC)
        truth = sandbox.truth("an/id")
        assert sandbox.stats()["requests"] == len(polls)
    submitted, started, finished = (
        datetime.fromisoformat(truth[name])
        for name in ("submitted_at", "started_at", "finished_at")
    )
    allowance = timedelta(milliseconds=20)  # two clocks: a steady one counts, the other is told
    assert polls[0][0] - allowance <= submitted < started < finished <= answered_at + allowance
    assert finished >= polls[-2][0] - allowance
    assert polls[-1][1]["finish_time"] == int(finished.timestamp())


def test_without_live_times_follow_from_the_id_alone() -> None:
    one = Steered(PLAIN.changed({"unfinished": 1, "finish_after": 60.0}))
    other = Steered(PLAIN.changed({"unfinished": 1, "finish_after": 60.0}))
    other.now += 1234
    one.generation("an-id")
    assert one.gateway.truth("an-id") == other.gateway.truth("an-id")


def test_live_needs_to_know_when_an_id_finishes() -> None:
    with pytest.raises(ValueError, match="live needs finish_after"):
        SandboxSettings(live=True)
