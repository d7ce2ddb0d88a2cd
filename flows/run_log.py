"""The log of a flow run: records of the connector, without Prefect's tracebacks."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prefect import State

    from connector.errors import ConnectorError

    RunLogger = logging.Logger | logging.LoggerAdapter[Any]


@contextmanager
def forwarding_to(run_logger: RunLogger) -> Iterator[None]:
    """Send the connector's log records to a flow run's logger.

    PREFECT_LOGGING_EXTRA_LOGGERS finds the run by the thread's context, which the threads that send
    the requests do not have.
    """
    logger, handler = logging.getLogger("connector"), _Forwarder(run_logger)
    earlier = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    # The run's logger also prints to the console; without this, each line would appear twice.
    logger.propagate = False
    try:
        yield
    finally:
        logger.level, logger.propagate = earlier
        logger.removeHandler(handler)


def say_last(run_logger: RunLogger, state: State[Any], error: ConnectorError) -> None:
    """Log why a run stopped, as an error and as its last line.

    Prefect would say it again at the level INFO. And the process of a deployed run raises the error
    of a failed state again, through thirty lines of traceback that help nobody to correct a key.
    """
    run_logger.error("%s: %s", state.name, error)
    last = f"Finished in state {state.name}("
    logging.getLogger("prefect.flow_runs").addFilter(
        lambda record: (
            not record.getMessage().startswith(last)
            and (record.exc_info is None or record.exc_info[1] is not error)
        )
    )


class _Forwarder(logging.Handler):
    def __init__(self, run_logger: RunLogger) -> None:
        super().__init__()
        self._run_logger = run_logger

    def emit(self, record: logging.LogRecord) -> None:
        self._run_logger.log(record.levelno, "%s", record.getMessage(), exc_info=record.exc_info)
