"""Sends requests: bounded in time and size, and never to another host.

requests sets up the connection pool, the proxy and the CA certificates once, for the base URL, and
the pool connects: directly, through a proxy or a tunnel, with TLS. From then on each request goes
straight over the socket. `Session.get` would repeat the set-up for every task ID, and the pool
alone costs several times what the request itself does.
"""

from __future__ import annotations

from functools import partial
from http.client import HTTPException
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast
from urllib.parse import quote, urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError
from urllib3.util import Retry, Timeout

from connector.errors import SettingsError
from connector.gateway.body import BrokenBody
from connector.gateway.bounds import BoundedResponse
from connector.gateway.connection import Connection, Reply
from connector.gateway.failure import AttemptFailed, explain
from connector.record.answer import Outcome

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping
    from urllib.parse import SplitResult

    from urllib3 import HTTPConnectionPool

    from connector.gateway.bounds import Bounds

MAX_HOPS: Final = 3
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_PORTS: Final = {"http": 80, "https": 443}
# What a gateway sends without a question arrives within this time, if it matters to know.
LISTEN_SECONDS: Final = 0.1
_NO_RETRIES: Final = Retry(total=False)


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
        self._adapter = HTTPAdapter(pool_connections=1, pool_maxsize=connections)
        self._pool, target, url = _look_up(self._adapter, base_url)
        self._base = urlsplit(base_url)
        self._origin = f"{self._base.scheme}://{self._base.netloc}"
        # A proxy without a tunnel expects the whole URL, and perhaps a password.
        is_forwarded = not target.startswith("/")
        self._prefix = f"{url.scheme}://{url.netloc}" if is_forwarded else ""
        more = self._pool.proxy_headers if is_forwarded else {}
        self._head = _head(_host(url), {**headers, **more})
        self._bounds = bounds
        self._timeout = Timeout(connect=bounds.connect_seconds, read=bounds.silent_seconds)
        self._idle: list[Connection] = []
        self._most_idle = connections
        # The pool's own kind of connection (HTTP, HTTPS or SOCKS), which hands out its socket.
        self._pool.ConnectionCls = type(
            "HandingConnection",
            (self._pool.ConnectionCls,),
            {
                "request": _hand_out,
                # Of a proxy, to CONNECT.
                "response_class": staticmethod(partial(BoundedResponse, bounds)),
            },
        )

    def close(self) -> None:
        """Close all connections."""
        self._most_idle = 0
        while self._idle:
            self._idle.pop().close()
        self._adapter.close()

    def start(self, path: str) -> Connection | None:
        """GET a path over a connection that is open, without waiting for anything.

        Returns:
            The connection, whose `look` says when its answer has come, for `send` to return; None
            if there is none: only `send` can connect.
        """
        connection = self._kept()
        if connection is None:
            return None
        if not connection.is_open_to_polling:
            self._idle.append(connection)
            return None
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

        Redirects on the same host are followed; a POST stays one: it asks and changes nothing.

        Args:
            path: Percent-encoded.
            body: Of a POST.
            is_fresh: Ask over a connection that was never used.
            started: From `start`, to which the path was sent.

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
        if not sent.reply.is_last and len(self._idle) < self._most_idle:
            self._idle.append(sent.connection)
        else:
            sent.connection.close()

    def _send_once(
        self, path: str, body: bytes | None, connection: Connection | None, *, is_fresh: bool
    ) -> Sent:
        is_used = connection is not None
        try:
            if connection is None:
                kept = None if is_fresh else self._kept()
                is_used = kept is not None
                connection = kept or self._connect(is_fresh=is_fresh)
                connection.send(self._request(path, body))
            return Sent(connection.receive(), connection)
        except (HTTPError, HTTPException, BrokenBody, OSError, ValueError) as exc:
            if connection is not None:
                connection.close()
            status = None if connection is None else connection.status
            failure = explain(exc, self._base.netloc, status)
            is_closed = is_used and isinstance(exc, ConnectionError)
            failure.is_stale = is_closed and connection is not None and connection.has_no_answer
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
        connection = self._open()
        # Only in doubt: a request that waits here is late for a gateway that counts them closely.
        if not connection.is_silent(LISTEN_SECONDS if is_fresh else 0.0):
            connection.close()
            raise ConnectionError("it sends something before it is asked, or closes at once")
        return connection

    def _open(self) -> Connection:
        try:
            self._pool.urlopen(
                "GET",
                "/",
                redirect=False,
                retries=_NO_RETRIES,
                assert_same_host=False,
                timeout=self._timeout,
            )
        except _Connected as connected:
            return Connection(connected.sock, self._bounds)
        raise AssertionError("the pool did not hand out its socket")

    def _follow(self, path: str, location: str, status: int) -> str:
        where = "an invalid address"
        try:
            target = urlsplit(urljoin(f"{self._origin}{path}", location))
            if _address(target) == _address(self._base):
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


class _Connected(Exception):
    """Carries a socket out of the pool, which has connected it."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__()
        self.sock = sock


def _hand_out(connection: Any, *_: Any, **__: Any) -> None:
    """In place of a request: connect if need be, and give the socket away."""
    if connection.sock is None:
        connection.connect()
    sock, connection.sock = connection.sock, None
    raise _Connected(sock)


def as_target(path: str) -> str:
    """A path as it may stand in a request line, with what is percent-encoded left as it is."""
    return quote(path, safe="!#$%&'()*+,/:;=?@[]~")


def _host(url: SplitResult) -> str:
    """As the header `Host` gives it: without the port that the scheme implies."""
    host = (url.hostname or "").partition("%")[0]
    name = f"[{host}]" if ":" in host else host
    return name if url.port in (None, _PORTS.get(url.scheme)) else f"{name}:{url.port}"


def _head(host: str, headers: Mapping[str, str]) -> bytes:
    lines = (f"{name}: {value}\r\n" for name, value in {"Host": host, **headers}.items())
    return "".join(lines).encode("latin-1")


def _look_up(adapter: HTTPAdapter, url: str) -> tuple[HTTPConnectionPool, str, SplitResult]:
    """Return the pool for a URL, with the environment's proxy and CA, the target, and the URL.

    The URL as it is sent: a host in other letters than ASCII's is encoded.
    """
    try:
        request = requests.Request("GET", url).prepare()
        with requests.Session() as session:
            found = session.merge_environment_settings(url, {}, stream=True, verify=None, cert=None)
        proxies, verify = found["proxies"], found["verify"]
        pool = adapter.get_connection_with_tls_context(request, verify, proxies=proxies)
        adapter.cert_verify(pool, url, verify, None)  # type: ignore[no-untyped-call]  # stubs' gap
    except (requests.RequestException, ValueError) as exc:
        # Not the text of `exc`: a proxy's address may hold a password.
        raise SettingsError(
            f"cannot use {url}, or the proxy that HTTPS_PROXY, HTTP_PROXY or ALL_PROXY names for "
            f"it ({type(exc).__name__})"
        ) from None
    except OSError as exc:
        raise SettingsError(f"{exc}: check REQUESTS_CA_BUNDLE") from exc
    target = adapter.request_url(request, proxies)
    return cast("HTTPConnectionPool", pool), target, urlsplit(cast("str", request.url))


def _address(url: SplitResult) -> tuple[str, str | None, int | None]:
    return url.scheme, url.hostname, url.port or _PORTS.get(url.scheme)
