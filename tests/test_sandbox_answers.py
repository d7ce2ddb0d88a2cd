"""What the sandbox answers, to which ID and when; without a socket, at a time of our choosing."""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, get_args
from urllib.parse import parse_qs, urlsplit

import pytest
from sandbox_client import path
from steered import PLAIN, Steered
from urllib3 import HTTPHeaderDict

from connector.gateway.pace.announced import Announced, read_announced
from connector.sandbox import KINDS, SandboxSettings, task_ids
from connector.sandbox.bad_bodies import BOMB_BYTES, bomb, bomb_twice
from connector.sandbox.choices import RateHeaders, RetryAfter
from connector.sandbox.kinds import Case
from connector.sandbox.limits import (
    FixedWindow,
    Others,
    SlidingWindow,
    Standing,
    TokenBucket,
    Workers,
)
from connector.sandbox.replies import Reply
from connector.sandbox.tasks import Phase, describe

EXAMPLES = Path(__file__).parent / "examples"


# Dialects and data


def test_a_completed_generation_has_the_documented_shape() -> None:
    documented = json.loads((EXAMPLES / "completed.json").read_text())
    settings = SandboxSettings(
        failed=0, unfinished=0, official=0, enveloped=0, extra_keys=0, vip=1, other_id=0
    )
    body = Steered(settings).generation("an-id")
    assert body.keys() == documented.keys()
    for name in ("video", "thumbnail", "video_raw", "last_frame"):
        assert body[name].keys() == documented[name].keys()
    url, expected = (urlsplit(each["video"]["download_url"]) for each in (body, documented))
    assert parse_qs(url.query).keys() == parse_qs(expected.query).keys()
    assert "_watermarked_" in body["video"]["url"]
    assert body["id"] == "an-id"
    assert body["state"] == "completed"


def test_the_official_dialect_has_its_own_shape() -> None:
    official = json.loads((EXAMPLES / "official.json").read_text())
    settings = SandboxSettings(failed=0, unfinished=0, official=1, enveloped=0, extra_keys=0)
    gateway = Steered(settings)
    bodies = [gateway.generation(task_id) for task_id in task_ids(30)]
    with_model = [body for body in bodies if "model" in body]
    assert with_model
    for body in with_model:
        assert body.keys() == official.keys()
        assert body["request"].keys() == official["request"].keys() | {"model"}
        assert body["assets"].keys() == official["assets"].keys()


def test_the_url_is_signed_soon_after_creation_and_stays_the_same() -> None:
    gateway = Steered(PLAIN)
    for task_id in task_ids(50):
        body = gateway.generation(task_id)
        assert body == gateway.generation(task_id)
        waited = _signed_at(body) - datetime.fromisoformat(body["created_at"])
        assert timedelta(seconds=4) <= waited <= timedelta(seconds=600)


def test_resign_signs_at_each_fetch() -> None:
    gateway = Steered(SandboxSettings(unfinished=0, failed=0, official=0, enveloped=0, resign=True))
    first = gateway.generation("an-id")
    gateway.now += 90
    second = gateway.generation("an-id")
    assert _signed_at(second) - _signed_at(first) == timedelta(seconds=90)
    assert first["video"]["download_url"] != second["video"]["download_url"]
    assert first["video"]["url"] == second["video"]["url"]


