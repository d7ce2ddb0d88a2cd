"""The log of a flow run: the connector's records of this run, without Prefect's tracebacks."""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from prefect.runtime import flow_run

from connector.errors import ConnectorError
from connector.run.account import headline

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prefect import State

    from connector.errors import RunStopped

    RunLogger = logging.Logger | logging.LoggerAdapter[Any]

_CONNECTOR: Final = logging.getLogger("connector")

# Runs of one process that may be ending at once: Prefect still has its last words of them.
_ENDING: Final = 1_000

# The logger of the run that works in a context. Threads of the connector have their run's context.
_run_logger: ContextVar[RunLogger] = ContextVar("run_logger")


@contextmanager
def forwarding_to(run_logger: RunLogger) -> Iterator[None]:
    """Send the connector's log records of this flow run to its logger, and those of no other run.

    Not by PREFECT_LOGGING_EXTRA_LOGGERS, which would have to be set before Prefect is imported.
    """
    token = _run_logger.set(run_logger)
    _forwarder.begin()
    try:
        yield
    finally:
        _forwarder.end()
        _run_logger.reset(token)


def say_last(run_logger: RunLogger, state: State[Any]) -> None:
    """Log why a run stopped, as an error and as its last line.

    Prefect would say it again at the level INFO. And the process of a deployed run raises the error
    of a failed state again, through thirty lines of traceback that help nobody to correct a key.
    """
    run_logger.error("%s: %s", state.name, state.message)
    _drop_last_line(str(state.name))


def say_interrupted(run_logger: RunLogger, stopped: RunStopped) -> None:
    """Log how far a run came that was cancelled; Prefect's own last line is its state before."""
    summary = stopped.summary
    kept = f" ({headline(summary)}; {summary.not_reached:,} not reached)" if summary else ""
    run_logger.warning("%s%s", stopped, kept)
    _drop_last_line("Running")


def _drop_last_line(state: str) -> None:
    _said_last.add(flow_run.id, state)
    logging.getLogger("prefect.flow_runs").addFilter(_said_last)


class _Forwarder(logging.Handler):
    """Hands each record of the connector to the run that it is of, while there are flow runs."""

    def __init__(self) -> None:
        super().__init__()
        self._runs = 0
        self._counting = threading.Lock()
        self._earlier = (_CONNECTOR.level, _CONNECTOR.propagate)

    def begin(self) -> None:
        """One more run has begun."""
        with self._counting:
            self._runs += 1
            if self._runs > 1:
                return
            self._earlier = _CONNECTOR.level, _CONNECTOR.propagate
            _CONNECTOR.addHandler(self)
            _CONNECTOR.setLevel(logging.INFO)
            # A run's logger prints to the console too: without this, it would have lines twice.
            _CONNECTOR.propagate = False

    def end(self) -> None:
        """One of them has ended."""
        with self._counting:
            self._runs -= 1
            if not self._runs:
                level, _CONNECTOR.propagate = self._earlier
                _CONNECTOR.setLevel(level)
                _CONNECTOR.removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        run_logger = _run_logger.get(None)
        if run_logger:
            run_logger.log(record.levelno, "%s", record.getMessage(), exc_info=record.exc_info)
        elif record.levelno >= logging.WARNING:
            # Of no flow run, but of a call of the connector beside it.
            logging.getLogger().handle(record)


class SaidLast(logging.Filter):
    """Drops what Prefect says of the end of a run that has said it; older runs are forgotten."""

    def __init__(self) -> None:
        super().__init__()
        self._states: dict[str | None, str] = {}
        self._adding = threading.Lock()

    def add(self, run: str | None, state: str) -> None:
        """Note the state of which a run has said why it ends."""
        with self._adding:
            self._states[run] = state
            if len(self._states) > _ENDING:
                del self._states[next(iter(self._states))]

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is not the last line, or the traceback, of such a run."""
        state = self._states.get(getattr(record, "flow_run_id", ""))
        if state is None:
            return True
        error = record.exc_info and record.exc_info[1]
        last = f"Finished in state {state}("
        return not (isinstance(error, ConnectorError) or record.getMessage().startswith(last))


_forwarder: Final = _Forwarder()
_said_last: Final = SaidLast()
