"""The sandbox in other gateways' shapes, states and times: the same tasks, told otherwise."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from itertools import groupby
from typing import Any, TypeAlias

import pytest
from sandbox_client import ROOT, Client
from steered import PLAIN, Steered

from connector.sandbox import Sandbox, SandboxSettings, task_ids
from connector.sandbox.choices import STATES, Dialect, TimeForm
from connector.sandbox.spellings import WORDS, ZERO_TIME
from connector.sandbox.tasks import Phase

Reader: TypeAlias = Callable[[Any], Any]

SHAPES = [each for each in Dialect if each not in {Dialect.SHARES, Dialect.MIXED}]
LIVE = PLAIN.changed({"unfinished": 1, "finish_after": 60.0, "live": True})
SECOND = timedelta(seconds=1)

DOCUMENTED_STATES = {
    "queued": {"pending", "queued", "NOT_START", "SUBMITTED", "QUEUED"},
    "running": {"processing", "dreaming", "IN_PROGRESS", "in_progress"},
    "ended": {"completed", "failed", "SUCCESS", "FAILURE"},
}


def _least(generations: list[Any]) -> Any:
    """Of the videos of a task, the one that is the furthest from its end."""
    return min(generations, key=lambda each: _phase_of(each["state"]) == "ended")


def _phase_of(state: str) -> str:
    return next(phase for phase, states in DOCUMENTED_STATES.items() if state in states)


STATE_OF: dict[Dialect, Reader] = {
    Dialect.DOCUMENTED: lambda body: body["state"],
    Dialect.OFFICIAL: lambda body: body["state"],
    Dialect.ENVELOPE: lambda body: body["data"]["state"],
    Dialect.RECORD: lambda body: body["data"]["status"],
    Dialect.BARE_RECORD: lambda body: body["status"],
    Dialect.OUTPUT: lambda body: body["data"]["status"],
    Dialect.LIST: lambda body: body["data"][0]["state"],
    Dialect.LIST_OF_TWO: lambda body: _least(body["data"])["state"],
    Dialect.GENERATION: lambda body: body["generation"]["state"],
    Dialect.ARTIFACT: lambda body: body["state"],
    Dialect.STATUS: lambda body: body["status"],
}
"""Where each shape has its state."""

VIDEO_OF: dict[Dialect, Reader] = {
    Dialect.DOCUMENTED: lambda body: body["video"]["url"],
    Dialect.OFFICIAL: lambda body: body["assets"]["video"],
    Dialect.ENVELOPE: lambda body: body["data"]["video"]["url"],
    Dialect.RECORD: lambda body: body["data"]["data"]["video"]["url"],
    Dialect.BARE_RECORD: lambda body: body["data"]["video"]["url"],
    Dialect.OUTPUT: lambda body: body["data"]["output"]["video"]["url"],
    Dialect.LIST: lambda body: body["data"][0]["video"]["url"],
    Dialect.LIST_OF_TWO: lambda body: body["data"][0]["artifact"]["video"]["url"],
    Dialect.GENERATION: lambda body: body["generation"]["video"]["url"],
    Dialect.ARTIFACT: lambda body: body["artifact"]["video"]["url"],
    Dialect.STATUS: lambda body: body["video"]["url"],
}
"""Where each shape has its video."""


def told(settings: SandboxSettings, task_id: str = "an-id") -> Any:
    return Steered(settings).generation(task_id)


def moment(value: str | int | None) -> datetime | None:
    """A moment in any of the forms, read; the forms that mean none are None."""
    if value in (None, 0, ZERO_TIME):
        return None
    if isinstance(value, int):
        unit = 1 if value < 10**11 else 1000 if value < 10**14 else 10**6
        return datetime.fromtimestamp(value // unit, UTC) + SECOND * (value % unit / unit)
    assert value is not None
    if value.endswith("GMT"):
        return parsedate_to_datetime(value)
    if "/" in value:
        return datetime.strptime(value, "%Y/%m/%d %H:%M:%S").replace(tzinfo=UTC)
    return datetime.fromisoformat(value.removesuffix("[UTC]"))


# Shapes


@pytest.mark.parametrize("dialect", SHAPES)
@pytest.mark.parametrize("ends_as", ["completed", "failed"])
def test_a_task_has_one_life_in_every_shape(dialect: Dialect, ends_as: str) -> None:
    """Queued, running, ended: at the moments that are true, however they are told."""
    gateway = Steered(LIVE.changed({"dialect": dialect, "failed": int(ends_as == "failed")}))
    start = gateway.now
    seen = []
    for _ in range(120):
        seen.append((_phase_of(STATE_OF[dialect](gateway.generation("an-id"))), gateway.now))
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
def test_a_completed_task_has_its_video_in_every_shape(dialect: Dialect) -> None:
    documented = told(PLAIN)["video"]["url"]
    url = VIDEO_OF[dialect](told(PLAIN.changed({"dialect": dialect})))
    is_official = dialect is Dialect.OFFICIAL
    assert url != documented if is_official else url == documented
    assert url.startswith("https://storage.cdn-luma.com/")


@pytest.mark.parametrize("dialect", [Dialect.RECORD, Dialect.BARE_RECORD])
def test_a_task_record_tells_true_times_in_whole_seconds(dialect: Dialect) -> None:
    gateway = Steered(LIVE.changed({"dialect": dialect, "failed": 0.5}))
    for task_id in task_ids(20):
        record = gateway.generation(task_id)
        record = record if dialect is Dialect.BARE_RECORD else record["data"]
        assert (record["start_time"], record["finish_time"]) == (0, 0)
        assert record["data"] in (None, {})
        assert (record["progress"], record["fail_reason"]) == ("0%", "")
    gateway.now += 100
    for task_id in task_ids(20):
        record = gateway.generation(task_id)
        record = record if dialect is Dialect.BARE_RECORD else record["data"]
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


@pytest.mark.parametrize("dialect", [Dialect.OUTPUT, Dialect.STATUS])
def test_other_shapes_tell_true_times_to_the_millisecond(dialect: Dialect) -> None:
    gateway = Steered(SandboxSettings(dialect=dialect, unfinished=0, failed=0.5))
    for task_id in task_ids(30):
        body, truth = gateway.generation(task_id), gateway.gateway.truth(task_id)
        times = {
            Dialect.OUTPUT: lambda body: body["data"]["meta"].values(),
            Dialect.STATUS: lambda body: (body["created_at"], None, body["completed_at"]),
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
    orders = [[_phase_of(each["state"]) for each in both] for both in running]
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


# States


@pytest.mark.parametrize("word", STATES[2:])
@pytest.mark.parametrize("dialect", ["documented", "official", "bare-record", "status"])
def test_one_word_stands_for_its_phase_only(word: str, dialect: str) -> None:
    phase = next(phase for phase, words in WORDS.items() if word in words)
    has_failed = int(phase == Phase.FAILED)
    gateway = Steered(LIVE.changed({"states": word, "dialect": dialect, "failed": has_failed}))
    seen = {"queued": STATE_OF[Dialect(dialect)](gateway.generation("an-id"))}
    started, finished = (
        datetime.fromisoformat(gateway.gateway.truth("an-id")[name]).timestamp() - 1_750_000_000
        for name in ("started_at", "finished_at")
    )
    for name, at in (("running", started), ("ended", finished)):
        gateway.now = at + 1
        seen[name] = STATE_OF[Dialect(dialect)](gateway.generation("an-id"))
    own = {Phase.QUEUED: "queued", Phase.RUNNING: "running"}.get(phase, "ended")
    assert seen.pop(own) == word
    assert all(state in DOCUMENTED_STATES[name] for name, state in seen.items())


def test_mixed_states_use_every_word_of_a_phase_and_no_other() -> None:
    ids = task_ids(400)
    for phase, changes in (
        (Phase.QUEUED, {"unfinished": 1, "finish_after": 60.0}),
        (Phase.COMPLETED, {}),
        (Phase.FAILED, {"failed": 1}),
    ):
        gateway = Steered(PLAIN.changed({**changes, "states": "mixed"}))
        assert {gateway.generation(task_id)["state"] for task_id in ids} == set(WORDS[phase])


# Times


@pytest.mark.parametrize("form", [form for form in TimeForm if form is not TimeForm.MIXED])
@pytest.mark.parametrize("dialect", ["documented", "official", "status"])
def test_each_form_of_time_tells_the_truth(form: TimeForm, dialect: str) -> None:
    gateway = Steered(SandboxSettings(time_form=form, dialect=dialect, unfinished=0))
    for task_id in task_ids(20):
        at = moment(gateway.generation(task_id)["created_at"])
        assert at
        truth = datetime.fromisoformat(gateway.gateway.truth(task_id)["submitted_at"])
        assert timedelta(0) <= truth - at < SECOND


def test_forms_of_time_are_written_as_named() -> None:
    written = {form: told(PLAIN.changed({"time_form": form}))["created_at"] for form in TimeForm}
    microseconds = written[TimeForm.EPOCH_MICROSECONDS]
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
    assert written[TimeForm.EPOCH_MILLISECONDS] == microseconds // 1000
    assert written[TimeForm.EPOCH_SECONDS] == microseconds // 10**6
    assert written[TimeForm.RFC_822] == f"{at:%a, %d %b %Y %H:%M:%S} GMT"
    assert written[TimeForm.SLASHES] == f"{at:%Y/%m/%d %H:%M:%S}"
    assert written[TimeForm.ZONE_IN_BRACKETS] == f"{at:%Y-%m-%dT%H:%M:%S}.{at:%f}"[:-3] + "Z[UTC]"


def test_mixed_forms_of_time_are_all_there() -> None:
    gateway = Steered(PLAIN.changed({"time_form": "mixed"}))
    values = [gateway.generation(task_id)["created_at"] for task_id in task_ids(100)]
    lengths = {len(str(value)) for value in values if isinstance(value, int)}
    assert lengths == {10, 13, 16}
    texts = [value for value in values if isinstance(value, str)]
    for mark in ("GMT", "[UTC]", "/"):
        assert any(mark in text for text in texts)


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


def test_the_listing_spells_as_asked() -> None:
    ids = task_ids(10)
    gateway = Steered(
        PLAIN.changed({"listing": ids, "states": "done", "time_form": "epoch-seconds"})
    )
    listed = gateway.get(ROOT)[0].json()["generations"]
    assert {each["state"] for each in listed} == {"done"}
    assert all(isinstance(each["created_at"], int) for each in listed)
