"""Many task IDs at once: nothing is lost, nothing is asked twice, and every end is a clean one."""

from __future__ import annotations

import itertools
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from clients import make_client
from pydantic import SecretStr
from raw_server import RawServer, always, hang, reply

from connector.errors import GatewayDown, KeyRefused, RunStopped
from connector.gateway.fetch import fetch
from connector.gateway.pace.throttle import Throttle
from connector.gateway.patience import FEWEST_FAILURES
from connector.record.answer import Outcome

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from connector.gateway.client import Client
    from connector.record.answer import Answer
    from connector.sandbox import Sandbox

DOWN = reply(b"", "500 Down")
REFUSED = reply(b'{"detail":"Not authenticated"}', "401 Unauthorized")


def run(
    client: Client,
    task_ids: Any,
    *,
    threads: int = 1,
    stop: threading.Event | None = None,
    **more: Any,
) -> Generator[Answer, None, None]:
    return fetch(task_ids, client, threads=threads, stop=stop or threading.Event(), **more)


def take_all(answers: Iterator[Answer]) -> tuple[list[str], Exception | None]:
    """The task IDs that were answered, and what ended it."""
    task_ids: list[str] = []
    try:
        task_ids.extend(answer.task_id for answer in answers)
    except (RunStopped, OSError) as error:
        return task_ids, error
    return task_ids, None


def fetching_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("fetch")]


def wait_until(condition: Any, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.01)


def test_each_task_id_is_asked_for_once_and_answered_once(sandbox: Sandbox) -> None:
    task_ids = [f"task_{number}" for number in range(300)]
    with make_client(sandbox.base_url) as client:
        answered, error = take_all(run(client, iter(task_ids), threads=8))
    assert error is None
    assert sorted(answered) == sorted(task_ids)
    assert sandbox.stats()["by_task_id"] == dict.fromkeys(task_ids, 1)


def test_requests_overlap_as_far_as_there_are_threads(sandbox: Sandbox) -> None:
    with make_client(sandbox.base_url) as client:
        answers = list(run(client, [f"bad-slow-{n}" for n in range(8)], threads=4))
    assert len(answers) == 8
    assert sandbox.stats()["max_in_flight"] == 4


def test_a_bad_answer_stops_nothing(sandbox: Sandbox) -> None:
    kinds = ["not-found", "server-error", "reset", "html-200", "cut"]
    task_ids = [f"bad-{kind}-1" for kind in kinds] + ["task_1", "task_2"]
    with make_client(sandbox.base_url) as client:
        outcomes = Counter(answer.outcome for answer in run(client, task_ids, threads=3))
    assert outcomes[Outcome.GENERATION] == 2
    assert outcomes.total() == 7


def test_no_task_ids_no_answers() -> None:
    with make_client("http://gw.example") as client:
        assert list(run(client, [], threads=4)) == []


def test_ids_are_pulled_no_faster_than_answers_are_taken(sandbox: Sandbox) -> None:
    numbers = itertools.count()
    task_ids = (f"task_{next(numbers)}" for _ in itertools.repeat(None))
    with (
        make_client(sandbox.base_url) as client,
        closing(run(client, task_ids, threads=2)) as answers,
    ):
        for _ in range(20):
            next(answers)
        time.sleep(0.3)
        # Taken, waiting (4 for each of 2 threads), and one in the hands of each thread.
        assert next(numbers) <= 20 + 8 + 2


def test_closing_early_ends_the_threads(sandbox: Sandbox) -> None:
    with make_client(sandbox.base_url) as client:
        answers = run(client, (f"task_{n}" for n in itertools.count()), threads=4)
        next(answers)
        assert fetching_threads()
        answers.close()
        wait_until(lambda: not fetching_threads())


def test_a_refused_key_comes_after_the_answers_that_were_there() -> None:
    with (
        RawServer(always(reply(), reply(), REFUSED)) as server,
        make_client(server.base_url) as client,
    ):
        answered, error = take_all(run(client, iter("abcdefg")))
    assert (answered, type(error)) == (["a", "b"], KeyRefused)
    assert len(server.heads) == 3


