"""A 403 that does not say what it is true of: other answers decide whether a task is given up."""

from __future__ import annotations

import json
import random
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

import builders
import pytest
from clients import make_client
from conftest import KEY
from pydantic import SecretStr
from raw_server import RawServer, reply

from connector import ingest, read
from connector.errors import AccountRefused, RunStopped
from connector.gateway.fetch import fetch
from connector.gateway.pace.throttle import Throttle
from connector.record.answer import Concern, Outcome
from connector.record.rejudge import rejudge
from connector.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from pathlib import Path

    from connector.record.answer import Answer
    from connector.sandbox import Sandbox
    from connector.summary import Summary

FORBIDDEN = reply(b'{"message":"Forbidden"}', "403 Forbidden")
PAGES = {
    "nginx": b"<html><head><title>403 Forbidden</title></head></html>",
    "akamai": b"<HTML><HEAD><TITLE>Access Denied</TITLE></HEAD>Reference&#32;&#35;18&#46;1</HTML>",
    "challenge": b"<!DOCTYPE html><title>Just a moment...</title><script>_cf_chl_opt</script>",
}
GOOD = [f"good-{number}" for number in range(300)]
FOREIGN = [f"foreign-{number}" for number in range(100)]
# Foreign tasks in a stretch, after some that have generations.
LISTED = [*GOOD[:150], *FOREIGN, *GOOD[150:]]


class Guarded(RawServer):
    """A gateway whose answer `keeps_out` may replace by a 403, by task ID."""

    def __init__(self, keeps_out: Callable[[str], bool], refusal: bytes = FORBIDDEN) -> None:
        super().__init__(self._serve_one)
        self.asked: Counter[str] = Counter()
        self._keeps_out = keeps_out
        self._refusal = refusal

    def _serve_one(self, head: str, connection: socket.socket) -> None:
        task_id = head.split(" ")[1].rpartition("/")[2]
        if task_id == "tasks":
            connection.sendall(self._many(head, connection))
            return
        self.asked[task_id] += 1
        is_out = self._keeps_out(task_id)
        connection.sendall(self._refusal if is_out else reply(generation(task_id)))

    def _many(self, head: str, connection: socket.socket) -> bytes:
        size = next(int(line[16:]) for line in head.split("\r\n") if line[:15] == "Content-Length:")
        body = b""
        while len(body) < size:
            body += connection.recv(65536)
        task_ids = json.loads(body)["ids"]
        if self._keeps_out("many"):
            return FORBIDDEN
        # Tasks of another account are left out.
        records = [json.loads(generation(one)) for one in task_ids if one.startswith("good")]
        return reply(json.dumps({"code": "success", "data": records}).encode())


def generation(task_id: str) -> bytes:
    return json.dumps({"id": task_id, "state": "completed", "created_at": 1735689600}).encode()


def is_foreign(task_id: str) -> bool:
    return task_id.startswith("foreign")


def ask_for(
    server: RawServer, task_ids: list[str], threads: int, many: int = 1
) -> tuple[list[Answer], RunStopped | None]:
    answers: list[Answer] = []
    changes: dict[str, Any] = {"ids_per_request": many, "max_attempts": 5}
    with make_client(server.base_url, Throttle(threads), **changes) as client:
        try:
            answers.extend(fetch(task_ids, client, threads=threads, stop=threading.Event()))
        except RunStopped as error:
            return answers, error
    return answers, None


def ingested(server: RawServer | Sandbox, task_ids: list[str], warehouse: Path) -> Summary:
    key = SecretStr(KEY)
    return ingest(
        task_ids, base_url=server.base_url, warehouse=str(warehouse), key=key, max_attempts=2
    )


WAYS = pytest.mark.parametrize(
    ("threads", "many"), [(1, 1), (64, 1), (1, 50), (8, 50)], ids=["1", "64", "1-many", "8-many"]
)


@WAYS
def test_tasks_of_another_account_are_given_up_and_stop_nothing(threads: int, many: int) -> None:
    with Guarded(is_foreign) as server:
        answers, error = ask_for(server, LISTED, threads, many)
    assert error is None
    assert sorted(one.task_id for one in answers) == sorted(LISTED)
    foreign = [one for one in answers if one.outcome is not Outcome.GENERATION]
    assert {(one.outcome, one.concerns) for one in foreign} == {(Outcome.FORBIDDEN, Concern.TASK)}
    assert len(foreign) == len(FOREIGN)
    requests = sum(one.attempts for one in answers)
    assert many > 1 or requests == sum(server.asked.values())
    assert min(server.asked[one] for one in FOREIGN) >= 2


@WAYS
def test_a_block_of_everyone_stops_the_run_and_no_task_is_given_up(threads: int, many: int) -> None:
    left = iter(range(4 if many > 1 else 100))
    with Guarded(lambda _: next(left, None) is None) as server:
        answers, error = ask_for(server, GOOD, threads, many)
    assert isinstance(error, AccountRefused)
    assert "keeps out every task (HTTP 403: Forbidden)" in str(error)
    assert {one.outcome for one in answers} == {Outcome.GENERATION}
    task_id, asked = server.asked.most_common(1)[0]
    assert asked <= 1 + 5, task_id  # each has five attempts, the witness had one before


