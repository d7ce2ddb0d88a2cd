"""Answers that are framed oddly: a good body is kept, and a broken answer is known at once."""

from __future__ import annotations

import gzip
import json
import threading
import time
import zlib
from typing import TYPE_CHECKING, Final

import pytest
from clients import make_client
from raw_server import RawServer

from connector.gateway.fetch import fetch
from connector.record.answer import Outcome

if TYPE_CHECKING:
    import socket

    from connector.record.answer import Answer


def generation(task_id: str) -> bytes:
    """A body that says whose it is."""
    return json.dumps({"id": task_id, "state": "completed", "prompt": "a pier"}).encode()


BODY: Final = generation("odd")
N: Final = len(BODY)
CHUNKED: Final = "Transfer-Encoding: chunked"


def answer(*lines: str, body: bytes = BODY, first: str = "HTTP/1.1 200 OK") -> bytes:
    """An answer with these lines for a head."""
    return "".join(f"{line}\r\n" for line in (first, *lines, "")).encode("latin-1") + body


def chunks(body: bytes = BODY, *, before: bytes = b"", after: bytes = b"") -> bytes:
    """A body in two chunks, with something around each size."""
    halves = body[: N // 2], body[N // 2 :]
    sized = [before + b"%x" % len(half) + after + b"\r\n" + half + b"\r\n" for half in halves]
    return b"".join(sized) + b"0\r\n\r\n"


def gzipped(body: bytes, coding: str = "gzip") -> bytes:
    """An answer with a compressed body."""
    return answer(f"Content-Length: {len(body)}", f"Content-Encoding: {coding}", body=body)


def raw_deflated(body: bytes) -> bytes:
    """Deflate without the frame that zlib puts around it."""
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflate.compress(body) + deflate.flush()


GZIP: Final = gzip.compress(BODY)
HINT: Final = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
LENGTH: Final = f"Content-Length: {N}"

GOOD: Final = {
    "the same length twice in one field": answer(f"Content-Length: {N}, {N}"),
    "the same length in two fields": answer(LENGTH, LENGTH),
    "a length with a sign": answer(f"Content-Length: +{N}"),
    "a length in hexadecimal": answer(f"Content-Length: 0x{N:x}"),
    "a negative length": answer("Content-Length: -1"),
    "a length of terabytes": answer(f"Content-Length: {10**30}"),
    "no length": answer("Connection: keep-alive"),
    "no length, compressed": answer("Content-Encoding: gzip", body=GZIP),
    "no length, HTTP/1.0": answer(first="HTTP/1.0 200 OK"),
    "a length beside chunks": answer("Content-Length: 3", CHUNKED, body=chunks()),
    "gzip, then chunks": answer("Transfer-Encoding: gzip, chunked", body=chunks(GZIP)),
    "chunks, then nothing": answer("Transfer-Encoding: chunked, identity", body=chunks()),
    "chunks named twice": answer("Transfer-Encoding: chunked, chunked", body=chunks()),
    "extensions": answer(CHUNKED, body=chunks(after=b' ;a="b;c"')),
    "sizes with zeros": answer(CHUNKED, body=chunks(before=b" 000000000000")),
    "chunks that end in LF": answer(CHUNKED, body=chunks().replace(b"\r\n", b"\n")),
    "trailers": answer(CHUNKED, body=chunks()[:-2] + b"X-A: 1\r\nX-B: 2\r\n\r\n"),
    "no line after the last chunk": answer(CHUNKED, body=chunks()[:-2]),
    "lines that end in LF": answer(LENGTH, body=b"").replace(b"\r\n", b"\n") + BODY,
    "a folded header": answer("X-A: one", "  two", "Content-Length:", f" {N}"),
    "a header of 100 kB": answer("X-A: " + "y" * 100_000, LENGTH),
    "a header without a colon": answer("X-A", LENGTH),
    "a blank before a colon": answer("X-A : 1", f"Content-Length : {N}"),
    "no reason": answer(LENGTH, first="HTTP/1.1 200"),
    "an empty line before it": b"\r\n" + answer(LENGTH),
    "30 early hints": HINT * 30 + answer(LENGTH),
    "an interim answer of no known kind": b"HTTP/1.1 199 Wait\r\n\r\n" + answer(LENGTH),
    "another answer behind it": answer(LENGTH) + answer(LENGTH, body=generation("no one's")),
    "gzip in gzip": gzipped(gzip.compress(GZIP), "gzip, gzip"),
    "gzip with zeros behind it": gzipped(GZIP + bytes(9)),
    "gzip with a line end behind it": gzipped(GZIP + b"\n"),
    "raw deflate": gzipped(raw_deflated(BODY), "deflate"),
    "brotli only by name": gzipped(BODY, "br"),
}
BROKEN: Final = {
    "differing lengths in one field": (answer(f"Content-Length: {N}, {N + 3}"), f"{N} and {N + 3}"),
    "differing lengths": (answer(f"Content-Length: {N - 3}", LENGTH), f"{N - 3} and {N}"),
    "an unknown coding": (answer("Transfer-Encoding: xchunked"), "'xchunked' is unknown"),
    "no chunks": (answer(CHUNKED), "for the size of a chunk"),
    "a chunk of exabytes": (answer(CHUNKED, body=b"f" * 16 + b"\r\n{"), "the size of a chunk"),
    "a chunk that is longer": (answer(CHUNKED, body=b"3\r\n" + BODY), "longer than it says"),
    "no head": (BODY, """it begins with '{"id": """),
    "HTTP/2": (answer(LENGTH, first="HTTP/2 200"), "it begins with 'HTTP/2 200'"),
    "lines that end in CR": (answer(LENGTH).replace(b"\r\n", b"\r"), "begins with 'HTTP/1.1 "),
    "hints without end": (HINT * 101, "more than 100 interim answers"),
    "headers without end": (answer("X: 1\r\n" * 30_000, LENGTH), "exceed 131,072 bytes"),
    "brotli": (gzipped(b"\x8b\x1d\x80", "br"), "compressed by br, which was not asked for"),
    "gzip with a wrong sum": (gzipped(GZIP[:-8] + bytes(8)), "incorrect data check"),
}


def ask_between(odd: bytes, size: int | None = None) -> tuple[Answer, float]:
    """Get an answer among good ones; return it, and its seconds.

    Args:
        odd: Sent for the task `odd`.
        size: Of the pieces in which it is sent.
    """

    def give(head: str, connection: socket.socket) -> None:
        task_id = head.split(" ")[1].rpartition("/")[2]
        if task_id != "odd":
            body = generation(task_id)
            connection.sendall(answer(f"Content-Length: {len(body)}", body=body))
            return
        for start in range(0, len(odd), size or len(odd)):
            connection.sendall(odd[start : start + (size or len(odd))])
            time.sleep(0.001 if size else 0)

    names = ["one", "odd", "two", "six"]
    with RawServer(give) as server, make_client(server.base_url, read_timeout=60.0) as client:
        started = time.monotonic()
        found = {
            one.task_id: one for one in fetch(names, client, threads=1, stop=threading.Event())
        }
        seconds = time.monotonic() - started
    for name in names:
        if name != "odd":
            assert found[name].body == generation(name)
    return found["odd"], seconds


@pytest.mark.parametrize("kind", GOOD)
def test_a_good_body_is_kept_whatever_is_odd_around_it(kind: str) -> None:
    found, seconds = ask_between(GOOD[kind])
    assert (found.outcome, found.body, found.attempts) == (Outcome.GENERATION, BODY, 1)
    assert seconds < 5


@pytest.mark.parametrize("kind", [kind for kind in GOOD if len(GOOD[kind]) < 9_000])
def test_the_same_if_it_arrives_in_pieces(kind: str) -> None:
    found, _ = ask_between(GOOD[kind], 7)
    assert (found.outcome, found.body) == (Outcome.GENERATION, BODY)


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_answer_is_known_at_once_and_asked_for_again(kind: str) -> None:
    odd, reason = BROKEN[kind]
    found, seconds = ask_between(odd)
    assert (found.outcome, found.attempts) == (Outcome.NETWORK, 2)
    assert reason in (found.message or "")
    assert seconds < 5


def test_a_body_that_stops_within_its_json_is_waited_for() -> None:
    def give(_: str, connection: socket.socket) -> None:
        connection.sendall(answer(body=BODY[:20]))
        time.sleep(0.3)
        connection.sendall(BODY[20:])

    with RawServer(give) as server, make_client(server.base_url) as client:
        found = client.fetch("odd", threading.Event())
    assert found is not None
    assert (found.outcome, found.body) == (Outcome.GENERATION, BODY)
