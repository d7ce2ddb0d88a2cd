"""The final states of a run. Their names are for automations, their messages for people.

======================  =========  ===============================================================
name                    type       when
======================  =========  ===============================================================
Completed               COMPLETED  everything was requested, with no more rejects than allowed
CompletedWithRejects    COMPLETED  everything was requested, with more rejects than allowed
StoppedEarly            FAILED     the key was refused, the gateway is down, the disk is full, …
WarehouseBusy           CANCELLED  another run is writing; the next run does this one's work
Failed                  FAILED     it could not start: a setting, the task IDs, the warehouse
======================  =========  ===============================================================

Cancelled and Crashed are Prefect's: someone ended the run, or its process died.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prefect.states import Cancelled, Completed, Failed

from connector.errors import RunStopped, WarehouseLocked
from connector.run.account import headline
from connector.words import plain

if TYPE_CHECKING:
    from prefect import State

    from connector.errors import ConnectorError
    from connector.summary import Summary

COMPLETED_WITH_REJECTS: Final = "CompletedWithRejects"
STOPPED_EARLY: Final = "StoppedEarly"
WAREHOUSE_BUSY: Final = "WarehouseBusy"


def of_summary(summary: Summary, rejects_allowed: float) -> State[Summary]:
    """Return the state of a run that requested everything it had planned.

    Args:
        summary: The run's summary.
        rejects_allowed: Percent of the answers that may be rejects.
    """
    beyond = summary.rejects_beyond(rejects_allowed)
    if beyond is None:
        return Completed(message=headline(summary), data=summary)
    message = f"{beyond}; {headline(summary)}"
    return Completed(name=COMPLETED_WITH_REJECTS, message=message, data=summary)


def of_error(error: ConnectorError) -> State[Summary]:
    """Return the state of a run that could not start or stopped early."""
    message, data = plain(error), error.with_traceback(None)
    if isinstance(error, WarehouseLocked):
        return Cancelled(name=WAREHOUSE_BUSY, message=message, data=data)
    if isinstance(error, RunStopped):
        return Failed(name=STOPPED_EARLY, message=message, data=data)
    return Failed(message=message, data=data)
