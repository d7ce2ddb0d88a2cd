"""The official listing of generations, page by page."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl

from connector.sandbox import generations
from connector.sandbox.replies import Reply, json_reply

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from connector.sandbox.spellings import Spelling
    from connector.sandbox.tasks import Phase, Task

_LIMIT = 10
_LIMIT_MOST = 100


class Page(NamedTuple):
    """What a query asks for."""

    limit: int
    offset: int


def list_page(
    listed: Sequence[str],
    query: str,
    look: Callable[[str], tuple[Task, Phase]],
    written: Spelling,
    fails_after: int = 0,
) -> Reply:
    """The page that a query asks for; 422 if the query is invalid.

    Args:
        listed: All task IDs, newest first.
        query: As received.
        look: Returns a task and its phase.
        written: Spelling of states and times.
        fails_after: Pages beyond this many IDs get 500; 0 for none.
    """
    try:
        limit, offset = _page(query)
    except ValueError as exc:
        return json_reply(422, {"detail": str(exc)})
    if 0 < fails_after < offset + limit:
        return json_reply(500, {"detail": "the listing fails here"})
    tasks = map(look, listed[offset : offset + limit])
    page = [generations.official_body(task, phase, written) for task, phase in tasks]
    return json_reply(
        200,
        {
            "generations": page,
            "count": len(page),
            "has_more": offset + limit < len(listed),
            "limit": limit,
            "offset": offset,
        },
    )


def _page(query: str) -> Page:
    asked = dict(parse_qsl(query))
    limit, offset = int(asked.get("limit", _LIMIT)), int(asked.get("offset", 0))
    if not (1 <= limit <= _LIMIT_MOST and offset >= 0):
        raise ValueError(f"limit is from 1 to {_LIMIT_MOST}, offset from 0")
    return Page(limit, offset)
