"""Reading a body: which shape it has, and whether a generation is in it.

The gateways behind one path answer in two dialects (the gateway's own, and the official one with
`assets` and `request`), with or without an envelope `{"code", "message", "data"}`, and errors in no
one shape. All are told apart by shape alone, never by a setting.
"""

from __future__ import annotations

import json
from typing import Any

import orjson

from connector.record.answer import Outcome
from connector.record.derive import status

MESSAGE_KEYS = ("message", "detail", "error", "failure_reason", "msg", "reason", "title")
"""Where error bodies carry their text, likeliest first."""

MISSING_TASK_CODES = frozenset({"task_not_exist", "task_not_found", "not_found"})


def parse(body: bytes) -> Any:
    """Parse JSON as leniently as is safe.

    orjson refuses what some gateways send and Python's own parser reads: lone surrogates, NaN, a
    byte order mark.

    Raises:
        ValueError: The body is not JSON, is not UTF-8, or is nested deeper than can be read.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        try:
            return json.loads(body.decode("utf-8-sig"))
        except RecursionError:
            raise ValueError("nested too deeply") from None


def generation_in(document: Any) -> dict[str, Any] | None:
    """The generation that a document is, or that its envelope holds; None if there is none.

    A generation is an object with an `id` or a `state`. An envelope has no `state` of its own.
    """
    if not isinstance(document, dict):
        return None
    if "state" not in document:
        inner = document.get("data")
        if isinstance(inner, dict) and ("id" in inner or "state" in inner):
            return inner
    if document.get("id") is None and document.get("state") is None:
        return None
    return document


def status_of(body: bytes) -> str:
    """The status of the generation in a body; `unknown` if there is none."""
    try:
        generation = generation_in(parse(body))
    except ValueError:
        generation = None
    state = generation.get("state") if generation else None
    return status(state) if isinstance(state, str) else "unknown"


def judge(body: bytes) -> tuple[Outcome, str | None]:
    """Tell what the body of a successful answer is, with a message if it is not a generation."""
    if not body.strip():
        return Outcome.NOT_JSON, "the body is empty"
    try:
        document = parse(body)
    except ValueError as error:
        if body.lstrip()[:1] == b"<":
            return Outcome.NOT_JSON, "a web page came in place of JSON: is the base URL right?"
        return Outcome.NOT_JSON, f"the body is not JSON: {error}"
    if generation_in(document) is not None:
        return Outcome.GENERATION, None
    if _code_in(document) in MISSING_TASK_CODES:
        return Outcome.NOT_FOUND, _message_in(document)
    said = _message_in(document)
    kind = type(document).__name__ if not isinstance(document, dict) else "object"
    return Outcome.NOT_A_GENERATION, said or f"a JSON {kind} without an id or a state"


def error_message(body: bytes) -> str | None:
    """The text for people in an error's body, whatever its shape; None if there is none."""
    try:
        return _message_in(parse(body))
    except ValueError:
        return None


def error_code(body: bytes) -> str | None:
    """The machine-readable code in an error's body, such as `task_not_exist`."""
    try:
        return _code_in(parse(body))
    except ValueError:
        return None


def _message_in(document: Any, depth: int = 3) -> str | None:
    """Search strings, `detail` arrays and nested `error` objects for the first text."""
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
    return next(filter(None, (_message_in(item, depth - 1) for item in candidates)), None)


def _code_in(document: Any) -> str | None:
    if not isinstance(document, dict):
        return None
    error = document.get("error")
    code = document.get("code") or (error.get("code") if isinstance(error, dict) else None)
    return code if isinstance(code, str) else None
