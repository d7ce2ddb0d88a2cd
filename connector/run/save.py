"""Saves answers to the inbox, with retries where the storage may recover.

The answers stay in memory meanwhile, so that nothing is requested twice.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from connector.errors import StorageFailed

if TYPE_CHECKING:
    import threading

    from connector.record.answer import Answer
    from connector.warehouse.warehouse import Warehouse

# Seconds between tries: a share may be mounted again; a full disk stays full.
DELAYS: Final = (2.0, 10.0, 30.0)

logger = logging.getLogger(__name__)


def save_answers(
    warehouse: Warehouse,
    batch: str,
    answers: list[Answer],
    run_id: str,
    stop: threading.Event,
    *,
    is_writer: bool = True,
) -> None:
    """Make a batch of answers durable, with retries.

    Args:
        warehouse: The warehouse whose inbox takes the batch.
        batch: Name of the batch.
        answers: Its answers.
        run_id: The run that received them.
        stop: When set, one more try is made, without a wait.
        is_writer: As for `Warehouse.save`.

    Raises:
        AnswersLost: The batch cannot be saved.
        StorageFailed: The storage failed after it had saved the batch, which the next run commits.
    """
    for delay in (*DELAYS, None):
        try:
            warehouse.save(batch, answers, run_id, is_writer=is_writer)
        except StorageFailed as failed:
            # If only the last step failed, the batch is there, and the next commit takes it.
            if _holds(warehouse, batch):
                raise
            if delay is None or not failed.may_pass or stop.is_set():
                raise AnswersLost(str(failed)) from failed
            logger.warning("%s; trying again in %g s", failed, delay)
            stop.wait(delay)
        else:
            return


def _holds(warehouse: Warehouse, batch: str) -> bool:
    """Whether the inbox has the batch; False if the storage does not say."""
    try:
        return warehouse.has(batch)
    except (StorageFailed, OSError):
        return False


class AnswersLost(StorageFailed):
    """A batch of answers could not be saved: its task IDs count as not reached."""
