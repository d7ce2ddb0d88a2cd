"""Reads a refusal: the message, the codes and the status in a body of any form."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from connector.record.keys import folded
from connector.record.names import MESSAGE_KEYS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

CODE_KEYS: Final = (
    "code",
    "type",
    "status",
    "error_code",
    "errcode",
    "err_code",
    "error_type",
    "reason",
    "error",
    "detail",
)

STATUS_KEYS: Final = ("code", "status", "status_code", "error_code", "errcode", "err_code")

HOLDERS: Final = ("error", "errors", "fault", "detail", "data")

# No generation has these.
SIGNS: Final = frozenset(
    {"error", "errors", "fault", "exception", "code", "message", "msg", "detail", "error_code"}
    | {"errcode", "err_code", "error_message", "error_msg", "err_msg", "error_type"}
)

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
        candidates = list(_values(document, MESSAGE_KEYS))
    else:
        return None
    return next(filter(None, (message_in(item, depth - 1) for item in candidates)), None)


def reports_a_fault(document: dict[str, Any]) -> bool:
    """Whether an object has an error, a code or a message."""
    return any(_values(document, SIGNS))


def _values(document: dict[str, Any], names: Iterable[str]) -> Iterator[Any]:
    keys = folded(document)
    return (document[keys[name]] for name in names if name in keys)


def _holders(document: Any, depth: int = 2) -> Iterator[dict[str, Any]]:
    """Yield the objects that may have a code: the document, and the error in it."""
    if isinstance(document, list) and document:
        document = document[0]
    if isinstance(document, dict):
        yield document
        for inner in _values(document, HOLDERS) if depth else ():
            yield from _holders(inner, depth - 1)


def codes_in(document: Any) -> Iterator[str]:
    """Yield codes that are words, in snake case."""
    for holder in _holders(document):
        for code in _values(holder, CODE_KEYS):
            # A sentence is not a code.
            if isinstance(code, str) and 0 < len(code) <= LONGEST_CODE and " " not in code.strip():
                yield re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", code).lower())


def status_in(document: Any) -> int | None:
    """The HTTP status that a body quotes."""
    for holder in _holders(document):
        for value in _values(holder, STATUS_KEYS):
            is_text = isinstance(value, str) and value.strip().isdecimal()
            status = int(value.strip()[:9]) if is_text else value
            if type(status) is int and status in ERRORS:
                return status
    return None
