"""A Prefect server for as long as it is needed, where none is configured.

Prefect can start one by itself, but that one prints a traceback when it ends with its flow.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from prefect.events.worker import EventsWorker
from prefect.logging.handlers import APILogWorker
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HOST: Final = "127.0.0.1"
LOG_FILE: Final = "local-server.log"

# The first start migrates an empty database, which a busy machine may need a minute for.
START_SECONDS: Final = 180.0

# A server that is asked to end in the middle of a migration finishes it first.
STOP_SECONDS: Final = 60.0

DATABASE: Final = "prefect.db"
_LOOK_UP_SECONDS = 0.2
_DRAIN_SECONDS = 10.0
_SHOWN_LINES = 20


class ServerNotStarted(Exception):
    """The local Prefect server did not come up; the text has the end of its log."""


@contextmanager
def prefect_api(say: Callable[[str], None]) -> Iterator[str]:
    """Use the Prefect API that is configured; else run a server on loopback for this block.

    The server has its database in `PREFECT_HOME`, as any other, so that a later one shows what
    was run. It ends with the block, and also if this process dies.

    Args:
        say: Gets a line for a person when there is something to wait for.

    Yields:
        The API's URL.

    Raises:
        ServerNotStarted: The server ended at once, or did not answer in time.
    """
    configured = PREFECT_API_URL.value()
    if configured:
        yield configured
        return
    home = Path(PREFECT_HOME.value())
    first = "" if (home / DATABASE).exists() else " (the first start takes about half a minute)"
    say(f"Starting a local Prefect server{first} ...")
    with _server(home) as url, temporary_settings({PREFECT_API_URL: url}):
        try:
            yield url
        finally:
            # What a flow has logged is sent in the background.
            APILogWorker.drain_all(timeout=_DRAIN_SECONDS)
            EventsWorker.drain_all(timeout=_DRAIN_SECONDS)


@contextmanager
def _server(home: Path) -> Iterator[str]:
    home.mkdir(parents=True, exist_ok=True)
    log, port = home / LOG_FILE, _free_port()
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603  nothing in it comes from outside
            [
                sys.executable,
                "-m",
                __name__,
                "server",
                "start",
                "--host",
                HOST,
                "--port",
                f"{port}",
            ],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            env=_environment(),
            # Ctrl-C in a terminal is for the flow, which still has to tell the server of it.
            process_group=0,
        )
    try:
        url = f"http://{HOST}:{port}/api"
        _await_health(url, process, log)
        yield url
    finally:
        _stop(process)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _environment() -> dict[str, str]:
    quiet = {"PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1"}
    # The child finds this package wherever it is run from.
    path = os.pathsep.join(filter(None, (str(Path(__file__).parents[1]), os.getenv("PYTHONPATH"))))
    return {**quiet, **os.environ, "PYTHONPATH": path}


def _await_health(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not _is_healthy(url):
        if process.poll() is not None:
            raise ServerNotStarted(_failure("ended at once", log))
        if time.monotonic() > deadline:
            raise ServerNotStarted(_failure(f"did not answer in {START_SECONDS:.0f} s", log))
        time.sleep(_LOOK_UP_SECONDS)


def _is_healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:  # noqa: S310  http, ours
            return bool(answer.status == 200)  # noqa: PLR2004  OK
    except (urllib.error.URLError, OSError):
        return False


def _failure(what: str, log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()[-_SHOWN_LINES:]
    return "\n".join((f"the local Prefect server {what}; the end of its log {log}:", *lines))


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Let it end by itself, as it does when its standard input ends; kill it as a last resort."""
    try:
        process.communicate(timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _serve() -> None:
    """Be the `prefect` command until standard input ends.

    So a server outlives no owner, however that one died.
    """
    # Here, because nothing else needs Prefect's command line.
    from prefect.cli import app  # noqa: PLC0415

    # A process that a shell has put into the background ignores SIGINT, and so would this one.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    app()


def _end_with_stdin() -> None:
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGINT)


if __name__ == "__main__":
    _serve()