@WAYS
def test_refusals_at_random_give_up_nothing(threads: int, many: int) -> None:
    draw = random.Random(6)
    with Guarded(lambda _: draw.random() < 0.1) as server:
        answers, error = ask_for(server, GOOD, threads, many)
    assert error is None
    assert Counter(one.outcome for one in answers) == {Outcome.GENERATION: len(GOOD)}


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
@pytest.mark.parametrize("threads", [1, 64])
def test_a_page_for_one_task_stops_nothing_even_if_it_comes_first(
    page: bytes, threads: int
) -> None:
    task_ids = ["foreign-0", *GOOD[:30], "foreign-1"]
    with Guarded(is_foreign, reply(page, "403 Forbidden")) as server:
        answers, error = ask_for(server, task_ids, threads)
    assert error is None
    assert sorted(one.task_id for one in answers) == sorted(task_ids)
    foreign = [one for one in answers if one.outcome is not Outcome.GENERATION]
    assert {(one.task_id, one.concerns) for one in foreign} == {
        ("foreign-0", Concern.UNCLEAR),
        ("foreign-1", Concern.UNCLEAR),
    }
    assert min(server.asked[one.task_id] for one in foreign) >= 2


def test_a_store_that_refuses_what_it_does_not_have_is_believed() -> None:
    refusal = b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>'
    task_ids = ["foreign-0", *GOOD[:5], "foreign-1"]
    # It refuses made-up tasks too.
    with Guarded(lambda it: it not in GOOD, reply(refusal, "403 Forbidden")) as server:
        answers, error = ask_for(server, task_ids, 1)
    assert error is None
    foreign = {one.task_id: one.concerns for one in answers if one.task_id.startswith("foreign")}
    assert foreign == {"foreign-0": Concern.UNCLEAR, "foreign-1": Concern.TASK}


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_a_page_for_everyone_stops_the_run_early_and_the_next_one_fetches_all(
    page: bytes, tmp_path: Path
) -> None:
    blocked = [True]
    with Guarded(lambda _: blocked[0], reply(page, "403 Forbidden")) as server:
        with pytest.raises(AccountRefused, match="also a made-up one") as stopped:
            ingested(server, GOOD, tmp_path)
        assert stopped.value.summary is not None
        assert (stopped.value.summary.fetched, stopped.value.summary.rejected) == (0, 0)
        assert len(server.asked) <= 100
        assert stopped.value.summary.requests == server.asked.total()
        blocked[0] = False
        rest = ingested(server, GOOD, tmp_path)
    assert (rest.new, rest.rejected, rest.not_reached) == (len(GOOD), 0, 0)


def test_after_a_block_the_next_run_fetches_what_is_left(sandbox: Sandbox, tmp_path: Path) -> None:
    task_ids = [f"task-{number}" for number in range(40)]
    sandbox.change(refusal="403-forbidden", refusal_after=20)
    with pytest.raises(AccountRefused) as stopped:
        ingested(sandbox, task_ids, tmp_path)
    assert stopped.value.summary is not None
    assert (stopped.value.summary.fetched, stopped.value.summary.rejected) == (20, 0)
    sandbox.change(refusal="none")
    rest = ingested(sandbox, task_ids, tmp_path)
    assert (rest.new, rest.rejected, rest.not_reached) == (20, 0, 0)


def test_a_task_of_another_account_is_given_up_and_stays_so_in_a_rebuild(tmp_path: Path) -> None:
    with Guarded(is_foreign) as server:
        summary = ingested(server, [*GOOD[:4], "foreign", *GOOD[4:9]], tmp_path)
        assert (summary.fetched, summary.rejected) == (9, 1)
        assert ingested(server, ["foreign"], tmp_path).requests == 0
        rejects = read("rejects", tmp_path)
        with Warehouse.writing(tmp_path) as warehouse:
            warehouse.rebuild()
        assert read("rejects", tmp_path).equals(rejects)
        assert ingested(server, ["foreign"], tmp_path).requests == 0


def test_a_task_of_an_earlier_run_shows_whom_a_refusal_concerns(tmp_path: Path) -> None:
    """A run whose every new task is of another account, and one that is blocked from its start."""
    is_blocked = False
    with Guarded(lambda name: is_blocked or is_foreign(name)) as server:
        ingested(server, GOOD[:3], tmp_path)
        summary = ingested(server, [*GOOD[:3], *FOREIGN[:60]], tmp_path)
        assert (summary.rejected, summary.new) == (60, 0)
        assert ingested(server, FOREIGN[:60], tmp_path).requests == 0
        is_blocked = True
        with pytest.raises(AccountRefused, match="also 'good-"):
            ingested(server, GOOD[3:9], tmp_path)
        is_blocked = False
        assert ingested(server, GOOD[3:9], tmp_path).new == 6


def test_an_answer_that_nobody_looked_at_twice_is_judged_again() -> None:
    """As of a version that gave the task up at once: the next run asks for it."""
    body = b'{"message":"Forbidden"}'
    refused = builders.answer("x", body, outcome=Outcome.FORBIDDEN, status=403)
    assert refused.concerns is Concern.TASK
    judged = rejudge(builders.table(refused, refused._replace(attempts=2)), {})
    assert judged["concerns"].to_pylist() == [Concern.UNCLEAR, Concern.TASK]


def test_nothing_is_given_up_before_anything_was_fetched() -> None:
    with Guarded(lambda _: True) as server:
        answers, error = ask_for(server, FOREIGN[:19], 1)
    assert error is None
    assert {(one.concerns, one.attempts) for one in answers} == {(Concern.UNCLEAR, 3)}
