"""Sends requests: bounded in time and size, and never to another host.

requests sets up the connection pool, the proxy and the CA certificates once, for the base URL. Each
request then goes straight to the pool. `Session.get` would repeat the setup for every task ID, at
the CPU cost of the request itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from http.client import HTTPException
from typing import TYPE_CHECKING, cast
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError
from urllib3.util import Retry, Timeout

from connector.errors import SettingsError
from connector.gateway.body import BrokenBody, read_body
from connector.gateway.bounds import BoundedResponse
from connector.gateway.failure import AttemptFailed, explain
from connector.record.answer import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping
    from urllib.parse import SplitResult

    from urllib3 import BaseHTTPResponse, HTTPConnectionPool

    from connector.gateway.bounds import Bounds

MAX_HOPS = 3
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PORTS = {"http": 80, "https": 443}
_NO_RETRIES = Retry(total=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as received.

    Attributes:
        status: HTTP status.
        headers: Case-insensitive.
        body: Decompressed; only the start if it is not whole.
        is_whole: Whether the body is within the bounds.
        has_known_end: False if the body ended with the connection, and so may have been cut.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    is_whole: bool
    has_known_end: bool


class Transport:
    """Sends requests to one host; safe to share between threads.

    Raises:
        SettingsError: The base URL, the proxy or the CA certificates cannot be used.
    """

    def __init__(
        self, base_url: str, headers: Mapping[str, str], bounds: Bounds, connections: int
    ) -> None:
        self._adapter = HTTPAdapter(pool_connections=1, pool_maxsize=connections)
        self._pool, target = _look_up(self._adapter, base_url)
        self._base = urlsplit(base_url)
        self._origin = f"{self._base.scheme}://{self._base.netloc}"
        # A proxy without a tunnel expects the whole URL.
        self._prefix = "" if target.startswith("/") else self._origin
        self._headers = dict(headers)
        self._bounds = bounds
        self._timeout = Timeout(connect=bounds.connect_seconds, read=bounds.silent_seconds)
        # The pool's own kind of connection (HTTP, HTTPS or SOCKS), with bounded reads.
        self._pool.ConnectionCls = type(
            "BoundedConnection",
            (self._pool.ConnectionCls,),
            {"response_class": staticmethod(partial(BoundedResponse, bounds))},
        )

    def close(self) -> None:
        """Close all connections."""
        self._adapter.close()

    def send(self, path: str, body: bytes | None = None) -> Reply:
        """GET a path, percent-encoded as it is to arrive, or POST a body to it.

        Redirects on the same host are followed; a POST stays one: it asks and changes nothing.

        Raises:
            AttemptFailed: No answer came, or a redirect leads to another host or nowhere.
        """
        for _ in range(1 + MAX_HOPS):
            reply = self._send_once(path, body)
            location = reply.headers.get("location")
            if reply.status not in _REDIRECTS or not location:
                return reply
            path = self._follow(path, location, reply.status)
        raise AttemptFailed(
            Outcome.REDIRECTED,
            f"redirected more than {MAX_HOPS} times: check the base URL",
            reply.status,
            is_worth_retrying=False,
        )

    def _send_once(self, path: str, body: bytes | None) -> Reply:
        raw = None
        try:
            raw = self._pool.urlopen(
                "GET" if body is None else "POST",
                self._prefix + path,
                body=body,
                headers=self._headers,
                redirect=False,
                retries=_NO_RETRIES,
                assert_same_host=False,
                preload_content=False,
                decode_content=False,
                timeout=self._timeout,
            )
            return self._read(raw)
        except (HTTPError, HTTPException, BrokenBody, OSError, ValueError) as exc:
            raise explain(exc, self._base.netloc, None if raw is None else raw.status) from exc

    def _read(self, raw: BaseHTTPResponse) -> Reply:
        if raw.status < HTTPStatus.OK:
            # Another answer follows, which the next request would read as its own.
            raw.close()
            raw.release_conn()
            return Reply(raw.status, raw.headers, b"", is_whole=True, has_known_end=True)
        has_known_end = raw.chunked or raw.length_remaining is not None
        is_whole = False
        try:
            body, is_whole = read_body(raw, self._bounds.body_bytes)
        finally:
            if not is_whole:
                raw.close()
            raw.release_conn()
        return Reply(raw.status, raw.headers, body, is_whole, has_known_end)

    def _follow(self, path: str, location: str, status: int) -> str:
        where = "an invalid address"
        try:
            target = urlsplit(urljoin(f"{self._origin}{path}", location))
            if _address(target) == _address(self._base):
                return (target.path or "/") + (f"?{target.query}" if target.query else "")
            where = f"{target.scheme}://{target.netloc.rpartition('@')[2]}"
        except ValueError:
            pass
        raise AttemptFailed(
            Outcome.REDIRECTED,
            f"redirected to {where}; the key goes to {self._origin} only: check the base URL",
            status,
            is_worth_retrying=False,
        )


def _look_up(adapter: HTTPAdapter, url: str) -> tuple[HTTPConnectionPool, str]:
    """Return the pool for a URL, with the environment's proxy and CA, and the request target."""
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
    return cast("HTTPConnectionPool", pool), adapter.request_url(request, proxies)


def _address(url: SplitResult) -> tuple[str, str | None, int | None]:
    return url.scheme, url.hostname, url.port or _PORTS.get(url.scheme)
