"""Answers into the inbox: tried again where the storage may come back, else counted as lost.

What was received is in memory still, so the gateway is asked for nothing twice.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from connector.errors import StorageFailed

if TYPE_CHECKING:
    import threading

    from connector.record.answer import Answer
    from connector.warehouse.warehouse import Warehouse

# Seconds between tries: a share that is mounted again needs some; a disk that is full stays so.
DELAYS: Final = (2.0, 10.0, 30.0)

logger = logging.getLogger(__name__)


def save_answers(
    warehouse: Warehouse,
    batch: str,
    answers: list[Answer],
    run_id: str,
    stop: threading.Event,
) -> None:
    """Make a batch of answers durable, in as many tries as it takes.

    Args:
        warehouse: It takes the batch into its inbox.
        batch: Name of the batch.
        answers: All of it.
        run_id: Of the run that asked.
        stop: When set, there is one more try, and no further wait.

    Raises:
        StorageFailed: The storage does not take the batch, and does not hold it already.
    """
    for delay in (*DELAYS, None):
        try:
            warehouse.save(batch, answers, run_id)
        except StorageFailed as failed:
            # What failed may have been the last step: then the batch is there, and gets committed.
            if warehouse.has(batch):
                raise
            if delay is None or not failed.may_pass or stop.is_set():
                raise AnswersLost(str(failed)) from failed
            logger.warning("%s; trying again in %g s", failed, delay)
            stop.wait(delay)
        else:
            return


class AnswersLost(StorageFailed):
    """A batch of answers could not be saved: its task IDs count as not reached."""
