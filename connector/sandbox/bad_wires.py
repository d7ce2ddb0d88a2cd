"""Answers that break HTTP or its limits: cut, dripping, endless, malformed."""

from __future__ import annotations

import math
from itertools import repeat
from typing import TYPE_CHECKING

from connector.sandbox.bad_bodies import LARGE_BYTES, padding
from connector.sandbox.kinds import Case, either, good, wire
from connector.sandbox.replies import JSON, End, Pause, Reply, chunk, head

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connector.sandbox.replies import Step

HEADER_COUNT = 10_000
HEADER_LINE_BYTES = 1 << 20

_FOREVER = Pause(math.inf)
_CHUNKED = head(200, (*JSON, ("Transfer-Encoding", "chunked")))
_SLICE = 64 * 1024
_BREATH = Pause(0.001)  # endless answers must leave time for other connections


def _head(case: Case, more: int = 0) -> bytes:
    """A head that announces the body, or this many bytes more."""
    return head(200, (*JSON, ("Content-Length", str(len(case.body) + more))))


def _whole(case: Case) -> bytes:
    return Reply(200, case.body).encode()


def _drip(case: Case) -> Iterator[Step]:
    yield _head(case)
    for byte in case.body:
        yield bytes((byte,))
        yield Pause(case.settings.drip_seconds)


def _drip_head(case: Case) -> Iterator[Step]:
    yield b"HTTP/1.1 200 OK\r\n"
    for number in range(HEADER_COUNT):
        yield b"X-Wait-%d: a little\r\n" % number
        yield Pause(case.settings.drip_seconds)


def _endless(start: bytes, piece: bytes) -> Iterator[Step]:
    yield start
    for blanks in repeat(piece):
        yield blanks
        yield _BREATH


def _chunked(case: Case) -> Iterator[Step]:
    half = len(case.body) // 2
    yield _CHUNKED
    yield chunk(case.body[:half]) + chunk(case.body[half:])
    yield chunk(b"")


def _chunked_too_large(case: Case) -> Iterator[Step]:
    yield _CHUNKED
    for _ in range(LARGE_BYTES // _SLICE):
        yield chunk(padding(_SLICE))
    yield chunk(case.body) + chunk(b"")


def _reset_in_body(case: Case) -> Iterator[Step]:
    yield _head(case)
    yield case.body[:100]
    # Without a pause the client's kernel may drop bytes that arrive together with the reset.
    yield Pause(0.05)
    yield End.RESET


def _header_flood(case: Case) -> Iterator[Step]:
    flood = tuple((f"X-Header-{number}", "value") for number in range(HEADER_COUNT))
    yield Reply(200, case.body, (*JSON, *flood)).encode()


def _header_line(case: Case) -> Iterator[Step]:
    yield Reply(200, case.body, (*JSON, ("X-Long", "x" * HEADER_LINE_BYTES))).encode()


def _length_nonsense(case: Case) -> Iterator[Step]:
    yield head(200, (*JSON, ("Content-Length", "a lot"))) + case.body
    yield End.CLOSE


def _until_close(case: Case) -> Iterator[Step]:
    yield head(200, (*JSON, ("Connection", "close"))) + case.body
    yield End.CLOSE


def _http_1_0(case: Case) -> Iterator[Step]:
    yield _head(case).replace(b"HTTP/1.1", b"HTTP/1.0") + case.body
    yield End.CLOSE


FAILURES = (
    wire("hang", "never answers", lambda _: (_FOREVER,), status=None, ends=False),
    wire(
        "hang-in-body",
        "stops mid-body, connection open",
        lambda case: (_head(case), case.body[:100], _FOREVER),
        ends=False,
    ),
    wire("drip", "a byte every `drip_seconds`", _drip, ends=False),
    wire("drip-head", "a header every `drip_seconds`", _drip_head, ends=False),
    wire(
        "endless-chunked",
        "endless chunks",
        lambda _: _endless(_CHUNKED, chunk(padding(_SLICE))),
        ends=False,
    ),
    wire(
        "endless-plain",
        "an endless body without a length",
        lambda _: _endless(head(200, JSON), padding(_SLICE)),
        ends=False,
    ),
    wire(
        "chunked-broken",
        "a chunk size that is not a number",
        lambda case: (_CHUNKED, b"a few\r\n" + case.body, End.CLOSE),
    ),
    wire(
        "chunked-cut",
        "closed before the last chunk",
        lambda case: (_CHUNKED, chunk(case.body), End.CLOSE),
    ),
    wire(
        "cut",
        "closed mid-body",
        lambda case: (_head(case), case.body[: len(case.body) // 2], End.CLOSE),
    ),
    wire(
        "cut-in-head", "closed mid-header", lambda _: (b"HTTP/1.1 200 OK\r\nContent-Ty", End.CLOSE)
    ),
    wire("closed", "closed without an answer", lambda _: (End.CLOSE,), status=None),
    wire("reset", "reset without an answer", lambda _: (End.RESET,), status=None),
    wire("reset-in-body", "reset mid-body", _reset_in_body),
    wire(
        "no-status-line",
        "not HTTP",
        lambda _: (b"\x16\x03\x01 this is no HTTP\r\n\r\n", End.CLOSE),
        status=None,
    ),
    wire(
        "wrong-content-length-short",
        "10 bytes more than Content-Length, left for the next answer",
        lambda case: (_head(case, -10) + case.body,),
    ),
    wire(
        "wrong-content-length-long",
        "10 bytes fewer than Content-Length",
        lambda case: (_head(case, 10) + case.body, _FOREVER),
        ends=False,
    ),
)

UNUSUAL = either(
    wire(
        "slow",
        "a good generation after `slow_seconds`",
        lambda case: (Pause(case.settings.slow_seconds), _whole(case)),
    ),
    wire("too-large-chunked", "8 MiB in chunks", _chunked_too_large),
    wire("content-length-nonsense", "not a number", _length_nonsense),
    wire("header-flood", "10,000 headers", _header_flood),
    wire("header-line", "a header of 1 MiB", _header_line),
)

GENERATIONS = good(
    wire("chunked-ok", "a good generation in chunks", _chunked),
    wire("until-close", "a good generation, no length, closed", _until_close),
    wire("http-1.0", "a good generation in HTTP/1.0", _http_1_0),
    wire(
        "closes-after",
        "a good generation, then closed without warning",
        lambda case: (_whole(case), End.CLOSE),
    ),
    wire(
        "continue-first",
        "a good generation after 100",
        lambda case: (b"HTTP/1.1 100 Continue\r\n\r\n" + _whole(case),),
    ),
)

KINDS = (*FAILURES, *UNUSUAL, *GENERATIONS)
