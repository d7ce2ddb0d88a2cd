"""An answer belongs to the task that was asked for, whatever else comes over the connection."""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from clients import make_client
from conftest import KEY
from many_gateway import ManyGateway, enveloped, record
from raw_server import RawServer, reply

from connector import ingest
from connector.gateway.whose import ENOUGH, MOST_MIXED_UP
from connector.record.answer import Outcome
from connector.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from connector.record.answer import Answer
    from connector.summary import Summary

IDS = [f"task-{number:03}" for number in range(40)]


def asked_for(head: str) -> str:
    return head.split(" ")[1].rpartition("/")[2]


def about(task_id: str, given: str | None = None) -> bytes:
    """An answer about a task, whose prompt says which."""
    document = {"id": given or task_id, "state": "completed", "prompt": task_id}
    return reply(json.dumps(document).encode())


def own_id(task_id: str) -> str:
    return f"generation-{hash(task_id)}"


def fetch_all(base_url: str, ids: Iterable[str] = IDS, **changes: object) -> list[Answer]:
    """One after the other, over as few connections as may be."""
    ids = list(ids)
    with make_client(base_url, **changes) as client:
        client.expect(ids)
        answers = [client.fetch(task_id, threading.Event()) for task_id in ids]
    return [answer for answer in answers if answer is not None]


def prompts(answers: list[Answer]) -> dict[str, str]:
    return {one.task_id: json.loads(one.body or b"null")["prompt"] for one in answers}


class Twice:
    """Sends the answer before again, after or in front of some answers."""

    def __init__(self, order: Callable[[bytes, bytes], list[bytes]]) -> None:
        self.order = order
        self.latest: dict[socket.socket, bytes] = {}

    def __call__(self, head: str, connection: socket.socket) -> None:
        task_id = asked_for(head)
        answer = about(task_id)
        for part in self.order(self.latest.get(connection, b""), answer):
            connection.sendall(part)
            time.sleep(0.001)  # so that it arrives by itself
        self.latest[connection] = answer


STRAY = about("stray")
ORDERS: dict[str, Callable[[bytes, bytes], list[bytes]]] = {
    "a late duplicate before each answer": lambda before, answer: [before, answer],
    "the same in one piece": lambda before, answer: [before + answer],
    "two at once": lambda _, answer: [answer + answer],
    "a duplicate that comes later": lambda _, answer: [answer, answer],
    "off by one for ever": lambda before, answer: [before or answer, b"" if before else answer],
    "a body that goes on": lambda _, answer: [answer + b"and more"],
    "a line break after it": lambda _, answer: [answer + b"\r\n"],
    "a stale 408": lambda _, answer: [answer, reply(b"", "408 Request Timeout")],
    "HTTP/1.0 and more": lambda _, answer: [answer.replace(b"/1.1", b"/1.0") + STRAY],
    "chunks and more": lambda _, answer: [chunked(answer) + STRAY],
}


def chunked(answer: bytes) -> bytes:
    body = answer.partition(b"\r\n\r\n")[2]
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)


@pytest.mark.parametrize("order", ORDERS)
def test_each_task_gets_its_own_answer(order: str) -> None:
    with RawServer(Twice(ORDERS[order])) as server:
        answers = fetch_all(server.base_url)
    assert prompts(answers) == {task_id: task_id for task_id in IDS}
    # At most one more request for each, and far fewer once the gateway is known to be confused.
    assert len(server.heads) <= len(IDS) + 2 * MOST_MIXED_UP + 2


def test_ids_that_differ_by_letter_case_are_two_tasks() -> None:
    ids = ["task-abc", "task-ABC"]
    with RawServer(lambda _, connection: connection.sendall(about("task-ABC"))) as server:
        mixed_up, own = fetch_all(server.base_url, ids)
    assert (mixed_up.outcome, own.outcome) == (Outcome.OTHER_TASK, Outcome.GENERATION)
    one = "4B3C464E-94f6-4e54-bc21-12f0e6da5791"
    with RawServer(lambda _, connection: connection.sendall(about(one))) as server:
        (answer,) = fetch_all(server.base_url, [one.lower()])
    assert (answer.outcome, answer.attempts) == (Outcome.GENERATION, 1)


class Greeting(RawServer):
    """Sends an answer over its first connections before anything is asked."""

    def __init__(self, connections: int) -> None:
        super().__init__(lambda head, connection: connection.sendall(about(asked_for(head))))
        self._left = connections

    def _serve(self, connection: socket.socket) -> None:
        if self._left:
            self._left -= 1
            connection.sendall(about(IDS[3]))
        super()._serve(connection)


def test_an_answer_that_comes_before_anything_is_asked_is_no_answer() -> None:
    with Greeting(1) as server:
        answers = fetch_all(server.base_url, IDS[:5])
    assert prompts(answers) == {task_id: task_id for task_id in IDS[:5]}


