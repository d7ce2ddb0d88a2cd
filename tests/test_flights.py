"""Many requests in one thread: it says of each answer what a thread for each request would say."""

from __future__ import annotations

import gzip
import socket
import struct
import threading
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest
from clients import make_client
from raw_server import GENERATION, RawServer, always, reply

from connector.gateway.client import Client
from connector.gateway.fetch import fetch
from connector.gateway.pace.throttle import Throttle
from connector.record.answer import Outcome

if TYPE_CHECKING:
    from connector.record.answer import Answer

LARGE = b'{"state":"completed","prompt":"%s"}' % (b"x" * 300_000)
PAUSE = b"(pause)"
RESET = b"(reset)"
CLOSE = b"(close)"
HANG = b"(hang)"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(GENERATION)
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunks(body: bytes) -> bytes:
    return b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)


CHUNKS = chunks(GENERATION)

# What comes as the answers to one task ID, one after the other; the last one for ever.
WIRES: dict[str, list[list[bytes]]] = {
    "whole": [[reply()]],
    "the body in pieces": [[HEAD, PAUSE, GENERATION[:9], PAUSE, GENERATION[9:]]],
    "the head in pieces": [[HEAD[:20], PAUSE, HEAD[20:], GENERATION]],
    "compressed": [[reply(gzip.compress(GENERATION), "200 OK", "Content-Encoding: gzip")]],
    "damaged when compressed": [
        [reply(b"\x1f\x8b" + GENERATION, "200 OK", "Content-Encoding: gzip")]
    ],
    "large": [[reply(LARGE)]],
    "large and in pieces": [[reply(LARGE)[:100_000], PAUSE, reply(LARGE)[100_000:]]],
    "too large": [[reply(b"[" + b"1," * 400_000)]],
    "chunks": [[CHUNKED, CHUNKS]],
    "chunks in pieces": [[CHUNKED, CHUNKS[:9], PAUSE, CHUNKS[9:]]],
    "chunks byte by byte": [[CHUNKED, *(CHUNKS[n : n + 1] for n in range(len(CHUNKS)))]],
    "many chunks": [[CHUNKED, *(b"1\r\n%c\r\n" % byte for byte in GENERATION), b"0\r\n\r\n"]],
    "compressed chunks": [
        [CHUNKED[:-2], b"Content-Encoding: gzip\r\n\r\n", chunks(gzip.compress(GENERATION))]
    ],
    "large chunks": [[CHUNKED, chunks(LARGE)]],
    "chunks with extensions": [[CHUNKED, CHUNKS.replace(b"\r\n", b";a=1\r\n", 1)]],
    "chunks and a trailer": [[CHUNKED, CHUNKS[:-2], b"X-Sum: 1\r\n\r\n"]],
    "more than the chunks": [[CHUNKED, CHUNKS, b"{}"]],
    "half of the chunks": [[CHUNKED, CHUNKS[:9], CLOSE]],
    "a chunk of no size": [[CHUNKED, b"what\r\n", CLOSE]],
    "a chunk that is longer than it says": [[CHUNKED, b"2\r\n{}}}\r\n0\r\n\r\n", CLOSE]],
    "chunks and a length": [[HEAD[:-2], b"Transfer-Encoding: chunked\r\n\r\n", CHUNKS]],
    "an end by closing": [[b"HTTP/1.1 200 OK\r\n\r\n", GENERATION, CLOSE]],
    "the last over its connection": [[reply(GENERATION, "200 OK", "Connection: close"), CLOSE]],
    "more than was asked for": [[reply(), reply(b"{}")]],
    "nothing": [[CLOSE]],
    "nothing, then whole": [[CLOSE], [reply()]],
    "half a head": [[HEAD[:20], CLOSE]],
    "half a body": [[HEAD, GENERATION[:9], CLOSE]],
    "half a body, later": [[HEAD, GENERATION[:9], PAUSE, CLOSE]],
    "a reset": [[RESET]],
    "a reset within the body": [[HEAD, GENERATION[:9], PAUSE, RESET]],
    "not HTTP": [[b"SSH-2.0-OpenSSH_9.6\r\n", CLOSE]],
    "silence": [[HANG]],
    "silence within the body": [[HEAD, HANG]],
    "drops for ever": [[HEAD, *[b"{", PAUSE] * 40]],
    "not found": [[reply(b'{"detail":"Not found"}', "404 Not Found")]],
    "slow down, then whole": [[reply(b"", "429 Slow", "Retry-After: 0")], [reply()]],
    "an error, then whole": [[reply(b"", "500 Down")], [reply()]],
    "errors": [[reply(b"", "503 Down")]],
    "no content": [[b"HTTP/1.1 204 No Content\r\n\r\n"]],
    "a hint before": [[b"HTTP/1.1 103 Early Hints\r\n\r\n"], [reply()]],
    "elsewhere": [[reply(b"", "302 Moved", "Location: http://gw.example/")]],
    "in a circle": [[reply(b"", "302 Moved", "Location: ?again")]],
    "a page": [[reply(b"<html><title>Sorry</title></html>")]],
    "another task": [[reply(b'{"id":"c","state":"completed"}')], [reply()]],
    "not JSON": [[reply(b"{")]],
}


