"""A page of the gateway's own list of generations.

`GET /dream-machine/v1/generations?limit=&offset=` answers `{"generations": […], "has_more", …}`,
newest first, in the official dialect (https://docs.lumalabs.ai/reference/listgenerations). Other
gateways say `data` for `generations`, put an envelope around it, answer with the bare array, or
have no list.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import orjson

from connector.errors import GatewayDown, SourceError
from connector.record.answer import PASSING, Outcome
from connector.record.coerce import to_time
from connector.record.dialects import parse
from connector.record.judge import judge

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from datetime import datetime

    from connector.gateway.client import Client
    from connector.record.answer import Answer

# What stands for it where a source of task IDs is named.
SOURCE: Final = "luma:list"

# Generations on a page, which is the most that the official gateway gives.
PAGE: Final = 100


# What an envelope's `code` says when all is well.
FINE_CODES: Final = (None, "", "success", "ok", 0, 200, "0", "200")


class PageRefused(GatewayDown):
    """The gateway is there, but does not give this page of the list that it began."""


@dataclass(frozen=True, slots=True)
class Page:
    """A part of the list.

    Attributes:
        task_ids: As listed; None where an item has none.
        answers: One for each of `task_ids`, as if it had been asked for, with 0 attempts: the
            page's request is nobody's own. None where the item is not a generation.
        is_last: Whether it says that there is nothing behind it, or is empty.
        first_created_at: When the first generation was created, if it says so.
        last_created_at: The same of the last one.
    """

    task_ids: list[object]
    answers: list[Answer | None]
    is_last: bool
    first_created_at: datetime | None = None
    last_created_at: datetime | None = None


def read_page(
    client: Client,
    offset: int,
    stop: threading.Event,
    on_request: Callable[[int], None],
    *,
    is_first: bool = True,
) -> Page | None:
    """Ask for the page that begins after `offset` generations; None if `stop` was set before.

    Args:
        client: Of the gateway.
        offset: Generations that come before the page.
        stop: As for `Client.fetch`.
        on_request: Told how many attempts it took, whatever came of them.
        is_first: Whether no page was read before: a gateway that sent one has a list.

    Raises:
        SourceError: The gateway has no such list.
        GatewayDown: It does not answer, or not with the list that it began (`PageRefused`).
        RunStopped: As `Client.fetch`.
    """
    request = client.fetch_listing(PAGE, offset, stop)
    if request is None:
        return None
    on_request(request.attempts)
    listed, has_more = _listing_in(request)
    if listed is None and (not is_first or request.outcome in PASSING):
        kind = GatewayDown if request.outcome in PASSING else PageRefused
        raise kind(
            f"the list of generations cannot be read: {_why(request)}. What was fetched is kept;"
            " start again when the gateway answers."
        )
    if listed is None:
        raise SourceError(
            f"{SOURCE}: the gateway has no list of generations ({_why(request)}): name a file"
            " of task IDs"
        )
    return Page(
        task_ids=[_id_of(item) for item in listed],
        answers=[_answer(item, request) for item in listed],
        is_last=not listed or has_more is False,
        first_created_at=_created_at(listed[0]) if listed else None,
        last_created_at=_created_at(listed[-1]) if listed else None,
    )


def _listing_in(request: Answer) -> tuple[list[Any] | None, object]:
    """The items of a page, and what it says of further ones; None if it is not a page."""
    if request.outcome in PASSING or request.http_status not in range(200, 300):
        return None, None
    try:
        return _items_in(parse(request.body or b""))
    except ValueError:
        return None, None


def _items_in(document: object) -> tuple[list[Any] | None, object]:
    if isinstance(document, list):
        return (document if _may_be_generations(document) else None), None
    if not isinstance(document, dict) or _is_error(document):
        return None, None
    if isinstance(document.get("generations"), list):
        return document["generations"], document.get("has_more")
    items, has_more = _items_in(document.get("data"))
    return items, document.get("has_more") if has_more is None else has_more


def _may_be_generations(items: list[Any]) -> bool:
    """Whether an array that nothing calls generations looks like some."""
    return not items or any(isinstance(item, dict) for item in items)


def _is_error(document: dict[str, Any]) -> bool:
    """Whether an envelope around an empty list means that something went wrong."""
    code = document.get("code")
    code = code.lower() if isinstance(code, str) else code
    return code not in FINE_CODES or document.get("success") is False or bool(document.get("error"))


def _why(request: Answer) -> str:
    return request.message or "the answer is not a list"


def _id_of(item: object) -> object:
    """The ID to ask for: a task's record has a number of its own as `id`."""
    if not isinstance(item, dict):
        return None
    task_id = item.get("task_id")
    return task_id if isinstance(task_id, str) and task_id else item.get("id")


def _created_at(item: object) -> datetime | None:
    created_at = item.get("created_at") if isinstance(item, dict) else None
    return None if created_at is None else to_time(created_at)


def _answer(item: object, request: Answer) -> Answer | None:
    body = _encoded(item)
    verdict = judge(HTTPStatus.OK, body)
    if verdict.outcome is not Outcome.GENERATION:
        return None
    return replace(
        request,
        task_id=str(_id_of(item)),
        outcome=Outcome.GENERATION,
        attempts=0,
        body=body,
        message=None,
        status=verdict.status,
        concerns=None,
    )


def _encoded(item: object) -> bytes:
    try:
        return orjson.dumps(item)
    except TypeError:
        # Lone surrogates and whole numbers beyond 64 bits, which Python's own parser let through.
        return json.dumps(item).encode()
