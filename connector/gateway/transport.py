"""Sends requests: bounded in time and size, and never to another host.

`pool` connects, with the proxy and the CA certificates that requests finds once. From then on each
request goes straight over the socket: `Session.get` would repeat that for every task ID, and its
pool alone costs several times what the request itself does.
"""

from __future__ import annotations

from http.client import HTTPException
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import quote, urljoin, urlsplit

from urllib3.exceptions import HTTPError

from connector.gateway.body import BrokenBody
from connector.gateway.connection import Connection, Reply
from connector.gateway.failure import AttemptFailed, explain
from connector.gateway.pool import Pool, address_of
from connector.record.answer import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connector.gateway.bounds import Bounds

MAX_HOPS: Final = 3
_ERRORS: Final = (HTTPError, HTTPException, BrokenBody, OSError, ValueError)
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
# What a gateway sends without a question arrives within this time, if it matters to know.
LISTEN_SECONDS: Final = 0.1


class Sent(NamedTuple):
    """An answer, and the connection that it came over."""

    reply: Reply
    connection: Connection


class Transport:
    """One gateway's connections; safe to share between threads.

    A connection is not used again if anything has arrived that nobody asked for: the next answer
    would be taken for that of another request.

    Args:
        base_url: Only its scheme, host and port get requests.
        headers: Sent with each request.
        bounds: Limits of each request.
        connections: Kept open between requests.

    Raises:
        SettingsError: The base URL, the proxy or the CA certificates cannot be used.
    """

    def __init__(
        self, base_url: str, headers: Mapping[str, str], bounds: Bounds, connections: int
    ) -> None:
        self._pool = Pool(base_url, bounds, connections)
        self._base = urlsplit(base_url)
        self._origin = f"{self._base.scheme}://{self._base.netloc}"
        self._prefix = self._pool.prefix
        lines = (
            f"{name}: {value}\r\n" for name, value in {**self._pool.headers, **headers}.items()
        )
        self._head = "".join(lines).encode("latin-1")
        self._bounds = bounds
        self._idle: list[Connection] = []
        self._is_open_to_polling = True  # until a connection shows that it is not
        self._most_idle = connections

    def close(self) -> None:
        """Close all connections."""
        self._most_idle = 0
        while self._idle:
            self._idle.pop().close()
        self._pool.close()

    def start(self, path: str) -> Connection | None:
        """GET a path over a connection that is open, without waiting for anything.

        Returns:
            The connection, whose `look` says when its answer has come, for `send` to return; None
            if there is none: only `send` can connect.
        """
        connection = self._kept() if self._is_open_to_polling else None
        return None if connection is None else self._started(connection, path)

    def open(self, path: str) -> Connection | None:
        """Connect, and GET a path like `start`, which has found no connection.

        Raises:
            AttemptFailed: There is no connection.
        """
        if not self._is_open_to_polling:
            return None
        try:
            connection = self._connect(is_fresh=False)
        except _ERRORS as exc:
            raise explain(exc, self._base.netloc, None) from exc
        if connection.is_open_to_polling:
            return self._started(connection, path)
        self._is_open_to_polling = False
        self._idle.append(connection)
        return None

    def _started(self, connection: Connection, path: str) -> Connection | None:
        try:
            connection.send(self._request(path, None), waits=False)
        except OSError:
            connection.close()
            return None
        return connection

    def send(
        self,
        path: str,
        body: bytes | None = None,
        *,
        is_fresh: bool = False,
        started: Connection | None = None,
    ) -> Sent:
        """GET a path, percent-encoded as it is to arrive, or POST a body to it.

        Redirects on the same host are followed; a POST stays one: it asks and changes nothing. With
        `is_fresh`, over a connection that was never used; `started` is one from `start`.

        Raises:
            AttemptFailed: No answer came, or a redirect leads to another host or nowhere.
        """
        for _ in range(1 + MAX_HOPS):
            sent = self._send_once(path, body, started, is_fresh=is_fresh)
            started = None
            reply = sent.reply
            location = reply.headers.get("location")
            if reply.status not in _REDIRECTS or not location:
                return sent
            self.keep(sent)
            path = self._follow(path, location, reply.status)
        raise AttemptFailed(
            Outcome.REDIRECTED,
            f"redirected more than {MAX_HOPS} times: check the base URL",
            reply.status,
            is_worth_retrying=False,
        )

    def keep(self, sent: Sent) -> None:
        """Use the connection of an answer again, if it may have another one."""
        connection = sent.connection
        if not sent.reply.is_last and len(self._idle) < self._most_idle:
            connection.is_used = True
            self._idle.append(connection)
        else:
            connection.close()

    def _send_once(
        self, path: str, body: bytes | None, connection: Connection | None, *, is_fresh: bool
    ) -> Sent:
        try:
            if connection is None:
                kept = None if is_fresh else self._kept()
                connection = kept or self._connect(is_fresh=is_fresh)
                connection.send(self._request(path, body))
            return Sent(connection.receive(), connection)
        except _ERRORS as exc:
            if connection is None:
                raise explain(exc, self._base.netloc, None) from exc
            connection.close()
            failure = explain(exc, self._base.netloc, connection.status)
            is_closed = connection.is_used and isinstance(exc, ConnectionError)
            failure.is_stale = is_closed and connection.has_no_answer
            raise failure from exc

    def _request(self, path: str, body: bytes | None) -> bytes:
        if body is None:
            return f"GET {self._prefix}{path} HTTP/1.1\r\n".encode() + self._head + b"\r\n"
        first = f"POST {self._prefix}{path} HTTP/1.1\r\nContent-Length: {len(body)}\r\n"
        return first.encode() + self._head + b"\r\n" + body

    def _kept(self) -> Connection | None:
        """A connection that was used before, and is in step; None if there is none."""
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:  # another thread was quicker
                break
            if connection.is_silent():
                return connection
            connection.close()
        return None

    def _connect(self, *, is_fresh: bool) -> Connection:
        connection = Connection(self._pool.connect(), self._bounds)
        # Only in doubt: a request that waits here is late for a gateway that counts them closely.
        if not connection.is_silent(LISTEN_SECONDS if is_fresh else 0.0):
            connection.close()
            raise ConnectionError("it sends something before it is asked, or closes at once")
        return connection

    def _follow(self, path: str, location: str, status: int) -> str:
        where = "an invalid address"
        try:
            target = urlsplit(urljoin(f"{self._origin}{path}", location))
            if address_of(target) == address_of(self._base):
                return as_target((target.path or "/") + f"?{target.query}" * bool(target.query))
            where = f"{target.scheme}://{target.netloc.rpartition('@')[2]}"
        except ValueError:
            pass
        raise AttemptFailed(
            Outcome.REDIRECTED,
            f"redirected to {where}; the key goes to {self._origin} only: check the base URL",
            status,
            is_worth_retrying=False,
        )


def as_target(path: str) -> str:
    """A path as it may stand in a request line, with what is percent-encoded left as it is."""
    return quote(path, safe="!#$%&'()*+,/:;=?@[]~")