class Wire:
    """Answers a task ID as one of `WIRES` says, and all others well."""

    def __init__(self, wire: list[list[bytes]]) -> None:
        self._wire = wire
        self._asked: dict[str, int] = defaultdict(int)

    def __call__(self, head: str, connection: socket.socket) -> None:
        name = head.split(" ")[1].rpartition("/")[2].partition("?")[0]
        if name.startswith("warm"):
            connection.sendall(reply())
            return
        number = self._asked[name]
        self._asked[name] += 1
        for piece in self._wire[min(number, len(self._wire) - 1)]:
            if piece == PAUSE:
                time.sleep(0.03)
            elif piece == RESET:
                linger = struct.pack("ii", 1, 0)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                connection.close()
                return
            elif piece == CLOSE:
                connection.shutdown(socket.SHUT_RDWR)
            elif piece == HANG:
                connection.recv(1)
            else:
                connection.sendall(piece)


def said(answer: Answer) -> tuple[Any, ...]:
    """What an answer says that does not depend on time."""
    return (
        answer.outcome,
        answer.http_status,
        answer.attempts,
        answer.body,
        answer.message,
        answer.status,
        answer.concerns,
        answer.mixed_up,
    )


def by_one_thread(client: Client, *task_ids: str, threads: int = 1) -> dict[str, Answer]:
    answers = fetch(iter(task_ids), client, threads=threads, stop=threading.Event())
    return {answer.task_id: answer for answer in answers}


@pytest.mark.parametrize("name", WIRES)
def test_an_answer_is_the_same_whether_a_thread_waits_for_it_alone_or_for_many(name: str) -> None:
    limits = {"read_timeout": 0.3, "total_timeout": 0.6, "max_body_bytes": 400_000}
    with RawServer(Wire(WIRES[name])) as server:
        # Over a connection that was used before, as nearly all are.
        with make_client(server.base_url, **limits) as client:
            client.fetch("warm-1", threading.Event())
            alone = client.fetch("a", threading.Event())
            asked_alone = len(server.heads)
        with make_client(server.base_url, **limits) as client:
            many = by_one_thread(client, "warm-2", "b")
        asked = len(server.heads)
    assert alone is not None
    assert said(many["b"]) == said(alone)
    assert asked == 2 * asked_alone


@pytest.fixture
def helped(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The task IDs that were left to a thread of their own."""
    names: list[str] = []
    step = Client.step

    def noted(self: Client, inquiry: Any) -> Answer | None:
        if threading.current_thread().name != "fetch-0":
            names.append(inquiry.question.name)
        return step(self, inquiry)

    monkeypatch.setattr(Client, "step", noted)
    return names


@pytest.mark.parametrize("head_and_body", [(HEAD, GENERATION), (CHUNKED, CHUNKS)])
def test_answers_that_are_short_and_plain_need_no_thread_of_their_own(
    helped: list[str], head_and_body: tuple[bytes, bytes]
) -> None:
    head, body = head_and_body
    pieces = [[head, PAUSE, body[:9], PAUSE, body[9:]]]
    with RawServer(Wire(pieces)) as server, make_client(server.base_url) as client:
        answers = by_one_thread(client, "warm", *map(str, range(20)))
    assert {answer.outcome for answer in answers.values()} == {Outcome.GENERATION}
    assert helped == []
    assert len(answers) == 21


def test_one_that_takes_its_time_holds_up_no_other(helped: list[str]) -> None:
    """Be it between the head and the body, or because it comes in a form that takes a thread."""
    slow = threading.Event()

    def answer(head: str, connection: socket.socket) -> None:
        if "/slow" in head:
            chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            connection.sendall(HEAD if "/slow-1" in head else chunked)
            slow.wait(30)
            connection.sendall(GENERATION if "/slow-1" in head else b"2\r\n{}\r\n0\r\n\r\n")
        else:
            connection.sendall(reply())

    with RawServer(answer) as server, make_client(server.base_url, read_timeout=30) as client:
        by_one_thread(client, *(f"warm-{n}" for n in range(30)), threads=4)
        names = ["slow-1", "slow-2", *map(str, range(100))]
        answers = fetch(iter(names), client, threads=4, stop=threading.Event())
        first = [next(answers).task_id for _ in range(100)]
        assert not {"slow-1", "slow-2"}.intersection(first)
        slow.set()
        assert {answer.task_id for answer in answers} == {"slow-1", "slow-2"}
    assert "slow-1" not in helped


def test_no_more_requests_are_under_way_than_there_may_be() -> None:
    under_way, most, lock = [0], [0], threading.Lock()

    def answer(head: str, connection: socket.socket) -> None:
        with lock:
            under_way[0] += 1
            most[0] = max(most[0], under_way[0])
        time.sleep(0.002)
        with lock:
            under_way[0] -= 1
        # Half of them need a thread of their own, and half do not.
        is_odd = int(head.split(" ")[1].rpartition("/")[2]) % 2
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n{}" if is_odd else reply())
        if is_odd:
            connection.shutdown(socket.SHUT_RDWR)

    with RawServer(answer) as server, make_client(server.base_url) as client:
        answers = by_one_thread(client, *map(str, range(200)), threads=6)
    assert len(answers) == 200
    assert 2 <= most[0] <= 6


def test_the_end_of_a_list_comes_as_soon_as_its_last_answers() -> None:
    """Not a while later for each request that may be under way, where the throttle lets few."""
    with RawServer(always(reply())) as server, make_client(server.base_url, Throttle(1)) as client:
        started = time.monotonic()
        answers = by_one_thread(client, *map(str, range(300)), threads=250)
    assert len(answers) == 300
    assert time.monotonic() - started < 3.0
