"""Many task IDs in one request: the same tables as one by one, whatever the gateway makes of it."""

from __future__ import annotations

import json
import logging
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from conftest import KEY
from many_gateway import ManyGateway, enveloped, generation, record

import connector
from connector.errors import AccountRefused, GatewayDown, KeyRefused, RunStopped, SettingsError
from connector.gateway.batch import LARGEST_BODY, TOO_MANY, body_bytes
from connector.gateway.records import read_records
from connector.sandbox import Sandbox, SandboxSettings, task_ids
from connector.settings import load

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import CommandLine

    from connector.summary import Summary

IDS = [f"task-{number:03}" for number in range(200)]


def ingest(base_url: str, root: Path, ids: Any = IDS, **settings: Any) -> Summary:
    """A run in this process; 50 at once unless said otherwise."""
    given = {"ids_per_request": 50, "key": KEY, "max_attempts": 2, "lock_timeout": 0} | settings
    return connector.ingest(ids, warehouse=root, base_url=base_url, **given)


def rows(root: Path, table: str = "generations") -> pd.DataFrame:
    return pd.read_parquet(root / table).sort_values("task_id").reset_index(drop=True)


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING]


# What is settled


def test_each_record_is_an_answer_of_its_own(tmp_path: Path) -> None:
    """In the log with the record as its body, so that a rebuild gives the same tables."""
    with ManyGateway(lambda ids: enveloped([record(one) for one in reversed(ids)])) as gateway:
        summary = ingest(gateway.base_url, tmp_path / "w")
    assert (summary.requests, summary.retries, summary.fetched) == (4, 0, 200)
    assert [len(ids) for ids in gateway.batches] == [50] * 4
    assert gateway.singles == []
    answers = rows(tmp_path / "w", "answers")
    assert list(answers.task_id) == IDS
    assert [json.loads(body) for body in answers.body] == [record(one) for one in IDS]
    assert set(answers.attempts) == {0}
    before = rows(tmp_path / "w")
    assert list(before.task_id) == list(before.id) == IDS
    subprocess.run(
        [sys.executable, "-m", "connector", "rebuild", "--warehouse", str(tmp_path / "w")],
        check=True,
    )
    pd.testing.assert_frame_equal(before, rows(tmp_path / "w"))


def test_tables_are_those_of_single_requests(tmp_path: Path) -> None:
    """But for what the records say besides."""
    ids = task_ids(300)
    settings = SandboxSettings(key=KEY, batch_hidden=0.1, batch_misnamed=0.1, missing=0.05)
    with Sandbox(settings) as sandbox:
        many = ingest(sandbox.base_url, tmp_path / "many", ids)
        stats = sandbox.stats()
        sandbox.reset()
        single = ingest(sandbox.base_url, tmp_path / "single", ids, ids_per_request=1)
    assert (many.fetched, many.rejected) == (single.fetched, single.rejected)
    assert many.requests == stats["requests"] < single.requests == 300
    same = ["task_id", "status", "prompt", "video_url", "video_width", "thumbnail_url"]
    of_many, of_single = (rows(tmp_path / name) for name in ("many", "single"))
    is_completed = of_single.status == "completed"
    pd.testing.assert_frame_equal(
        of_many.loc[is_completed, same], of_single.loc[is_completed, same]
    )
    assert list(of_many.status) == list(of_single.status)
    names = ["task_id", "reason", "http_status", "attempts", "message"]
    rejects = (rows(tmp_path / name, "rejects")[names] for name in ("many", "single"))
    pd.testing.assert_frame_equal(*rejects)


@pytest.mark.parametrize("shape", ["records", "array"])
@pytest.mark.parametrize("prefix", ["", "task-01"])
def test_what_is_left_out_is_asked_for_singly(tmp_path: Path, shape: str, prefix: str) -> None:
    # A bare generation has no other name than its ID.
    settings = SandboxSettings(key=KEY, batch_shape=shape, batch_hidden_prefix=prefix, other_id=0.0)
    with Sandbox(settings) as sandbox:
        summary = ingest(sandbox.base_url, tmp_path / "w")
        asked = sandbox.stats()["by_task_id"]
    hidden = {one for one in IDS if prefix and one.startswith(prefix)}
    assert {one for one in IDS if asked[one] == 2} == hidden
    assert summary.requests == 4 + len(hidden)
    assert list(rows(tmp_path / "w").task_id) == IDS


