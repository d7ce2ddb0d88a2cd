"""A real S3 server on loopback, and a way to it on which anything can happen.

The server is moto's, in a process of its own. The way is a proxy in this process: it counts what
changes something, and asks a rule what shall happen to each request: nothing, an answer that is an
error, a stall, a cut connection, or the death of whoever asked.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import random
import re
import signal
import sys
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, ClassVar, Final, Self, TypeAlias
from urllib.parse import unquote, urlsplit

import requests
from pyarrow import fs
from servers import free_port, serving

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CREDENTIALS: Final = {
    "AWS_ACCESS_KEY_ID": "AKIALUMATESTKEY00000",
    "AWS_SECRET_ACCESS_KEY": "luma-test-secret-e1d9",
    "AWS_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
CHANGES: Final = ("PUT", "POST", "DELETE")
HOP_BY_HOP: Final = {"connection", "keep-alive", "transfer-encoding", "expect"}

# What the connector writes into its lock: whom to kill.
CLAIM: Final = re.compile(rb'"pid": (\d+)')


@dataclass(frozen=True)
class Request:
    """What somebody asks the store for.

    Attributes:
        number: Of the request among those that change something, from 1; 0 for a reading one.
    """

    method: str
    target: str
    number: int

    def __str__(self) -> str:
        return f"{self.method} {unquote(self.target.partition('?')[0])}"


@dataclass(frozen=True)
class Fault:
    """What happens instead of an answer.

    Attributes:
        status: An error is answered; None cuts the connection.
        after: The store has done what was asked by then.
        stall: Seconds that pass before.
        kill: Whoever holds the warehouse's lock is killed.
    """

    status: int | None = None
    after: bool = False
    stall: float = 0.0
    kill: bool = False


Rule: TypeAlias = "Callable[[Request], Fault | None]"


def nothing(_: Request) -> None:
    """A rule: all goes well."""


def killing_at(number: int) -> Rule:
    """A rule: whoever asks for the n-th change dies before the store hears of it."""
    return lambda request: Fault(kill=True) if request.number == number else None


def failing_at_random(seed: int, share: float) -> Rule:
    """A rule: this share of the requests fails, each in one of several ways."""
    draws = random.Random(seed)
    ways = [
        Fault(status, after, stall)
        for status in (500, 503)
        for after, stall in ((False, 0.0), (True, 0.0), (False, 0.4))
    ] + [Fault(), Fault(after=True)]
    return lambda _: draws.choice(ways) if draws.random() < share else None


class S3Server:
    """moto's server, in a process of its own, for the length of a `with` block."""

    def __enter__(self) -> Self:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        self._process = contextlib.ExitStack()
        self._process.enter_context(serving(command, self._answers))
        self.files = fs.S3FileSystem(
            access_key=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            secret_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
            region=CREDENTIALS["AWS_REGION"],
            endpoint_override=self.url,
        )
        return self

    def _answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/moto-api/data.json", timeout=10).ok
        except (requests.ConnectionError, requests.Timeout):
            return False

    def __exit__(self, *exc_info: object) -> None:
        self._process.close()

    def make_bucket(self, name: str) -> str:
        """Make an empty bucket, and return its name."""
        assert requests.put(f"{self.url}/{name}", timeout=60).ok
        return name

    def download(self, path: str, folder: Path) -> None:
        """Copy all objects below a path into a folder, which then has nothing else."""
        fs.copy_files(path, str(folder), self.files, fs.LocalFileSystem())

    def upload(self, folder: Path, path: str) -> None:
        """Copy all files of a folder to below a path."""
        fs.copy_files(str(folder), path, fs.LocalFileSystem(), self.files)

    def empty(self, path: str) -> None:
        """Remove all objects below a path."""
        self.files.delete_dir_contents(path, missing_dir_ok=True)

    def names(self, path: str) -> list[str]:
        """Names of all objects below a path."""
        below = fs.FileSelector(path, recursive=True, allow_not_found=True)
        found = self.files.get_file_info(below)
        return sorted(one.path[len(path) + 1 :] for one in found if one.is_file)

    def environment(self, url: str | None = None) -> dict[str, str]:
        """What a process needs to use it, directly or by a proxy's URL."""
        return {**CREDENTIALS, "AWS_ENDPOINT_URL": url or self.url}


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Say nothing: a client that was killed ends its connections."""


@dataclass
class Proxy:
    """A way to the server, for the length of a `with` block.

    Attributes:
        seen: The requests that change something, in order.
        hidden: Headers that the server does not get to see.
        refused: The answer to a request with such a header; None passes it on without.
    """

    server: str
    rule: Rule = nothing
    seen: list[Request] = field(default_factory=list)
    hidden: set[str] = field(default_factory=set)
    refused: int | None = None
    _owner: int | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> Self:
        handler = type("Handler", (_Handler,), {"proxy": self})
        self._httpd = _Server(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._httpd.server_address[1]}"
        threading.Thread(target=self._httpd.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._httpd.shutdown()
        self._httpd.server_close()

    def reset(self, rule: Rule = nothing) -> None:
        """Count from 1 again, by another rule."""
        with self._lock:
            self.rule, self._owner = rule, None
            self.seen.clear()

    def passing(self, method: str, target: str, body: bytes) -> Fault | None:
        """Count a request, and tell what happens to it."""
        with self._lock:
            changes = method in CHANGES
            request = Request(method, target, len(self.seen) + 1 if changes else 0)
            if changes:
                self.seen.append(request)
                if "/.lock/" in target and (claim := CLAIM.search(body)):
                    self._owner = int(claim[1])
            return self.rule(request)

    def kill(self) -> None:
        """End whoever holds the lock."""
        assert self._owner, "nobody has taken the lock yet"
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._owner, signal.SIGKILL)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16
    proxy: ClassVar[Proxy]

    def log_message(self, *_: object) -> None:
        """Stay silent."""

    def handle_expect_100(self) -> bool:
        """Let whoever waits for the word to go on have it at once."""
        goes_on = super().handle_expect_100()
        self.wfile.flush()
        return goes_on

    def _pass(self) -> None:
        body = self._body()
        fault = self.proxy.passing(self.command, self.path, body)
        if self.proxy.refused and self.proxy.hidden.intersection(map(str.lower, self.headers)):
            fault = Fault(self.proxy.refused)
        if fault:
            time.sleep(fault.stall)
        if fault is None or fault.after:
            answer, content = self._ask(body)
        if fault and fault.kill:
            self.proxy.kill()
        if fault is None:
            self._answer(answer.status, answer.getheaders(), content)
        elif fault.status:
            self._answer(fault.status, [("Content-Type", "application/xml")], _error(fault.status))
        else:
            self.close_connection = True

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _pass  # noqa: N815  as the base class has it

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        content = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            content += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return content

    def _ask(self, body: bytes) -> tuple[http.client.HTTPResponse, bytes]:
        upstream = urlsplit(self.proxy.server)
        connection = http.client.HTTPConnection(upstream.hostname or "", upstream.port, timeout=120)
        hidden = HOP_BY_HOP | self.proxy.hidden
        headers = {k: v for k, v in self.headers.items() if k.lower() not in hidden}
        headers["Content-Length"] = str(len(body))
        connection.request(self.command, self.path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer, content

    def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
        with contextlib.suppress(OSError):  # whoever asked may be dead
            self.send_response_only(status)
            sized = {name.lower() for name, _ in headers}
            for name, value in headers:
                if name.lower() not in HOP_BY_HOP:
                    self.send_header(name, value)
            if "content-length" not in sized:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)


def _error(status: int) -> bytes:
    code = {403: "AccessDenied", 500: "InternalError", 501: "NotImplemented", 503: "SlowDown"}[
        status
    ]
    return f"<Error><Code>{code}</Code><Message>a fault</Message></Error>".encode()
