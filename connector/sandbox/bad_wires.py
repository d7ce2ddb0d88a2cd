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
_CHUNKED = (*JSON, ("Transfer-Encoding", "chunked"))
_SLICE = 64 * 1024
_BREATH = Pause(0.001)  # endless answers must leave time for other connections


def _length(size: int) -> tuple[tuple[str, str], ...]:
    return (*JSON, ("Content-Length", str(size)))


def _hang(_: Case) -> Iterator[Step]:
    yield _FOREVER


def _hang_in_body(case: Case) -> Iterator[Step]:
    yield head(200, _length(len(case.body)))
    yield case.body[:100]
    yield _FOREVER


def _slow(case: Case) -> Iterator[Step]:
    yield Pause(case.settings.slow_seconds)
    yield Reply(200, case.body).encode()


def _drip(case: Case) -> Iterator[Step]:
    yield head(200, _length(len(case.body)))
    for byte in case.body:
        yield bytes((byte,))
        yield Pause(case.settings.drip_seconds)


def _drip_head(case: Case) -> Iterator[Step]:
    yield b"HTTP/1.1 200 OK\r\n"
    for number in range(HEADER_COUNT):
        yield b"X-Wait-%d: a little\r\n" % number
        yield Pause(case.settings.drip_seconds)


def _endless_chunked(_: Case) -> Iterator[Step]:
    yield head(200, _CHUNKED)
    for blanks in repeat(chunk(padding(_SLICE))):
        yield blanks
        yield _BREATH


def _endless_plain(_: Case) -> Iterator[Step]:
    yield head(200, JSON)
    for blanks in repeat(padding(_SLICE)):
        yield blanks
        yield _BREATH


def _chunked(case: Case) -> Iterator[Step]:
    yield head(200, _CHUNKED)
    half = len(case.body) // 2
    yield chunk(case.body[:half]) + chunk(case.body[half:])
    yield chunk(b"")


def _chunked_too_large(case: Case) -> Iterator[Step]:
    yield head(200, _CHUNKED)
    for _ in range(LARGE_BYTES // _SLICE):
        yield chunk(padding(_SLICE))
    yield chunk(case.body) + chunk(b"")


def _chunked_broken(case: Case) -> Iterator[Step]:
    yield head(200, _CHUNKED)
    yield b"a few\r\n" + case.body
    yield End.CLOSE


def _chunked_cut(case: Case) -> Iterator[Step]:
    yield head(200, _CHUNKED)
    yield chunk(case.body)
    yield End.CLOSE


def _cut(case: Case) -> Iterator[Step]:
    yield head(200, _length(len(case.body)))
    yield case.body[: len(case.body) // 2]
    yield End.CLOSE


def _cut_in_head(_: Case) -> Iterator[Step]:
    yield b"HTTP/1.1 200 OK\r\nContent-Ty"
    yield End.CLOSE


def _closed(_: Case) -> Iterator[Step]:
    yield End.CLOSE


def _reset(_: Case) -> Iterator[Step]:
    yield End.RESET


def _reset_in_body(case: Case) -> Iterator[Step]:
    yield head(200, _length(len(case.body)))
    yield case.body[:100]
    # Without a pause the client's kernel may drop bytes that arrive together with the reset.
    yield Pause(0.05)
    yield End.RESET


def _no_status_line(_: Case) -> Iterator[Step]:
    yield b"\x16\x03\x01 this is no HTTP\r\n\r\n"
    yield End.CLOSE


def _length_too_short(case: Case) -> Iterator[Step]:
    yield head(200, _length(len(case.body) - 10)) + case.body


def _length_too_long(case: Case) -> Iterator[Step]:
    yield head(200, _length(len(case.body) + 10)) + case.body
    yield _FOREVER


def _length_nonsense(case: Case) -> Iterator[Step]:
    yield head(200, (*JSON, ("Content-Length", "a lot"))) + case.body
    yield End.CLOSE


def _until_close(case: Case) -> Iterator[Step]:
    yield head(200, (*JSON, ("Connection", "close"))) + case.body
    yield End.CLOSE


def _http_1_0(case: Case) -> Iterator[Step]:
    yield head(200, _length(len(case.body))).replace(b"HTTP/1.1", b"HTTP/1.0") + case.body
    yield End.CLOSE


def _closes_after(case: Case) -> Iterator[Step]:
    yield Reply(200, case.body).encode()
    yield End.CLOSE


def _informed_first(case: Case) -> Iterator[Step]:
    yield b"HTTP/1.1 100 Continue\r\n\r\n" + Reply(200, case.body).encode()


def _header_flood(case: Case) -> Iterator[Step]:
    flood = tuple((f"X-Header-{number}", "value") for number in range(HEADER_COUNT))
    yield Reply(200, case.body, (*JSON, *flood)).encode()


def _header_line(case: Case) -> Iterator[Step]:
    yield Reply(200, case.body, (*JSON, ("X-Long", "x" * HEADER_LINE_BYTES))).encode()


FAILURES = (
    wire("hang", "never answers", _hang, status=None, ends=False),
    wire("hang-in-body", "stops mid-body, connection open", _hang_in_body, ends=False),
    wire("drip", "a byte every `drip_seconds`", _drip, ends=False),
    wire("drip-head", "a header every `drip_seconds`", _drip_head, ends=False),
    wire("endless-chunked", "endless chunks", _endless_chunked, ends=False),
    wire("endless-plain", "an endless body without a length", _endless_plain, ends=False),
    wire("chunked-broken", "a chunk size that is not a number", _chunked_broken),
    wire("chunked-cut", "closed before the last chunk", _chunked_cut),
    wire("cut", "closed mid-body", _cut),
    wire("cut-in-head", "closed mid-header", _cut_in_head),
    wire("closed", "closed without an answer", _closed, status=None),
    wire("reset", "reset without an answer", _reset, status=None),
    wire("reset-in-body", "reset mid-body", _reset_in_body),
    wire("no-status-line", "not HTTP", _no_status_line, status=None),
    wire(
        "wrong-content-length-short",
        "10 bytes more than Content-Length, left for the next answer",
        _length_too_short,
    ),
    wire(
        "wrong-content-length-long",
        "10 bytes fewer than Content-Length",
        _length_too_long,
        ends=False,
    ),
)

UNUSUAL = either(
    wire("slow", "a good generation after `slow_seconds`", _slow),
    wire("too-large-chunked", "8 MiB in chunks", _chunked_too_large),
    wire("content-length-nonsense", "not a number", _length_nonsense),
    wire("header-flood", "10,000 headers", _header_flood),
    wire("header-line", "a header of 1 MiB", _header_line),
)

GENERATIONS = good(
    wire("chunked-ok", "a good generation in chunks", _chunked),
    wire("until-close", "a good generation, no length, closed", _until_close),
    wire("http-1.0", "a good generation in HTTP/1.0", _http_1_0),
    wire("closes-after", "a good generation, then closed without warning", _closes_after),
    wire("continue-first", "a good generation after 100", _informed_first),
)

KINDS = (*FAILURES, *UNUSUAL, *GENERATIONS)