@pytest.mark.parametrize("at_once", [False, True], ids=["end", "reset"])
def test_a_connection_that_closes_as_it_is_used_again_costs_no_attempt(at_once: bool) -> None:
    """A gateway's keep-alive ends when it likes; over a new connection the same is asked again."""
    served: set[int] = set()

    def answer(_: str, connection: socket.socket) -> None:
        if connection.fileno() in served:
            served.discard(connection.fileno())
            if at_once:
                linger = struct.pack("ii", 1, 0)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            connection.close()
        else:
            served.add(connection.fileno())
            connection.sendall(reply())

    with RawServer(answer) as server, make_client(server.base_url, max_attempts=1) as client:
        answers = list(run(client, map(str, range(20)), threads=2))
    assert Counter(one.outcome for one in answers) == {Outcome.GENERATION: 20}
    assert sum(one.attempts for one in answers) == len(server.heads) > 20


def test_a_gateway_that_closes_every_connection_is_still_down() -> None:
    def answer(_: str, connection: socket.socket) -> None:
        connection.close()

    with RawServer(answer) as server, make_client(server.base_url) as client:
        answers = list(run(client, ["a", "b"]))
    assert [(one.outcome, one.attempts) for one in answers] == [(Outcome.NETWORK, 2)] * 2


def test_what_is_under_way_when_the_run_stops_is_finished() -> None:
    arrived, refused = threading.Event(), threading.Event()

    def answer(head: str, connection: socket.socket) -> None:
        if "/slow " in head:
            arrived.set()
            refused.wait(60)
            time.sleep(0.1)
            connection.sendall(reply())
        else:
            arrived.wait(60)
            connection.sendall(REFUSED)
            refused.set()

    with RawServer(answer) as server, make_client(server.base_url) as client:
        answered, error = take_all(run(client, ["slow", "other", "never"], threads=2))
    assert (answered, type(error)) == (["slow"], KeyRefused)
    assert not any("never" in target for target in server.targets)


def test_what_hangs_when_the_run_stops_is_left_after_the_grace() -> None:
    def answer(head: str, connection: socket.socket) -> None:
        if "/hangs " in head:
            hang(head, connection)
        connection.sendall(REFUSED)

    started = time.monotonic()
    with (
        RawServer(answer) as server,
        make_client(server.base_url, read_timeout=200.0, total_timeout=200.0) as client,
    ):
        answered, error = take_all(run(client, ["hangs", "b"], threads=2, grace_seconds=0.2))
    assert (answered, type(error)) == ([], KeyRefused)
    assert time.monotonic() - started < 60


def test_failures_in_a_row_mean_that_the_gateway_is_down() -> None:
    with (
        RawServer(always(reply(), DOWN)) as server,
        make_client(server.base_url, max_failures_in_row=7) as client,
    ):
        answers = run(client, (f"t{n}" for n in itertools.count()))
        answered, error = take_all(answers)
    assert answered == [f"t{number}" for number in range(8)]
    assert isinstance(error, GatewayDown)
    assert "7 task IDs in a row failed" in str(error)
    assert "HTTP 500: Internal Server Error" in str(error)
    assert "requested again" in str(error)


def test_one_good_answer_between_failures_means_that_it_is_not() -> None:
    bad = [DOWN] * 2 * 6  # two attempts each
    missing = reply(b"", "404 Not Found")
    with (
        RawServer(always(*bad, missing, *bad, reply())) as server,
        make_client(server.base_url, max_failures_in_row=7) as client,
    ):
        answered, error = take_all(run(client, map(str, range(14))))
    assert (len(answered), error) == (14, None)


def test_batches_of_one_client_count_their_failures_together() -> None:
    with (
        RawServer(always(DOWN)) as server,
        make_client(server.base_url, max_failures_in_row=7) as client,
    ):
        first = take_all(run(client, ["a", "b", "c", "d"]))
        then = take_all(run(client, map(str, range(14))))
    assert first == (["a", "b", "c", "d"], None)
    assert (then[0], type(then[1])) == (["0", "1", "2"], GatewayDown)


def test_a_long_outage_needs_fewer_failures() -> None:
    with (
        RawServer(always(DOWN)) as server,
        make_client(server.base_url, max_downtime=0.0) as client,
    ):
        answered, error = take_all(run(client, map(str, range(50))))
    assert (len(answered), type(error)) == (FEWEST_FAILURES, GatewayDown)


def test_stop_ends_the_iteration_without_an_error_and_keeps_what_came() -> None:
    stop = threading.Event()

    def answer(head: str, connection: socket.socket) -> None:
        if "/3 " in head:
            stop.set()
        connection.sendall(reply())

    with RawServer(answer) as server, make_client(server.base_url) as client:
        answered, error = take_all(run(client, map(str, itertools.count()), stop=stop))
    assert (answered, error) == (["0", "1", "2", "3"], None)
    assert len(server.heads) == 4


