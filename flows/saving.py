"""A batch that the storage did not take is saved again: what Prefect retries, and all that it does.

What was received is in memory still, so the gateway is asked for nothing twice. Requests are
retried by the client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prefect import State, task
from prefect.cache_policies import NO_CACHE
from prefect.states import Completed, Failed

from connector.errors import StorageFailed

if TYPE_CHECKING:
    from collections.abc import Callable

DELAYS: Final = [2.0, 10.0, 30.0]
"""Seconds between tries: a share that is mounted anew needs some; a disk that is full stays so."""


def save_again(batch: int, save: Callable[[], None]) -> bool:
    """Try to save, until it works or the tries are over; tell whether it did."""

    @task(
        name="save again",
        task_run_name=f"batch {batch}, saved again",
        cache_policy=NO_CACHE,
        persist_result=False,
        retries=len(DELAYS),
        retry_delay_seconds=DELAYS,
    )
    def again() -> State[None]:
        try:
            save()
        except StorageFailed as error:
            # Not raised: that would log a traceback, when the message says it all.
            return Failed(message=str(error))
        return Completed(message="the storage took it")

    return bool(again(return_state=True).is_completed())
