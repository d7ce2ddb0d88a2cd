"""A temporary Prefect server, if none is configured.

Prefect can start one by itself, but it prints a traceback when it ends with its flow.
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

# The first start migrates an empty database, which takes up to a minute on a busy machine.
START_SECONDS: Final = 180.0

# A server that is stopped during a migration finishes it first.
STOP_SECONDS: Final = 60.0

DATABASE: Final = "prefect.db"
_LOOK_UP_SECONDS = 0.2
_DRAIN_SECONDS = 10.0
_SHOWN_LINES = 20


class ServerNotStarted(Exception):
    """The local Prefect server did not start; the text has the end of its log."""


@contextmanager
def prefect_api(say: Callable[[str], None]) -> Iterator[str]:
    """Use the configured Prefect API, or run a server on loopback for the block.

    The server's database is in `PREFECT_HOME` as usual, so that a later server shows the run. It
    ends with the block, and also if this process dies.

    Args:
        say: Called with a line for people before a wait.

    Yields:
        The API's URL.

    Raises:
        ServerNotStarted: The server ended at once or did not answer in time.
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
            # A flow's log is sent in the background.
            APILogWorker.drain_all(timeout=_DRAIN_SECONDS)
            EventsWorker.drain_all(timeout=_DRAIN_SECONDS)


@contextmanager
def _server(home: Path) -> Iterator[str]:
    home.mkdir(parents=True, exist_ok=True)
    log, port = home / LOG_FILE, _free_port()
    arguments = ("server", "start", "--host", HOST, "--port", f"{port}")
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603  nothing in it comes from outside
            [sys.executable, "-m", __name__, *arguments],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            env=_environment(),
            # Ctrl-C in a terminal is for the flow, which must still report it to the server.
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
    # So that the child finds this package from any folder.
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
    """Close its standard input, at which it ends by itself; kill it as a last resort."""
    try:
        process.communicate(timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _serve() -> None:
    """Run the `prefect` command until standard input ends, so that no server outlives its owner."""
    # Here, because nothing else needs Prefect's command line.
    from prefect.cli import app  # noqa: PLC0415

    # A process in a shell's background ignores SIGINT, and this one would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    app()


def _end_with_stdin() -> None:
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGINT)


if __name__ == "__main__":
    _serve()