def _signed_at(body: Any) -> datetime:
    query = parse_qs(urlsplit(body["video"]["download_url"]).query)
    return datetime.strptime(query["X-Amz-Date"][0], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


def test_another_seed_gives_other_generations() -> None:
    one, other = Steered(PLAIN), Steered(PLAIN.changed({"seed": 1}))
    assert one.generation("an-id")["video"] != other.generation("an-id")["video"]


def test_the_shares_are_kept_and_the_values_vary() -> None:
    settings = SandboxSettings()
    tasks = [describe(task_id, settings) for task_id in task_ids(3000)]
    assert 0.06 < sum(task.ends_as is Phase.FAILED for task in tasks) / 3000 < 0.10
    assert 0.04 < sum(task.is_unfinished for task in tasks) / 3000 < 0.08
    prompts = Counter(task.prompt for task in tasks)
    assert prompts.most_common(1)[0][1] > 150
    assert len(prompts) > 1200
    assert "" in prompts
    assert any(len(prompt) > 900 for prompt in prompts)
    assert any("\u4e00" <= letter <= "\u9fff" for prompt in prompts for letter in prompt)
    assert {task.size[:2] for task in tasks} >= {(752, 1360), (1360, 752), (1920, 1080)}
    oldest, newest = min(t.created_at for t in tasks), max(t.created_at for t in tasks)
    assert settings.now - timedelta(days=60) <= oldest < settings.now - timedelta(days=50)
    assert newest <= settings.now


def test_created_at_comes_in_several_forms() -> None:
    gateway = Steered(PLAIN)
    forms = Counter(
        re.sub(r"\d", "0", gateway.generation(task_id)["created_at"]) for task_id in task_ids(300)
    )
    assert forms.most_common(1)[0][0] == "0000-00-00T00:00:00.000Z"
    assert set(forms) == {
        "0000-00-00T00:00:00.000Z",
        "0000-00-00T00:00:00.000000Z",
        "0000-00-00T00:00:00Z",
        "0000-00-00T00:00:00.000+00:00",
    }


def test_some_answers_are_wrapped_some_have_extra_keys_some_another_id() -> None:
    gateway = Steered(SandboxSettings(enveloped=1, extra_keys=1, other_id=1))
    body = gateway.generation("an-id")
    assert body["code"] == "success"
    assert body["data"]["user_id"]
    assert body["data"]["id"] != "an-id"


def test_a_failed_generation_says_why_and_has_no_video() -> None:
    body = Steered(PLAIN.changed({"failed": 1})).generation("an-id")
    assert body["state"] == "failed"
    assert body["failure_reason"]
    assert body["video"] is None


def test_a_missing_id_is_answered_404() -> None:
    assert Steered(PLAIN.changed({"missing": 1})).status("an-id") == 404


def test_task_ids_are_distinct_realistic_and_always_the_same() -> None:
    ids = task_ids(2000)
    assert len(set(ids)) == 2000
    assert ids[:10] == task_ids(10)
    assert task_ids(10, seed=1) != task_ids(10)
    uuids = [task_id for task_id in ids if re.fullmatch(r"[0-9a-f-]{36}", task_id)]
    others = [task_id for task_id in ids if re.fullmatch(r"task_\w{32}", task_id)]
    assert len(uuids) + len(others) == 2000
    assert 100 < len(others) < 300


# Progress


def test_an_unfinished_id_is_queued_then_running_then_finished_by_polls() -> None:
    gateway = Steered(PLAIN.changed({"unfinished": 1, "polls": 3}))
    seen: Counter[int] = Counter()
    for task_id in task_ids(40):
        states = [gateway.generation(task_id)["state"] for _ in range(5)]
        polls = states.index("completed")
        assert set(states[polls:]) == {"completed"}
        if polls > 1:
            assert states[0] in ("pending", "queued")
        assert set(states[1:polls]) <= {"processing", "dreaming"}
        seen[polls] += 1
    assert sorted(seen) == [1, 2, 3]


def test_an_unfinished_answer_has_no_video() -> None:
    gateway = Steered(PLAIN.changed({"unfinished": 1}))
    bodies = [gateway.generation(task_id) for task_id in task_ids(20)]
    assert {body.get("video", "missing") for body in bodies} == {None, "missing"}


def test_with_finish_after_time_is_what_counts() -> None:
    gateway = Steered(PLAIN.changed({"unfinished": 1, "finish_after": 60}))
    states = []
    for _ in range(100):
        states.append(gateway.generation("an-id")["state"])
        gateway.now += 1
    changes = [state for n, state in enumerate(states) if n == 0 or states[n - 1] != state]
    assert len(changes) == 3
    assert changes[-1] == "completed"
    assert 30 <= states.index("completed") <= 91


# Limits and faults


def test_with_a_key_set_no_other_is_accepted() -> None:
    gateway = Steered(SandboxSettings(key="right"))
    assert gateway.status("an-id") == 401
    gateway.gateway.change(SandboxSettings(key="any"))
    assert gateway.status("an-id") == 200


def test_a_token_bucket_lets_a_burst_through_and_then_its_rate() -> None:
    bucket = TokenBucket(rate=10, burst=2)
    assert [bucket.take(now) for now in (5.0, 5.0)] == [0, 0]
    assert bucket.take(5.0) == pytest.approx(0.1)
    assert bucket.take(5.05) == pytest.approx(0.05)
    assert bucket.take(5.1) == 0
    assert [bucket.take(99.0) > 0 for _ in range(3)] == [False, False, True]


def test_a_fixed_window_ends_at_a_stroke_of_the_clock() -> None:
    window = FixedWindow(2, 60.0)
    assert [window.take(now) for now in (50.0, 51.0, 58.5)] == [0, 0, 1.5]
    assert window.standing(59.0) == Standing(2, 60.0, 0, 1.0)
    assert [window.take(now) for now in (60.0, 60.5, 61.0)] == [0, 0, 59.0]


def test_a_sliding_window_ends_now() -> None:
    window = SlidingWindow(2, 60.0)
    assert [window.take(now) for now in (50.0, 51.0, 60.0)] == [0, 0, 50.0]
    assert window.standing(100.0) == Standing(2, 60.0, 0, 11.0)
    assert [window.take(now) for now in (110.0, 110.5, 111.0)] == [0, 0.5, 0]


def test_others_come_at_their_own_times_not_just_before_each_request() -> None:
    """One of 15 a second has the next 20 ms: a request of ours meets that three times in ten."""
    limit = Others(TokenBucket(50, 1), 15.0, 0.0)
    refused = sum(limit.take(number * 0.97) > 0 for number in range(200))
    assert 40 <= refused <= 80


def test_others_use_their_part_of_a_shared_limit_evenly_or_in_turns() -> None:
    steady, turning = (Others(FixedWindow(10_000, 1e6), 50.0, cycle) for cycle in (0.0, 40.0))
    times = (0.0, 10.0, 20.0, 30.0, 40.0)
    used = [[10_000 - each.standing(time).left for time in times] for each in (steady, turning)]
    # 50 (t + (1 - cos wt) / w), with w = 2 pi / 40.
    assert used == [[0, 500, 1000, 1500, 2000], [0, 818, 1636, 1818, 2000]]


@pytest.mark.parametrize("form", get_args(RateHeaders))
def test_the_rate_limit_is_announced_as_asked(form: RateHeaders) -> None:
    """What a client reads of it, which the client's own reader knows."""
    gateway = Steered(
        SandboxSettings(rate_limit=0.5, window=60, retry_after="zero", rate_headers=form)
    )
    said = [gateway.get(path(task_id))[0] for task_id in task_ids(31)]
    assert [reply.status for reply in said] == [200] * 30 + [429]
    assert said[-1].headers["retry-after"] == "0"
    now = datetime.fromtimestamp(1_750_000_000 + gateway.now, UTC)
    announced = [read_announced(HTTPHeaderDict(said[n].headers), now) for n in (0, 30)]
    until = 60 - gateway.now % 60
    rate = 0.5 if form.startswith("draft") else None
    assert announced == {
        "none": [None, None],
        "always-empty": [Announced(None, 0, 60)] * 2,
        "endless": [Announced(None, 1e9, None)] * 2,
    }.get(form, [Announced(rate, 29, until), Announced(rate, 0, until)])


def test_a_refusal_may_take_as_long_as_an_answer() -> None:
    knobs = {"rate_limit": 1.0, "burst": 1, "latency": 0.2, "jitter": 0.0, "refusals_take": True}
    gateway = Steered(PLAIN.changed(knobs))
    assert [gateway.get(path("an-id"))[1] for _ in range(2)] == [0.2, 0.2]


def test_two_workers_queue_the_third_request() -> None:
    workers = Workers(2)
    assert [workers.delay(10.0, 1.0) for _ in range(4)] == [1.0, 1.0, 2.0, 2.0]
    assert workers.delay(11.5, 1.0) == 1.5
    assert Workers(0).delay(10.0, 1.0) == 1.0


@pytest.mark.parametrize("form", ["seconds", "date", "none"])
def test_beyond_the_rate_limit_comes_429_with_retry_after_as_asked(form: RetryAfter) -> None:
    gateway = Steered(SandboxSettings(rate_limit=0.25, burst=1, retry_after=form))
    assert gateway.status("one") == 200
    refusal, _ = gateway.get(path("two"))
    assert refusal.status == 429
    if form == "seconds":
        assert refusal.headers["retry-after"] == "4"
    elif form == "date":
        moment = parsedate_to_datetime(refusal.headers["retry-after"])
        assert moment.timestamp() == 1_750_000_000 + 1000 + 4
    else:
        assert (refusal.headers, refusal.body) == ({}, b"")
    gateway.now += 4
    assert gateway.status("two") == 200


def test_a_refused_request_is_no_poll() -> None:
    gateway = Steered(PLAIN.changed({"rate_limit": 1.0, "burst": 1, "unfinished": 1}))
    assert gateway.generation("an-id")["state"] != "completed"
    assert gateway.status("an-id") == 429
    gateway.now += 1
    assert gateway.generation("an-id")["state"] == "completed"


def test_latency_is_the_mean_and_jitter_its_spread() -> None:
    gateway = Steered(PLAIN.changed({"latency": 0.2, "jitter": 0.5}))
    delays = [gateway.get(path(task_id))[1] for task_id in task_ids(400)]
    assert 0.1 <= min(delays) < 0.11
    assert 0.29 < max(delays) <= 0.3
    assert sum(delays) / 400 == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize(
    ("task_id", "statuses"),
    [
        ("once-bad-gateway-1", [502, 200, 200]),
        ("first2-rate-limited-1", [429, 429, 200]),
        ("bad-not-found-anything", [404, 404, 404]),
        ("bad-not-found-400", [400, 400, 400]),
        ("bad-not-found-400-x", [400, 400, 400]),
        ("bad-gone", [410, 410, 410]),
        ("bad-gon", [501, 501, 501]),
        ("once-upon-a-time", [501, 501, 501]),
        ("badger-1", [200, 200, 200]),
    ],
)
def test_an_id_orders_from_the_menu(task_id: str, statuses: list[int]) -> None:
    gateway = Steered(PLAIN)
    assert [gateway.status(task_id) for _ in statuses] == statuses


def test_settings_survive_the_way_through_json() -> None:
    settings = SandboxSettings(
        seed=7,
        now=datetime(2024, 1, 1, tzinfo=UTC),
        listing=("a", "b"),
        fixtures={"a": b"\xff"},
        rate_limit=2.5,
        key="secret",
    )
    assert SandboxSettings().changed(json.loads(json.dumps(settings.to_json()))) == settings


def test_a_few_kib_of_gzip_expand_to_a_gib() -> None:
    member = gzip.compress(b" " * (1 << 20), mtime=0)
    assert bomb() == member * (BOMB_BYTES >> 20)
    assert gzip.decompress(bomb_twice()) == bomb()
    assert len(bomb_twice()) < 10_000
    assert BOMB_BYTES == 1 << 30


def test_no_two_kinds_answer_the_same() -> None:
    case = Case("an-id", "http://here/an-id", "http://there/an-id", False, 0.0, PLAIN)
    answers = {name: kind.answer(case) for name, kind in KINDS.items()}
    replies = {name: answer for name, answer in answers.items() if isinstance(answer, Reply)}
    assert len(replies) > 80
    assert len(set(replies.values())) == len(replies)
