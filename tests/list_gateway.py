"""A gateway whose list moves, breaks off or is odd in other ways while it is read."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from raw_server import RawServer, reply

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable

Generation = dict[str, Any]
START = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
PATH = "/dream-machine/v1/generations"


def generation(number: int, state: str = "completed") -> Generation:
    """The generation that was created as the so-manieth, a second after the one before."""
    created_at = (START + timedelta(seconds=number)).isoformat()
    return {"id": name(number), "state": state, "created_at": created_at}


def name(number: int) -> str:
    """Its ID."""
    return f"generation-{number:05}"


class ListGateway(RawServer):
    """Lists what it has, newest first; to be used in a `with` block.

    Attributes:
        items: What it lists, in the list's order; may be changed at any time.
        before: Called with the number of each request for a page, from 1 on, before its answer.
        failing: Numbers of such requests that are answered with 500.
        offset_of: From the offset that is asked for to the one that counts.
        most: Items on a page, whatever limit is asked for.
        has_more: What a page says, given whether it is so; None leaves it out.
        shape: The document of a page, given its items and what it says of more.
        pages: Offsets that were asked for.
        asked: Task IDs that were asked for.
    """

    def __init__(self, count: int = 0) -> None:
        super().__init__(self._serve_one)
        self.items: list[Any] = [generation(number) for number in reversed(range(count))]
        self.created = count
        self.before: Callable[[int], None] = lambda _: None
        self.failing: Callable[[int], bool] = lambda _: False
        self.offset_of: Callable[[int], int | None] = lambda offset: offset
        self.most = 100
        self.has_more: Callable[[bool], bool | None] = lambda more: more
        self.shape: Callable[[list[Any], bool | None], Any] = official
        self.pages: list[int] = []
        self.asked: list[str] = []

    def create(self, count: int, state: str = "completed") -> None:
        """Put new generations on top."""
        numbers = range(self.created, self.created + count)
        self.items = [generation(n, state) for n in reversed(numbers)] + self.items
        self.created += count

    def delete(self, places: Iterable[int]) -> None:
        """Take generations at these places out."""
        gone = set(places)
        self.items = [item for place, item in enumerate(self.items) if place not in gone]

    def once(self, page: int, act: Callable[[], None]) -> None:
        """Let something happen before that page is answered, in one walk only."""

        def before(number: int) -> None:
            if number == page:
                self.before = lambda _: None
                act()

        self.before = before

    @property
    def listed(self) -> set[str]:
        """Task IDs of all that is listed now."""
        return {item["id"] for item in self.items if isinstance(item, dict) and "id" in item}

    def _serve_one(self, head: str, connection: socket.socket) -> None:
        url = urlsplit(head.split(" ")[1])
        if url.path == PATH:
            connection.sendall(self._page(parse_qs(url.query)))
            return
        task_id = url.path.rpartition("/")[2]
        self.asked.append(task_id)
        found = [item for item in self.items if isinstance(item, dict) and task_id in item.values()]
        body = found[0] if found else {"id": task_id, "state": "completed"}
        connection.sendall(reply(json.dumps(body).encode()))

    def _page(self, query: dict[str, list[str]]) -> bytes:
        self.pages.append(int(query["offset"][0]))
        number = len(self.pages)
        self.before(number)
        offset = self.offset_of(self.pages[-1])
        if self.failing(number):
            return reply(b"", "500 Down")
        if offset is None:
            return reply(b'{"detail": "no such offset"}', "422 Unprocessable")
        end = offset + min(self.most, int(query["limit"][0]))
        document = self.shape(self.items[offset:end], self.has_more(end < len(self.items)))
        return reply(json.dumps(document).encode())


def official(items: list[Any], more: bool | None) -> Any:
    """The documented document."""
    return {"generations": items} | ({} if more is None else {"has_more": more})
