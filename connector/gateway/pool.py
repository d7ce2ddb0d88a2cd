"""requests' connection pool, for one URL: it connects, and hands its sockets out."""

from __future__ import annotations

import io
from dataclasses import replace
from functools import partial
from http.client import HTTPResponse
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry, Timeout

from connector.errors import SettingsError
from connector.gateway.bounds import Incoming

if TYPE_CHECKING:
    import socket
    from urllib.parse import SplitResult

    from urllib3 import HTTPConnectionPool

    from connector.gateway.bounds import Bounds

_PORTS: Final = {"http": 80, "https": 443}
_NO_RETRIES: Final = Retry(total=False)


class Pool:
    """Connects to one host: directly, through a proxy or a tunnel, with TLS.

    Attributes:
        prefix: What goes before each path: the whole URL for a proxy without a tunnel.
        headers: Those that go with each request: `Host`, and for such a proxy perhaps a password.

    Raises:
        SettingsError: The base URL, the proxy or the CA certificates cannot be used.
    """

    def __init__(self, base_url: str, bounds: Bounds, connections: int) -> None:
        self._adapter = HTTPAdapter(pool_connections=1, pool_maxsize=connections)
        self._pool, target, url = _look_up(self._adapter, base_url)
        is_forwarded = not target.startswith("/")
        self.prefix = f"{url.scheme}://{url.netloc}" if is_forwarded else ""
        self.headers = {"Host": _host(url), **(self._pool.proxy_headers if is_forwarded else {})}
        self._timeout = Timeout(connect=bounds.connect_seconds, read=bounds.silent_seconds)
        # The pool's own kind of connection (HTTP, HTTPS or SOCKS), which hands out its socket.
        self._pool.ConnectionCls = type(
            "HandingConnection",
            (self._pool.ConnectionCls,),
            {
                "request": _hand_out,
                # Of a proxy, to CONNECT.
                "response_class": staticmethod(partial(_BoundedResponse, bounds)),
            },
        )

    def connect(self) -> socket.socket:
        """A new connection.

        Raises:
            HTTPError, HTTPException, OSError, ValueError: There is none; `explain` says why.
        """
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
            return connected.sock
        raise AssertionError("the pool did not hand out its socket")

    def close(self) -> None:
        """Close the pool, which keeps no connection."""
        self._adapter.close()


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


def _host(url: SplitResult) -> str:
    """As the header `Host` gives it: without the port that the scheme implies."""
    host = (url.hostname or "").partition("%")[0]
    name = f"[{host}]" if ":" in host else host
    return name if url.port in (None, _PORTS.get(url.scheme)) else f"{name}:{url.port}"


class _BoundedResponse(HTTPResponse):
    """Reads a proxy's answer to CONNECT within the limits of one request."""

    def __init__(self, bounds: Bounds, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp.close()
        # The socket still has the timeout of connecting.
        bounds = replace(bounds, silent_seconds=bounds.connect_seconds)
        self.fp = io.BufferedReader(_RawIncoming(Incoming(sock, bounds)))


class _RawIncoming(io.RawIOBase):
    """Bytes for `http.client`, as they arrive."""

    def __init__(self, incoming: Incoming) -> None:
        self._incoming = incoming

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer with the next bytes; return how many, 0 at the end."""
        data = self._incoming.receive(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def address_of(url: SplitResult) -> tuple[str, str | None, int | None]:
    """What tells two hosts apart: scheme, name and port."""
    return url.scheme, url.hostname, url.port or _PORTS.get(url.scheme)