def test_only_a_single_answer_rejects(tmp_path: Path) -> None:
    """Whatever an answer about many says of a task: refusals there settle nothing."""

    def many(ids: list[str]) -> Any:
        refused = {"task_id": ids[0], "code": "task_not_exist", "message": "task not exist"}
        return enveloped([refused, *map(record, ids[2:])])

    def one(task_id: str) -> Any:
        if task_id == "task-000":
            return 404, {"detail": "Generation not found"}
        return 200, generation(task_id)

    with ManyGateway(many, one) as gateway:
        summary = ingest(gateway.base_url, tmp_path / "w")
    assert sorted(gateway.singles) == sorted(IDS[0::50] + IDS[1::50])
    assert (summary.fetched, summary.rejected, summary.reasons) == (199, 1, {"not_found": 1})
    assert rows(tmp_path / "w", "rejects").attempts.to_list() == [1]


@pytest.mark.parametrize(
    "nothing",
    [
        enveloped([]),
        enveloped(None),
        (200, []),
        (200, {"code": "task_not_exist", "message": "task not exist", "data": None}),
        (202, b""),
    ],
)
def test_a_gateway_that_finds_none_there_is_asked_singly(
    tmp_path: Path, nothing: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with ManyGateway(lambda _: nothing) as gateway:
        summary = ingest(gateway.base_url, tmp_path / "w")
    assert (summary.fetched, summary.requests) == (200, 204)
    (warning,) = warnings_in(caplog)
    assert "knew none of the first" in warning


def test_records_are_matched_by_task_id_or_by_the_generation() -> None:
    def found(items: Any, ids: tuple[str, ...] = ("a", "b")) -> dict[str, Any]:
        document = json.dumps({"code": "success", "data": items}).encode()
        return {one.task_id: json.loads(one.body) for one in read_records(document, ids)}

    nameless = {key: value for key, value in record("a").items() if key != "task_id"}
    assert found([nameless]) == {"a": nameless}
    wrong = record("a") | {"task_id": "elsewhere"}
    assert found([wrong]) == {"a": wrong}
    # The task ID counts before any other, and the record's own number never does.
    assert found([record("b", data=generation("a"))]).keys() == {"b"}
    assert found([{"id": 7, "status": "SUCCESS", "data": {}}], ("7",)) == {}
    assert found([record("7") | {"task_id": 7}], ("7",)).keys() == {"7"}
    assert found([record("stranger"), "x", None, 3, record("b")]) == {"b": record("b")}
    assert found([record("a"), record("a")]) == {"a": record("a")}
    twice = [record("a"), record("a", data=generation("second"))]
    assert found(twice) == {"a": twice}


def test_records_may_have_the_task_ids_as_names() -> None:
    bare = {"state": "completed", "prompt": "a cat"}
    held = {"a": bare, "b": None, "stranger": bare, "c": record("d")}
    for document in ({"code": "success", "data": held}, held):
        found = read_records(json.dumps(document).encode(), ["a", "b", "c", "d"])
        assert {one.task_id: json.loads(one.body) for one in found} == {
            "a": bare,
            "d": record("d"),
        }


def test_bodies_keep_what_only_pythons_parser_reads() -> None:
    body = b'[{"id":"a","state":"completed","liked":NaN,"n":null}]'
    kept = b'{"id": "a", "state": "completed", "liked": NaN, "n": null}'
    assert list(read_records(body, ["a"])) == [("a", kept, "completed")]


def test_a_stranger_in_the_answer_is_ignored(tmp_path: Path) -> None:
    with ManyGateway(lambda ids: enveloped([*map(record, ids), record("stranger")])) as gateway:
        summary = ingest(gateway.base_url, tmp_path / "w")
    assert (summary.fetched, summary.new, gateway.singles) == (200, 200, [])
    assert "stranger" not in set(rows(tmp_path / "w").task_id)


def test_polls_go_by_batches_too(tmp_path: Path) -> None:
    settings = SandboxSettings(key=KEY, unfinished=0.5, polls=2)
    with Sandbox(settings) as sandbox:
        summary = ingest(
            sandbox.base_url, tmp_path / "w", wait="30s", poll_first=0.05, poll_longest=0.2
        )
        assert summary.requests == sandbox.stats()["requests"] < 30
    assert (summary.unfinished, summary.fetched) == (0, 200)
    assert summary.polls > 50
    assert set(rows(tmp_path / "w").status) <= {"completed", "failed"}


# What a gateway may refuse


@pytest.mark.parametrize(
    "absent",
    [
        (404, {"detail": "Not Found"}),
        (404, b"<!doctype html><title>404</title>"),
        (405, {"detail": "Method Not Allowed"}),
        (501, b""),
        (200, b"<!doctype html><title>AI Gateway</title>"),
        (302, b"", {"Location": "http://127.0.0.1:9/elsewhere"}),
        (403, {"error": {"message": "this path is not in your plan"}}),
    ],
)
def test_without_that_path_each_is_asked_for_singly(
    tmp_path: Path, absent: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with ManyGateway(lambda _: absent) as gateway:
        summary = ingest(gateway.base_url, tmp_path / "w", ids=IDS * 2, max_concurrency=2)
    assert summary.fetched == 200
    assert len(gateway.batches) <= 2  # those under way when the first came back
    assert summary.requests == len(gateway.batches) + 200
    (warning,) = warnings_in(caplog)
    assert "each is asked for singly from now on" in warning


@pytest.mark.parametrize("refusal", ["400", "413", "400-vague", "422", "200-code"])
@pytest.mark.parametrize("most", [7, 30])
def test_batches_get_smaller_where_fewer_are_taken(tmp_path: Path, refusal: str, most: int) -> None:
    ids = task_ids(2_000)
    settings = SandboxSettings(key=KEY, batch_most=most, batch_refusal=refusal, latency=0.01)
    with Sandbox(settings) as sandbox:
        summary = ingest(sandbox.base_url, tmp_path / "w", ids, ids_per_request=100)
        stats = sandbox.stats()
    assert (summary.fetched, summary.requests) == (2_000, stats["requests"])
    # As many as fit, and not all of them again: half of the most is the least that is come to.
    assert stats["requests"] < 2_000 / (most // 2) + 150


@pytest.mark.parametrize("status", [400, 413, 422])
@pytest.mark.parametrize("code", ["too_many", "limit_exceeded", "TooManyRequests"])
def test_too_many_is_about_the_task_ids(tmp_path: Path, status: int, code: str) -> None:
    """Not about the rate: waiting and asking for as many again would never end."""

    def many(ids: list[str]) -> Any:
        if len(ids) > 30:
            return status, {"code": code, "message": "too many"}
        return enveloped([record(one) for one in ids])

    with ManyGateway(many) as gateway:
        summary = ingest(gateway.base_url, tmp_path / "w", max_concurrency=1)
    assert (summary.fetched, summary.retries, gateway.singles) == (200, 0, [])


@pytest.mark.parametrize(
    "text", ["batch size exceeds the limit of 7", "only 7 ids per request", "一次最多查询7个"]
)
def test_a_refusal_with_status_200_makes_batches_smaller(tmp_path: Path, text: str) -> None:
    def many(ids: list[str]) -> Any:
        if len(ids) > 7:
            return 200, {"code": "fail", "message": text, "data": None}
        return enveloped([record(one) for one in ids])

    with ManyGateway(many) as gateway:
        summary = ingest(gateway.base_url, tmp_path / "w", max_concurrency=1)
    assert (summary.fetched, gateway.singles) == (200, [])


def test_a_rate_limit_in_chinese_is_not_one_of_task_ids() -> None:
    assert not TOO_MANY.search("每分钟最多 100 次请求")


@pytest.mark.parametrize(
    "refusal",
    [
        (404, {"detail": "Not Found"}),
        (403, {"detail": "task belongs to another user"}),
        (200, b"<!doctype html><title>Back soon</title>"),
        (200, b'{"code":"success","data":[{"task_id":'),
        (200, b""),
    ],
)
def test_a_batch_refused_after_others_have_passed_ends_no_others(
    tmp_path: Path, refusal: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """It is one of its task IDs, or the minute, that is to blame: the path exists."""
    numbers = count(1)

    def many(ids: list[str]) -> Any:
        return refusal if next(numbers) == 3 else enveloped([record(one) for one in ids])

    with ManyGateway(many) as gateway:
        summary = ingest(gateway.base_url, tmp_path / "w", ids_per_request=20, max_concurrency=1)
    assert summary.fetched == 200
    assert summary.requests <= 10 + 20
    assert not warnings_in(caplog)


def test_a_path_that_goes_away_is_given_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    numbers = count(1)

    def many(ids: list[str]) -> Any:
        return enveloped([record(one) for one in ids]) if next(numbers) < 3 else (404, {})

    with ManyGateway(many) as gateway:
        summary = ingest(gateway.base_url, tmp_path / "w", task_ids(1000), max_concurrency=1)
    assert summary.fetched == 1000
    assert len(gateway.batches) < 2 + 40
    (warning,) = warnings_in(caplog)
    assert "each is asked for singly from now on" in warning


def test_a_gateway_that_takes_no_two_is_asked_singly(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with ManyGateway(lambda _: (400, {"detail": "Bad Request"})) as gateway:
        summary = ingest(gateway.base_url, tmp_path / "w", max_concurrency=4)
    assert summary.fetched == len(gateway.singles) == 200
    assert len(gateway.batches) < 60
    (warning,) = warnings_in(caplog)
    assert "does not take two task IDs at once" in warning


def test_one_id_that_spoils_a_batch_is_found(tmp_path: Path) -> None:
    """The others of its batch are settled all the same, and later batches stay large."""

    def many(ids: list[str]) -> Any:
        if "task-120" in ids:
            return 422, {"detail": [{"msg": "not a UUID"}]}
        return enveloped([record(one) for one in ids])

    with ManyGateway(many, lambda _: (422, {"detail": [{"msg": "not a UUID"}]})) as gateway:
        summary = ingest(gateway.base_url, tmp_path / "w", max_concurrency=1)
    assert "task-120" in gateway.singles
    assert len(gateway.singles) <= 3
    assert summary.fetched == 200 - len(gateway.singles)
    assert len(gateway.batches) < 20
    assert max(map(len, gateway.batches[-3:])) >= 25


def test_answers_that_take_too_long_are_asked_for_in_halves(tmp_path: Path) -> None:
    def many(ids: list[str]) -> Any:
        if len(ids) > 30:
            time.sleep(1.5)
        return enveloped([record(one) for one in ids])

    with ManyGateway(many) as gateway:
        summary = ingest(
            gateway.base_url, tmp_path / "w", IDS[:100], max_concurrency=1, read_timeout=0.5
        )
    assert (summary.fetched, gateway.singles) == (100, [])


def test_a_body_may_be_as_large_as_those_of_all_together(tmp_path: Path) -> None:
    assert body_bytes(1_000, 100) == 100_000
    assert body_bytes(4 * 1024 * 1024, 1_000) == LARGEST_BODY
    assert body_bytes(2 * LARGEST_BODY, 100) == 2 * LARGEST_BODY
    padding = "x" * 3_000
    with ManyGateway(
        lambda ids: enveloped([record(one, note=padding) for one in ids]),
    ) as gateway:
        summary = ingest(gateway.base_url, tmp_path / "w", max_body_bytes=4_000)
    assert (summary.fetched, gateway.singles) == (200, [])

    with ManyGateway(
        lambda ids: enveloped([record(one, note=padding * (len(ids) > 20)) for one in ids] * 2),
    ) as gateway:
        summary = ingest(gateway.base_url, tmp_path / "x", max_body_bytes=2_000)
    # Of the smaller batches, the last one may be of a single task ID.
    assert (summary.fetched, gateway.singles in ([], IDS[-1:])) == (200, True)
    assert max(map(len, gateway.batches[-3:])) < 50


def test_a_batch_that_fails_for_good_is_asked_for_singly(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is settled by it, and after three such the run gives up on the path."""
    with ManyGateway(lambda _: (500, {"message": "internal error"})) as gateway:
        summary = ingest(
            gateway.base_url, tmp_path / "w", IDS, ids_per_request=20, max_concurrency=1
        )
    assert (summary.fetched, summary.rejected) == (200, 0)
    assert len(gateway.batches) == 3 * 2
    assert (summary.requests, summary.retries) == (206, 3)
    (warning,) = warnings_in(caplog)
    assert "fails to answer for many task IDs" in warning


def test_a_batch_that_fails_once_is_asked_for_again(tmp_path: Path) -> None:
    with Sandbox(SandboxSettings(key=KEY, fault_share=0.4)) as sandbox:
        summary = ingest(
            sandbox.base_url, tmp_path / "w", ids_per_request=10, max_attempts=5, max_concurrency=1
        )
        stats = sandbox.stats()
    assert summary.fetched == 200
    assert stats["faults"]
    assert summary.requests == stats["requests"]


def test_a_gateway_that_is_down_stops_the_run(tmp_path: Path) -> None:
    down = 500, {"message": "internal error"}
    with (
        ManyGateway(lambda _: down, lambda _: down) as gateway,
        pytest.raises(GatewayDown) as stopped,
    ):
        ingest(gateway.base_url, tmp_path / "w", max_attempts=1)
    assert stopped.value.summary
    assert stopped.value.summary.fetched == 0
    assert set(rows(tmp_path / "w", "rejects").is_final) == {False}


@pytest.mark.parametrize(
    ("refusal", "error"),
    [
        ((401, {"detail": "Not authenticated"}), KeyRefused),
        ((200, {"code": 401, "message": "invalid token", "data": None}), KeyRefused),
        ((402, {"detail": "Insufficient credits"}), AccountRefused),
        ((200, {"success": False, "message": "insufficient balance"}), AccountRefused),
    ],
)
def test_a_refused_key_or_account_stops_the_run(
    tmp_path: Path, refusal: Any, error: type[RunStopped]
) -> None:
    with ManyGateway(lambda _: refusal) as gateway, pytest.raises(error):
        ingest(gateway.base_url, tmp_path / "w", max_concurrency=1)
    assert gateway.singles == []
    assert len(gateway.batches) == 1


def test_what_a_record_says_of_an_account_stops_nothing(tmp_path: Path) -> None:
    """It is true of that task: the gateway's own account elsewhere, perhaps."""

    def many(ids: list[str]) -> Any:
        odd = {"task_id": ids[0], "error": {"code": "insufficient_quota", "message": "no credit"}}
        return enveloped([odd, *map(record, ids[1:])])

    with ManyGateway(many) as gateway:
        summary = ingest(gateway.base_url, tmp_path / "w")
    assert (summary.fetched, sorted(gateway.singles)) == (200, IDS[0::50])


def test_redirects_are_followed_on_the_same_host_only(tmp_path: Path) -> None:
    moves = iter([True])

    def many(ids: list[str]) -> Any:
        if next(moves, False):
            return 307, b"", {"Location": "/luma/tasks/"}
        return enveloped([record(one) for one in ids])

    with ManyGateway(many) as gateway:
        assert ingest(gateway.base_url, tmp_path / "w").fetched == 200
    assert gateway.singles == []


def test_what_cannot_be_asked_at_once_is_a_usage_error() -> None:
    for value in (0, -1, 1_001, "many"):
        with pytest.raises(SettingsError, match="ids_per_request"):
            load(ids_per_request=value)


# The command line


@pytest.mark.parametrize(
    ("settings", "state", "text"),
    [
        ({}, "ok", "answers for 20 task IDs in one request"),
        ({"batch": "no-path"}, "note", "does not answer for 20 task IDs in one request (HTTP 404"),
        ({"batch": "405"}, "note", "asks for each singly"),
        ({"batch_most": 10}, "note", "asks for fewer"),
    ],
)
def test_check_says_whether_a_gateway_answers_for_many(
    cli: CommandLine, sandbox: Sandbox, settings: dict[str, Any], state: str, text: str
) -> None:
    sandbox.change(**settings)
    done = cli("check", "--json", "--ids-per-request", "20")
    assert done.returncode == 0, done.stderr
    (many,) = [one for one in json.loads(done.stdout)["checks"] if one["name"] == "many"]
    assert many["state"] == state
    assert text in many["text"]
    assert sandbox.stats()["requests"] == 2


def test_the_default_is_the_documented_path(cli: CommandLine, sandbox: Sandbox) -> None:
    assert cli("ingest", "-", stdin="\n".join(IDS[:10])).returncode == 0
    assert sandbox.stats()["requests"] == 10


# Figures


def test_few_requests_and_exact_times(tmp_path: Path) -> None:
    """Each finish is known to the second, by the records' own times."""
    ids = [*task_ids(3_000), *(f"hidden-{number}" for number in range(5))]
    random.Random(1).shuffle(ids)
    settings = SandboxSettings(
        key=KEY, latency=0.05, unfinished=0.0, batch_hidden_prefix="hidden-", days=20
    )
    with Sandbox(settings) as sandbox:
        summary = ingest(sandbox.base_url, tmp_path / "w", ids, ids_per_request=100)
        assert summary.requests == sandbox.stats()["requests"] <= 45
        timings = rows(tmp_path / "w", "timings").set_index("task_id")
        asked_by_record = timings[~timings.index.str.startswith("hidden-")]
        assert set(asked_by_record.basis) == {"reported"}
        for task_id in random.Random(2).sample(list(asked_by_record.index), 100):
            finished = datetime.fromisoformat(sandbox.truth(task_id)["finished_at"])
            row = asked_by_record.loc[task_id]
            assert row.finished_after_at <= finished <= row.finished_before_at
            assert row.finished_before_at - row.finished_after_at <= timedelta(seconds=1)
    assert len(timings) == len(ids)


def test_a_rate_limit_counts_requests_not_task_ids(tmp_path: Path) -> None:
    """Against five requests a second, a hundred times the task IDs a second.

    Much less is asserted: on a busy machine both take longer. Without the batches it would be one.
    """
    ids = task_ids(3_000)

    def rate(count: int, per_request: int) -> float:
        settings = SandboxSettings(key=KEY, rate_limit=5, burst=1)
        with Sandbox(settings) as sandbox:
            summary = ingest(
                sandbox.base_url,
                tmp_path / str(per_request),
                ids[:count],
                ids_per_request=per_request,
                max_attempts=5,
                requests_per_second=5,
            )
        assert summary.fetched == count
        return count / summary.elapsed_seconds

    assert rate(3_000, 100) > 30 * rate(30, 1)


KILLED = """
import sys, connector
connector.ingest(sys.argv[3], warehouse=sys.argv[1], base_url=sys.argv[2], ids_per_request=50,
                 batch_size=100, max_concurrency=4)
"""


@pytest.mark.parametrize("seed", range(3))
def test_killed_in_the_middle_nothing_is_lost_or_asked_for_in_vain(
    tmp_path: Path, seed: int, environment: dict[str, str]
) -> None:
    """Only what was under way, or not saved yet, is asked for again."""
    ids = task_ids(2_000)
    (tmp_path / "ids.txt").write_text("\n".join(ids))
    root, draw = tmp_path / "w", random.Random(seed)
    with Sandbox(SandboxSettings(key=KEY, latency=0.1, unfinished=0.0)) as sandbox:
        command = [sys.executable, "-c", KILLED, str(root), sandbox.base_url, "ids.txt"]
        kills = 0
        for _ in range(3):
            process = subprocess.Popen(command, cwd=tmp_path, env=environment)
            while process.poll() is None and sandbox.stats()["requests"] < 8 + 10 * kills:
                time.sleep(0.01)
            time.sleep(draw.random() / 4)
            kills += process.poll() is None
            process.send_signal(signal.SIGKILL)
            process.wait()
        subprocess.run(command, cwd=tmp_path, env=environment, check=True)
        asked = Counter(sandbox.stats()["by_task_id"])
    assert kills
    assert sorted(rows(root).task_id) == sorted(ids)
    assert rows(root, "answers").task_id.is_unique
    # At each kill: four batches under way, four that are read, and a file of the inbox.
    again = sum(count - 1 for count in asked.values())
    assert again <= kills * (4 * 50 + 4 * 50 + 100)
    assert os.listdir(root / "inbox") == []  # noqa: PTH208
