"""The gateway's own list of generations, page by page, newest first.

`GET /dream-machine/v1/generations?limit=&offset=` answers `{"generations": […], "has_more", …}` in
the official dialect (https://docs.lumalabs.ai/reference/listgenerations); other gateways may have
none.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import orjson

from connector.errors import GatewayDown, SourceError
from connector.record.answer import PASSING, Outcome
from connector.record.dialects import parse

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from connector.record.answer import Answer
    from connector.source.client import Client

SOURCE: Final = "luma:list"
"""What stands for it where a source of task IDs is named."""

PAGE: Final = 100
"""Generations on a page, which is the most that the official gateway gives."""


@dataclass(frozen=True, slots=True)
class Page:
    """A part of the list.

    Attributes:
        task_ids: As listed; None where a generation has none.
        answers: One for each of `task_ids`, as if it had been asked for, with 0 attempts: the
            page's request is nobody's own.
        is_last: Whether there is nothing behind it.
    """

    task_ids: list[object]
    answers: list[Answer]
    is_last: bool


def read_page(
    client: Client, offset: int, stop: threading.Event, on_request: Callable[[int], None]
) -> Page | None:
    """Ask for the page that begins after `offset` generations; None if `stop` was set before.

    Args:
        client: Of the gateway.
        offset: Generations that come before the page.
        stop: As for `Client.fetch`.
        on_request: Told how many attempts it took, whatever came of them.

    Raises:
        SourceError: The gateway has no such list.
        GatewayDown: It does not answer, or not with the list that it began.
        RunStopped: As `Client.fetch`.
    """
    request = client.fetch_listing(PAGE, offset, stop)
    if request is None:
        return None
    on_request(request.attempts)
    document = _listing_in(request)
    if document is None and (offset or request.outcome in PASSING):
        raise GatewayDown(
            f"the list of generations cannot be read: {request.message}. What was fetched is kept;"
            " start again when the gateway answers."
        )
    if document is None:
        raise SourceError(
            f"{SOURCE}: the gateway has no list of generations ({request.message}): name a file"
            " of task IDs"
        )
    listed = document["generations"]
    return Page(
        task_ids=[_id_of(generation) for generation in listed],
        answers=[_answer(generation, request) for generation in listed],
        is_last=not listed or document.get("has_more") is False,
    )


def _listing_in(request: Answer) -> dict[str, Any] | None:
    try:
        document = parse(request.body or b"")
    except ValueError:
        return None
    is_listing = isinstance(document, dict) and isinstance(document.get("generations"), list)
    return document if is_listing else None


def _id_of(generation: object) -> object:
    return generation.get("id") if isinstance(generation, dict) else None


def _answer(generation: object, request: Answer) -> Answer:
    return replace(
        request,
        task_id=str(_id_of(generation)),
        outcome=Outcome.GENERATION,
        attempts=0,
        body=_encoded(generation),
        message=None,
    )


def _encoded(generation: object) -> bytes:
    try:
        return orjson.dumps(generation)
    except TypeError:
        # Lone surrogates and whole numbers beyond 64 bits, which Python's own parser let through.
        return json.dumps(generation).encode()