@pytest.mark.parametrize("wrong", ["stranger", IDS[7]])
def test_a_wrong_answer_is_asked_for_again_over_a_new_connection(wrong: str) -> None:
    came: defaultdict[str, list[socket.socket]] = defaultdict(list)

    def answer(head: str, connection: socket.socket) -> None:
        task_id = asked_for(head)
        came[task_id].append(connection)
        is_wrong = task_id == IDS[20] and len(came[task_id]) == 1
        connection.sendall(about(wrong if is_wrong else task_id))

    with RawServer(answer) as server:
        answers = fetch_all(server.base_url)
    assert prompts(answers) == {task_id: task_id for task_id in IDS}
    first, second = came[IDS[20]]
    assert first is not second
    assert [one.mixed_up for one in answers] == [int(one.task_id == IDS[20]) for one in answers]


def test_a_gateway_with_ids_of_its_own_is_asked_once() -> None:
    def answer(head: str, connection: socket.socket) -> None:
        connection.sendall(about(asked_for(head), own_id(asked_for(head))))

    with RawServer(answer) as server:
        answers = fetch_all(server.base_url)
    assert prompts(answers) == {task_id: task_id for task_id in IDS}
    assert len(server.heads) <= len(IDS) + ENOUGH
    assert not any(one.mixed_up for one in answers)


def test_a_gateway_with_ids_of_its_own_that_answers_late_is_found_out() -> None:
    latest: dict[socket.socket, bytes] = {}

    def answer(head: str, connection: socket.socket) -> None:
        task_id = asked_for(head)
        own = about(task_id, own_id(task_id))
        connection.sendall(latest.get(connection, b""))
        time.sleep(0.001)
        connection.sendall(own)
        if task_id > IDS[30]:
            latest[connection] = own

    with RawServer(answer) as server:
        answers = fetch_all(server.base_url)
    assert prompts(answers) == {task_id: task_id for task_id in IDS}


@pytest.mark.parametrize("given", ["the same", "new"])
def test_a_gateway_whose_ids_say_nothing_is_asked_once(given: str) -> None:
    """It gives one ID for all tasks, or another one in each answer."""
    numbers = iter(range(10**6))

    def answer(head: str, connection: socket.socket) -> None:
        an_id = "always" if given == "the same" else f"id-{next(numbers)}"
        connection.sendall(about(asked_for(head), an_id))

    with RawServer(answer) as server:
        answers = fetch_all(server.base_url)
    assert prompts(answers) == {task_id: task_id for task_id in IDS}
    assert len(server.heads) <= len(IDS) + 2 * ENOUGH


def test_an_answer_that_stays_another_tasks_is_not_kept(tmp_path: Path) -> None:
    """Not even by a rebuild, though its body is a generation; the next run asks again."""
    is_confused = True

    def answer(head: str, connection: socket.socket) -> None:
        task_id = asked_for(head)
        connection.sendall(about(IDS[3] if is_confused and task_id == IDS[20] else task_id))

    def run() -> Summary:
        return ingest(IDS, warehouse=root, base_url=server.base_url, key=KEY, max_attempts=2)

    root = tmp_path / "w"
    with RawServer(answer) as server:
        assert run().reasons == {Outcome.OTHER_TASK: 1}
        with Warehouse.writing(root) as warehouse:
            warehouse.rebuild()
        (reject,) = pd.read_parquet(root / "rejects").to_dict("records")
        assert (reject["task_id"], reject["reason"]) == (IDS[20], Outcome.OTHER_TASK)
        assert not reject["is_final"]
        assert IDS[3] in reject["message"]
        assert reject["attempts"] < 10
        assert len(pd.read_parquet(root / "generations")) == len(IDS) - 1
        is_confused = False
        assert run().fetched == 1


def test_an_answer_about_another_batch_is_asked_for_again(tmp_path: Path) -> None:
    latest: list[str] = []

    def late(ids: list[str]) -> tuple[int, object]:
        """Once, the answer to the request before."""
        nonlocal latest
        before, latest = latest, [] if latest else ids
        return enveloped([record(one) for one in before or ids])

    with ManyGateway(late) as gateway:
        summary = ingest(
            IDS,
            warehouse=tmp_path / "w",
            base_url=gateway.base_url,
            key=KEY,
            ids_per_request=10,
            max_concurrency=1,
        )
    assert (summary.fetched, gateway.singles) == (len(IDS), [])
    assert summary.mixed_up > 0
    rows = pd.read_parquet(tmp_path / "w/generations")
    assert list(rows["task_id"]) == list(rows["id"])


def test_a_run_has_right_rows_and_says_what_was_mixed_up(tmp_path: Path) -> None:
    """Over many threads; the row in `runs` and the summary count it."""
    with RawServer(Twice(ORDERS["a late duplicate before each answer"])) as server:
        summary = ingest(IDS, warehouse=tmp_path / "w", base_url=server.base_url, key=KEY)
    rows = pd.read_parquet(tmp_path / "w/generations")
    assert list(rows["task_id"]) == list(rows["prompt"])
    assert len(rows) == summary.fetched == len(IDS)
    assert summary.mixed_up > 0
    assert list(pd.read_parquet(tmp_path / "w/runs")["mixed_up"]) == [summary.mixed_up]
