"""Attempts without an answer: errors of the HTTP stack, translated once, where they enter."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from urllib3.exceptions import (
    ConnectTimeoutError,
    NameResolutionError,
    NewConnectionError,
    ProxyError,
    ReadTimeoutError,
    SSLError,
)
from urllib3.exceptions import TimeoutError as HttpTimeoutError

from connector.gateway.body import BrokenBody
from connector.record.answer import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator


# The first match counts: in urllib3, a refused connection is a kind of timeout too.
_TEXTS: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...] = (
    (ProxyError, "the proxy to {host} fails ({reason}): check HTTPS_PROXY and NO_PROXY"),
    (NameResolutionError, "{host} has no address ({reason}): check the base URL, and the network"),
    (NewConnectionError, "cannot connect to {host} ({reason}): check the base URL"),
    (ConnectTimeoutError, "{host} did not accept the connection in time: check the base URL"),
    ((ReadTimeoutError, TimeoutError), "{host} sent nothing for too long"),
    (
        (SSLError, ssl.SSLError),
        "TLS with {host} fails ({reason}): check the base URL and REQUESTS_CA_BUNDLE",
    ),
    (BrokenBody, "the compressed body is damaged: {reason}"),
    (Exception, "the answer broke off or is not HTTP: {reason}"),
)


class Overdue(TimeoutError):
    """An answer was not complete in time, even if bytes kept coming."""


class AttemptFailed(Exception):
    """An attempt ended without an answer; the text is for people.

    Attributes:
        outcome: The task ID's outcome if this was its last attempt.
        status: HTTP status, if the attempt got that far.
        is_worth_retrying: Whether another attempt may succeed.
        is_stale: Whether nothing came over a connection that was used before: the gateway closed it
            while the request was on its way, and has not seen it.
    """

    is_stale = False

    def __init__(
        self,
        outcome: Outcome,
        message: str,
        status: int | None = None,
        *,
        is_worth_retrying: bool = True,
    ) -> None:
        super().__init__(message)
        self.outcome = outcome
        self.status = status
        self.is_worth_retrying = is_worth_retrying


def explain(error: Exception, host: str, status: int | None) -> AttemptFailed:
    """Translate an error of urllib3, of a socket or of a body, after this HTTP status if any."""
    cause = list(_causes(error))[-1]
    if isinstance(cause, Overdue):
        return AttemptFailed(Outcome.TIMEOUT, str(cause), status)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return AttemptFailed(
            Outcome.NETWORK,
            f"the certificate of {host} is not trusted ({cause.verify_message}): check the base "
            "URL, or name the file of your own CA in REQUESTS_CA_BUNDLE",
            is_worth_retrying=False,
        )
    reason = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
    text = next(text for kind, text in _TEXTS if isinstance(error, kind))
    is_timeout = isinstance(error, (HttpTimeoutError, TimeoutError))
    is_timeout = is_timeout and not isinstance(error, NewConnectionError)
    outcome = Outcome.TIMEOUT if is_timeout else Outcome.NETWORK
    return AttemptFailed(outcome, text.format(host=host, reason=reason), status)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those it wraps, as cause or as argument, outermost first."""
    inner: BaseException | None = error
    while inner is not None:
        yield inner
        wrapped = (arg for arg in inner.args if isinstance(arg, BaseException))
        inner = inner.__cause__ or next(wrapped, None)
