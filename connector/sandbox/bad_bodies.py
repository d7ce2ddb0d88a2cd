"""Answers with status 200 whose body is not a generation, or barely one."""

from __future__ import annotations

import gzip
import zlib
from functools import cache

from connector.sandbox.kinds import Case, Group, Kind, body, either, fixed, good
from connector.sandbox.replies import (
    HTML,
    JSON,
    Reply,
    coded_reply,
    encode_json,
    html_reply,
    json_reply,
)

MIB = 1 << 20
LARGE_BYTES = 8 * MIB
BOMB_BYTES = 1024 * MIB
DEPTH = 100_000
HUGE_PROMPT_BYTES = 5_000_000

_GZIP = (*JSON, ("Content-Encoding", "gzip"))


@cache
def padding(size: int) -> bytes:
    """Blanks, which JSON allows between tokens."""
    return b" " * size


@cache
def bomb() -> bytes:
    """About 1 MiB of gzip that expands to 1 GiB of blanks.

    A gzip file may have several members, so one of 1 MiB is repeated.
    """
    return gzip.compress(padding(MIB), mtime=0) * (BOMB_BYTES // MIB)


@cache
def bomb_twice() -> bytes:
    """A few KiB that expand to `bomb()`."""
    return gzip.compress(bomb(), mtime=0)


@cache
def _deep() -> bytes:
    return b"[" * DEPTH + b"]" * DEPTH


@cache
def _huge_prompt() -> bytes:
    return b'"' + b"a" * HUGE_PROMPT_BYTES + b'"'


def _damaged_gzip(case: Case) -> bytes:
    data = bytearray(gzip.compress(case.body, mtime=0))
    middle = len(data) // 2
    data[middle : middle + 8] = b"\xff" * 8
    return bytes(data)


def _answer(name: str, about: str, reply: Reply) -> Kind:
    return fixed(Group.BODY, name, about, reply)


def _gzipped(case: Case) -> bytes:
    return gzip.compress(case.body, mtime=0)


NO_GENERATIONS = (
    _answer("html-200", "a web interface's page", html_reply(200, "AI Gateway")),
    _answer("empty-200", "nothing", Reply(200)),
    _answer("blank-200", "a line break", Reply(200, b"\n")),
    _answer(
        "code-null-200", "an error in an envelope", coded_reply(200, "error", "upstream error")
    ),
    _answer(
        "success-false-200",
        "an error of another shape",
        json_reply(200, {"success": False, "message": "task not found"}),
    ),
    _answer("null-200", "null", json_reply(200, None)),
    _answer("object-200", "an empty object", json_reply(200, {})),
    _answer("string-200", "a string", json_reply(200, "completed")),
    _answer("number-200", "a number", json_reply(200, 42)),
)

DAMAGED = (
    body("truncated-json", "its first half", lambda c: c.body[: len(c.body) // 2]),
    body("trailing-text", "followed by other text", lambda c: c.body + b" <!-- cached -->"),
    body("not-utf8", "invalid UTF-8", lambda c: c.body_with("prompt", b'"\xff\xfe\xc3"')),
    body("gzip-broken", "damaged gzip", _damaged_gzip, _GZIP),
    body("gzip-truncated", "the first half of gzip", lambda c: _gzipped(c)[:100], _GZIP),
    body("gzip-undeclared", "gzip without Content-Encoding", _gzipped),
    body("gzip-declared", "Content-Encoding gzip, but plain", lambda c: c.body, _GZIP),
    body(
        "gzip-bomb",
        "1 MiB of gzip, 1 GiB of blanks and a good generation",
        lambda c: bomb() + _gzipped(c),
        _GZIP,
    ),
    body(
        "gzip-bomb-twice",
        "a few KiB of gzip in gzip, 1 GiB",
        lambda _: bomb_twice(),
        (*JSON, ("Content-Encoding", "gzip, gzip")),
    ),
)

UNUSUAL = either(
    body("array-200", "the generation in an array", lambda c: encode_json([c.generation])),
    body(
        "latin1-body",
        "a prompt in ISO 8859-1",
        lambda c: c.body_with("prompt", '"café"'.encode("latin-1")),
        (("Content-Type", "application/json; charset=iso-8859-1"),),
    ),
    body("utf8-bom", "a byte order mark first", lambda c: b"\xef\xbb\xbf" + c.body),
    body("utf16-body", "in UTF-16", lambda c: c.body.decode().encode("utf-16")),
    body("nan", "NaN, which is not JSON", lambda c: c.body_with("liked", b"NaN")),
    body(
        "lone-surrogate",
        "half of a surrogate pair in the prompt",
        lambda c: c.body_with("prompt", rb'"half \ud83d of a pair"'),
    ),
    body(
        "many-digits",
        "a number of 5,000 digits",
        lambda c: c.body_with("estimate_wait_seconds", b"7" * 5000),
    ),
    body("deep-nesting", "100,000 arrays deep", lambda c: c.body_with("queue_state", _deep())),
    body(
        "duplicate-keys",
        "`state` twice, with two values",
        lambda c: b'{"state":"pending",' + c.body[1:],
    ),
    body(
        "unknown-encoding",
        "an unknown Content-Encoding",
        lambda c: c.body,
        (*JSON, ("Content-Encoding", "x-unheard-of")),
    ),
    body("too-large", "8 MiB of JSON", lambda c: padding(LARGE_BYTES) + c.body),
    body(
        "huge-prompt",
        "a prompt of 5,000,000 characters",
        lambda c: c.body_with("prompt", _huge_prompt()),
    ),
    body(
        "envelope-twice",
        "an envelope in an envelope",
        lambda c: encode_json({"code": "success", "data": {"code": 0, "data": c.generation}}),
    ),
    body(
        "envelope-text",
        "an envelope whose `data` is JSON as a string",
        lambda c: encode_json({"code": "success", "data": c.body.decode()}),
    ),
)

GENERATIONS = good(
    body("gzip-ok", "a good generation in gzip", _gzipped, _GZIP),
    body(
        "deflate-ok",
        "a good generation in deflate",
        lambda c: zlib.compress(c.body),
        (*JSON, ("Content-Encoding", "deflate")),
    ),
    body("json-as-html", "a good generation labelled HTML", lambda c: c.body, HTML),
    body("no-content-type", "a good generation without Content-Type", lambda c: c.body, ()),
    body(
        "envelope",
        "a good generation in an envelope",
        lambda c: encode_json({"code": "success", "message": "", "data": c.generation}),
    ),
)

KINDS = (*NO_GENERATIONS, *DAMAGED, *UNUSUAL, *GENERATIONS)
