"""What the client makes of a gateway's answers, good and bad, over real sockets."""

from __future__ import annotations

import logging
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pytest
from clients import OpenThrottle, ask, make_client
from conftest import DOCUMENTED_ID, KEY
from pydantic import SecretStr
from raw_server import GENERATION, RawServer, always, reply

from connector.errors import KeyRefused, SettingsError, WaitTooLong
from connector.gateway.pace.announced import Announced
from connector.gateway.redact import Redactor
from connector.record.answer import Outcome
from connector.sandbox import KINDS

if TYPE_CHECKING:
    import socket

    from connector.sandbox import Sandbox

REJECTS = {
    "not-found": (Outcome.NOT_FOUND, 404),
    "not-found-400": (Outcome.NOT_FOUND, 400),
    "not-found-html": (Outcome.NOT_FOUND, 404),
    "gone": (Outcome.NOT_FOUND, 410),
    "forbidden": (Outcome.FORBIDDEN, 403),
    "bad-request": (Outcome.BAD_REQUEST, 422),
    "bad-request-400": (Outcome.BAD_REQUEST, 400),
    "html-200": (Outcome.NOT_JSON, 200),
    "empty-200": (Outcome.NOT_JSON, 200),
    "no-content": (Outcome.NOT_READY, 204),
    "truncated-json": (Outcome.NOT_JSON, 200),
    "not-modified": (Outcome.NOT_A_GENERATION, 304),
    "odd-status": (Outcome.NOT_A_GENERATION, 799),
    "redirect-nowhere": (Outcome.NOT_A_GENERATION, 302),
    "redirect-other-host": (Outcome.REDIRECTED, 302),
    "redirect-loop": (Outcome.REDIRECTED, 302),
    "redirect-nonsense": (Outcome.REDIRECTED, 302),
    "too-large": (Outcome.TOO_LARGE, 200),
    "too-large-chunked": (Outcome.TOO_LARGE, 200),
    "endless-chunked": (Outcome.TOO_LARGE, 200),
    "endless-plain": (Outcome.TOO_LARGE, 200),
    "gzip-bomb": (Outcome.TOO_LARGE, 200),
}
GIVEN_UP = {
    "rate-limited-bare": (Outcome.RATE_LIMITED, 429),
    "rate-limited-nonsense": (Outcome.RATE_LIMITED, 429),
    "rate-limited-negative": (Outcome.RATE_LIMITED, 429),
    "server-error": (Outcome.SERVER_ERROR, 500),
    "code-null-200": (Outcome.SERVER_ERROR, 200),
    "bad-gateway": (Outcome.SERVER_ERROR, 502),
    "unavailable": (Outcome.SERVER_ERROR, 503),
    "gateway-timeout": (Outcome.SERVER_ERROR, 504),
    "request-timeout": (Outcome.TIMEOUT, 408),
    "hang": (Outcome.TIMEOUT, None),
    "hang-in-body": (Outcome.TIMEOUT, 200),
    "wrong-content-length-long": (Outcome.TIMEOUT, 200),
    "drip": (Outcome.TIMEOUT, 200),
    "drip-head": (Outcome.TIMEOUT, None),
    "closed": (Outcome.NETWORK, None),
    "reset": (Outcome.NETWORK, None),
    "reset-in-body": (Outcome.NETWORK, 200),
    "cut": (Outcome.NETWORK, 200),
    "cut-in-head": (Outcome.NETWORK, 200),
    "chunked-cut": (Outcome.NETWORK, 200),
    "chunked-broken": (Outcome.NETWORK, 200),
    "no-status-line": (Outcome.NETWORK, None),
    "header-flood": (Outcome.NETWORK, None),
    "header-line": (Outcome.NETWORK, None),
    "gzip-broken": (Outcome.NETWORK, 200),
    "gzip-truncated": (Outcome.NETWORK, 200),
    "gzip-declared": (Outcome.NETWORK, 200),
}
STOPS_OR_WAITS = {"unauthorized", "rate-limited", "rate-limited-date", "rate-limited-forever"}


def patience_with(kind: str) -> dict[str, float]:
    """Short timeouts for what never ends by itself, long ones for a busy machine."""
    return {} if KINDS[kind].ends else {"read_timeout": 0.3, "total_timeout": 0.4}


def test_an_answer_says_what_came_and_what_it_took(sandbox: Sandbox) -> None:
    moments = iter([100.0, 100.25, 100.5, 100.5, 100.75])
    answer = ask(
        sandbox.base_url,
        DOCUMENTED_ID,
        clock=lambda: next(moments),
        now=lambda: datetime(2025, 1, 2, tzinfo=UTC),
    )
    assert (answer.task_id, answer.outcome) == (DOCUMENTED_ID, Outcome.GENERATION)
    assert (answer.http_status, answer.attempts, answer.message) == (200, 1, None)
    assert answer.elapsed_seconds == 0.75
    assert answer.fetched_at == datetime(2025, 1, 2, tzinfo=UTC)
    assert answer.body is not None
    assert b"lit_lite_inference_v1.6-xl" in answer.body