def test_the_time_without_an_answer_is_the_callers_to_use() -> None:
    stop = threading.Event()
    with (
        RawServer(hang) as server,
        make_client(server.base_url, read_timeout=200.0, total_timeout=200.0) as client,
    ):
        hanging = run(client, ["a"], stop=stop, grace_seconds=0.0, on_idle=stop.set)
        assert take_all(hanging) == ([], None)


def test_stop_wakes_a_thread_that_waits_to_try_again() -> None:
    stop = threading.Event()

    def answer(_: str, connection: socket.socket) -> None:
        connection.sendall(reply(b"", "429 Slow down", "Retry-After: 200"))
        stop.set()

    started = time.monotonic()
    with RawServer(answer) as server, make_client(server.base_url) as client:
        assert take_all(run(client, ["a", "b"], stop=stop)) == ([], None)
    assert time.monotonic() - started < 60


def test_the_end_of_a_run_wakes_a_thread_that_waits_to_try_again() -> None:
    def answer(head: str, connection: socket.socket) -> None:
        if "/waits " in head:
            connection.sendall(reply(b"", "429 Slow down", "Retry-After: 200"))
            waits.set()
        else:
            waits.wait(60)
            connection.sendall(REFUSED)

    waits = threading.Event()
    started = time.monotonic()
    with RawServer(answer) as server, make_client(server.base_url) as client:
        answered, error = take_all(run(client, ["waits", "other"], threads=2, grace_seconds=200.0))
    assert (answered, type(error)) == ([], KeyRefused)
    assert time.monotonic() - started < 60


def test_nothing_is_asked_if_stop_was_set_before(sandbox: Sandbox) -> None:
    stop = threading.Event()
    stop.set()
    with make_client(sandbox.base_url) as client:
        assert list(run(client, ["a", "b"], threads=2, stop=stop)) == []
    assert sandbox.stats()["requests"] == 0


def test_an_end_of_one_fetch_does_not_set_the_callers_stop() -> None:
    stop = threading.Event()
    with RawServer(always(REFUSED)) as server, make_client(server.base_url) as client:
        take_all(run(client, ["a"], stop=stop))
    assert not stop.is_set()


def test_a_source_that_breaks_is_told_of_after_the_answers(sandbox: Sandbox) -> None:
    def task_ids() -> Iterator[str]:
        yield from ("a", "b")
        raise OSError("the disk is gone")

    with make_client(sandbox.base_url) as client:
        answered, error = take_all(run(client, task_ids()))
    assert (answered, str(error)) == (["a", "b"], "the disk is gone")


LEAVE = """
import sys, threading
from clients import make_client
from connector.gateway.fetch import fetch
client = make_client(sys.argv[1], read_timeout=300.0, total_timeout=300.0)
answers = fetch(["task_1", "bad-hang-1"], client, threads=2, stop=threading.Event())
print(next(answers).task_id)
sys.exit(7)
"""


def test_a_process_that_leaves_does_not_wait_for_the_threads(sandbox: Sandbox) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LEAVE, sandbox.base_url],
        cwd=Path(__file__).parent,
        stdout=subprocess.PIPE,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("task_1\n", 7)


def test_a_place_is_passed_on_at_the_end_of_a_fetch(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two fetches by many at once share the only place; neither looks for it itself."""
    for timer in ("throttle._LOOK_UP_SECONDS", "strays.SHORTEST"):
        monkeypatch.setattr(f"connector.gateway.pace.{timer}", 20.0)
    sandbox.change(latency=0.5)
    with make_client(sandbox.base_url, Throttle(1), ids_per_request=2) as client:
        asking = threading.Thread(target=lambda: list(run(client, ["task_0", "task_2"])))
        asking.start()
        wait_until(lambda: sandbox.stats()["in_flight"])
        started = time.monotonic()
        answers = list(run(client, ["task_1", "task_3"]))
        took = time.monotonic() - started
        asking.join()
    assert len(answers) == 2
    assert took < 10.0


def test_threads_start_as_they_are_needed(sandbox: Sandbox) -> None:
    with make_client(sandbox.base_url, Throttle(3)) as client:
        most = max(len(fetching_threads()) for _ in run(client, map(str, range(100)), threads=64))
    assert most <= 8  # one sends, and few open connections


def test_many_refusals_at_once_are_one_error(sandbox: Sandbox) -> None:
    with make_client(sandbox.base_url, key=SecretStr("luma-wrong-key-77")) as client:
        answered, error = take_all(run(client, map(str, range(100)), threads=8))
    assert (answered, type(error)) == ([], KeyRefused)
    assert sandbox.stats()["requests"] <= 8
