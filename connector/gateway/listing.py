"""One page of the gateway's own list of generations.

`GET /dream-machine/v1/generations?limit=&offset=` answers `{"generations": […], "has_more", …}`,
newest first, in the official dialect (https://docs.lumalabs.ai/reference/listgenerations). Other
gateways call it `data`, wrap it in an envelope, answer with a bare array, or have no list.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import orjson

from connector.errors import GatewayDown, SourceError
from connector.gateway.apis import LISTING
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

# Generations on a page: the official gateway's maximum.
PAGE: Final = 100

# Values of an envelope's `code` that mean success.
FINE_CODES: Final = (None, "", "success", "ok", 0, 200, "0", "200")


class PageRefused(GatewayDown):
    """The gateway answers, but refuses a further page of its list."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the list.

    Attributes:
        task_ids: IDs as listed; None where an item has none.
        answers: One for each of `task_ids`, as if fetched by its ID, with 0 attempts: the page's
            request is counted once, by `on_request`. None where the item is not a generation.
        is_last: Whether it is empty or says that nothing follows.
        first_created_at: Creation of the first generation, if known.
        last_created_at: Creation of the last generation, if known.
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
    """Request the page that begins after `offset` generations; None if `stop` was set first.

    Args:
        client: The gateway's client.
        offset: Generations before the page.
        stop: As for `Client.fetch`.
        on_request: Called with the number of attempts, successful or not.
        is_first: Whether no page was read before: a gateway that sent one has a list.

    Raises:
        SourceError: The gateway has no such list.
        GatewayDown: It does not answer, or refuses a further page (`PageRefused`).
        RunStopped: As for `Client.fetch`.
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
            f"{LISTING}: the gateway has no list of generations ({_why(request)}): name a file"
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
    """The items of a page, and its `has_more`; None if it is not a page."""
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
    """Whether an array under another name looks like generations."""
    return not items or any(isinstance(item, dict) for item in items)


def _is_error(document: dict[str, Any]) -> bool:
    """Whether an envelope reports an error."""
    code = document.get("code")
    code = code.lower() if isinstance(code, str) else code
    return code not in FINE_CODES or document.get("success") is False or bool(document.get("error"))


def _why(request: Answer) -> str:
    return request.message or "the answer is not a list"


def _id_of(item: object) -> object:
    """The ID to request: in a task's record, `id` is the record's own number."""
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
    return request._replace(
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
        # Lone surrogates and integers beyond 64 bits, which `json` reads and orjson does not write.
        return json.dumps(item).encode()