@pytest.mark.parametrize("kind", REJECTS)
def test_what_cannot_get_better_is_rejected_at_once(sandbox: Sandbox, kind: str) -> None:
    answer = ask(sandbox.base_url, f"bad-{kind}-1")
    assert (answer.outcome, answer.http_status, answer.attempts) == (*REJECTS[kind], 1)
    assert answer.message


@pytest.mark.parametrize("kind", GIVEN_UP)
def test_what_may_get_better_is_tried_again(sandbox: Sandbox, kind: str) -> None:
    answer = ask(sandbox.base_url, f"bad-{kind}-1", **patience_with(kind))
    assert (answer.outcome, answer.http_status, answer.attempts) == (*GIVEN_UP[kind], 2)
    assert answer.message


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - STOPS_OR_WAITS))
def test_a_generation_is_seen_where_there_is_one_and_only_there(
    sandbox: Sandbox, kind: str
) -> None:
    answer = ask(sandbox.base_url, f"bad-{kind}-1", max_attempts=1, **patience_with(kind))
    is_generation = KINDS[kind].is_generation
    assert is_generation in (None, answer.outcome is Outcome.GENERATION)


def test_the_next_attempt_may_bring_it() -> None:
    answers = always(reply(b"", "503 Busy"), b"", reply(b"", "429 Slow down"), reply())
    throttle = OpenThrottle()
    with RawServer(answers) as server:
        answer = ask(server.base_url, throttle=throttle, max_attempts=5, read_timeout=1.0)
    assert (answer.outcome, answer.attempts, answer.http_status) == (Outcome.GENERATION, 4, 200)
    assert [s.kind for s in throttle.samples] == ["refused", "failed", "refused", "good"]


def test_the_status_is_that_of_the_last_attempt_that_had_one() -> None:
    with RawServer(always(reply(b"", "502 Bad Gateway"), b"garbage\r\n")) as server:
        answer = ask(server.base_url)
    assert (answer.outcome, answer.http_status) == (Outcome.NETWORK, 502)


def test_retry_after_is_waited_for_and_told_to_the_throttle() -> None:
    came: list[float] = []

    def answer(_: str, connection: socket.socket) -> None:
        came.append(time.monotonic())
        refusal = reply(b"", "429 Slow down", "Retry-After: 0.15")
        connection.sendall(refusal if len(came) == 1 else reply())

    throttle = OpenThrottle()
    with RawServer(answer) as server:
        ask(server.base_url, throttle=throttle, draw=lambda: 0.0)
    assert came[1] - came[0] >= 0.15
    assert [sample.retry_after for sample in throttle.samples] == [0.15, None]


def test_what_an_answer_says_of_the_gateway_is_for_all_requests() -> None:
    """A 503 stops all; an announced limit concerns all, whatever the answer."""
    answers = always(
        reply(b"", "503 Busy", "Retry-After: 0.1"),
        reply(b"", "429 Slow down", "RateLimit: limit=50, remaining=0, reset=1"),
        reply(GENERATION, "200 OK", 'RateLimit: "default";r=9;t=5'),
    )
    throttle = OpenThrottle()
    with RawServer(answers) as server:
        ask(server.base_url, throttle=throttle, draw=lambda: 0.0, max_attempts=3)
    assert [(s.is_out, s.announced) for s in throttle.samples] == [
        (True, None),
        (False, Announced(None, 0, 1)),
        (False, Announced(None, 9, 5)),
    ]


def test_a_wait_longer_than_the_run_may_take_stops_it_and_says_when_to_come_back() -> None:
    now = datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)
    refusal = reply(b"", "503 Down", "Retry-After: Thu, 02 Jan 2025 04:04:05 GMT")
    with (
        RawServer(always(refusal)) as server,
        pytest.raises(WaitTooLong, match=r"3,600 s .* 300 s .*after 2025-01-02 04:04:05 UTC"),
    ):
        ask(server.base_url, now=lambda: now, max_wait=300.0)


def test_a_refused_key_stops_the_run_and_says_what_to_set(sandbox: Sandbox) -> None:
    with pytest.raises(KeyRefused, match=r"401: Not authenticated.*LUMAAI_API_KEY") as caught:
        ask(sandbox.base_url, key=SecretStr("luma-wrong-key-77"))
    assert sandbox.base_url in str(caught.value)
    assert "luma-wrong-key-77" not in str(caught.value)


