"""Reads a refusal: the message, the codes and the status in a body of any form."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

# Keys of the text in error bodies, likeliest first.
MESSAGE_KEYS: Final = (
    "message",
    "detail",
    "error",
    "errors",
    "error_message",
    "failure_reason",
    "msg",
    "reason",
    "title",
    "description",
)

CODE_KEYS: Final = ("code", "type", "status", "error_code", "errcode", "reason")

LONGEST_MESSAGE: Final = 2_000

LONGEST_CODE: Final = 80

ERRORS: Final = range(400, 600)


def message_in(document: Any, depth: int = 4) -> str | None:
    """Return the first text in strings, `detail` arrays and nested `error` objects."""
    if isinstance(document, str):
        return document.strip() or None
    if depth == 0:
        return None
    if isinstance(document, list):
        candidates = document[:3]
    elif isinstance(document, dict):
        candidates = [document[key] for key in MESSAGE_KEYS if key in document]
    else:
        return None
    return next(filter(None, (message_in(item, depth - 1) for item in candidates)), None)


def _holders(document: Any) -> Iterator[dict[str, Any]]:
    """Yield the objects that may have a code: the document, and the error in it."""
    if isinstance(document, list) and document:
        document = document[0]
    if isinstance(document, dict):
        yield document
        for key in ("error", "errors", "detail", "data"):
            inner = document.get(key)
            inner = inner[0] if isinstance(inner, list) and inner else inner
            if isinstance(inner, dict):
                yield inner


def codes_in(document: Any) -> Iterator[str]:
    """Yield codes that are words, in snake case."""
    for holder in _holders(document):
        for key in (*CODE_KEYS, "error", "detail"):
            code = holder.get(key)
            # A sentence is not a code.
            if isinstance(code, str) and 0 < len(code) <= LONGEST_CODE and " " not in code.strip():
                yield re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", code).lower())


def status_in(document: Any) -> int | None:
    """The HTTP status that a body quotes."""
    for holder in _holders(document):
        for key in ("code", "status", "status_code", "statusCode", "error_code", "errcode"):
            value = holder.get(key)
            if isinstance(value, str) and value.strip().isdecimal():
                value = int(value.strip()[:9])
            if type(value) is int and value in ERRORS:
                return value
    return None