def test_an_echoed_key_is_in_no_answer_no_error_and_no_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def echo(head: str, connection: socket.socket) -> None:
        status = unquote(head.split(" ")[1]).rpartition("/")[2]
        echoed = f'{{"id":"x","message":"no access for Bearer {KEY}"}}'.encode()
        connection.sendall(reply(echoed, status, f"X-Key: {KEY}", f"Location: //{KEY}.example/"))

    caplog.set_level(logging.DEBUG)
    with RawServer(echo) as server:
        statuses = ("200 OK", "403 No", "500 Oops", "302 Found", "429 Slow")
        answers = [ask(server.base_url, status) for status in statuses]
        with pytest.raises(KeyRefused) as refused:
            ask(server.base_url, "401 No")
    assert server.headers("Authorization")[0] == f"Bearer {KEY}"  # the test works
    assert KEY not in f"{answers} {refused.value} {caplog.text}"
    assert answers[0].body is not None
    assert b"no access for Bearer [key]" in answers[0].body


def test_an_untidy_message_becomes_one_short_line() -> None:
    message = Redactor("secret").message("two\r\nlines,\x1b[31m red \u202e secret " + "x" * 999)
    assert message.startswith("two lines, [31m red [key] xxx")
    assert len(message) == 500


@pytest.mark.parametrize("status", ["200 OK", "500 Oops"])
def test_only_the_start_of_a_body_that_is_too_large_is_kept(status: str) -> None:
    with RawServer(always(reply(b"x" * 10_001, status))) as server:
        answer = ask(server.base_url, max_body_bytes=10_000)
    assert answer.body == b"x" * 4096


def test_a_body_of_just_the_limit_is_not_too_large() -> None:
    with RawServer(always(reply(GENERATION))) as server:
        answer = ask(server.base_url, max_body_bytes=len(GENERATION))
    assert (answer.outcome, answer.body) == (Outcome.GENERATION, GENERATION)


def test_json_cut_by_a_close_where_no_length_tells_is_a_broken_answer() -> None:
    def cut(_: str, connection: socket.socket) -> None:
        connection.sendall(b'HTTP/1.1 200 OK\r\n\r\n{"id":"x","sta')
        connection.close()

    with RawServer(cut) as server:
        assert ask(server.base_url).outcome is Outcome.NETWORK


def test_stop_ends_a_wait_at_once_and_the_id_counts_as_not_reached() -> None:
    stop = threading.Event()

    def refuse(_: str, connection: socket.socket) -> None:
        connection.sendall(reply(b"", "503 Busy", "Retry-After: 200"))
        stop.set()

    started = time.monotonic()
    with RawServer(refuse) as server, make_client(server.base_url) as client:
        assert client.fetch("a", stop) is None
    assert time.monotonic() - started < 60


def test_after_a_long_outage_nothing_is_tried_twice_until_something_good_comes() -> None:
    seconds = 0.0
    down = reply(b"", "500 Down")
    with (
        RawServer(always(down, down, down, reply(), down, down)) as server,
        make_client(server.base_url, clock=lambda: seconds, max_outage=60.0) as client,
    ):

        def attempts() -> int:
            answer = client.fetch("a", threading.Event())
            assert answer is not None
            return answer.attempts

        assert attempts() == 2
        seconds = 61.0
        assert attempts() == 1
        assert attempts() == 1  # a good one
        assert attempts() == 2


def test_a_gateway_that_cannot_be_reached_is_told_of_at_the_first_attempt(
    caplog: pytest.LogCaptureFixture,
) -> None:
    answer = ask("http://no-such-host.invalid")
    assert (answer.outcome, answer.attempts) == (Outcome.NETWORK, 2)
    assert answer.message is not None
    assert "no-such-host.invalid has no address" in answer.message
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [record.getMessage() for record in warnings] == [answer.message]


def test_a_port_where_nobody_listens_is_a_network_error_that_names_it() -> None:
    with RawServer(always(reply())) as server:
        pass
    answer = ask(server.base_url)
    assert answer.outcome is Outcome.NETWORK
    assert answer.message is not None
    assert f"cannot connect to {server.address} (Connection refused)" in answer.message


@pytest.mark.parametrize(
    "base_url",
    [
        "",
        "api.lumalabs.ai",
        "ftp://gw.example",
        "http://",
        "http://[::nowhere",
        "http://gw.example:port",
        "http://user:password@gw.example",
        "http://gw.example/?key=1",
    ],
)
def test_a_base_url_that_cannot_be_one_is_refused_without_showing_it(base_url: str) -> None:
    with pytest.raises(SettingsError, match="such as https://") as caught:
        make_client(base_url)
    assert "password" not in str(caught.value)


@pytest.mark.parametrize("key", ["", "short-1", "two words", "line-break\n", "kéy-of-letters"])
def test_a_key_that_cannot_be_one_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(SettingsError, match="LUMAAI_API_KEY") as caught:
        make_client("http://gw.example", key=SecretStr(key))
    assert not key or key not in str(caught.value)
