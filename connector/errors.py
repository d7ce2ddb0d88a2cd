"""What can end a run, classed by what happens next.

::

    ConnectorError
    ├── UsageError            nothing was started: mend the call and try again     exit 2
    │   ├── SettingsError       a setting is missing or makes no sense
    │   ├── SourceError         the task IDs cannot be read
    │   └── WarehouseError      the warehouse cannot be used
    │       ├── WarehouseLocked   another run is writing to it
    │       └── DamagedFile       a file of it cannot be read
    └── RunStopped            the run ended early; all that was received is kept   exit 4
        ├── KeyRefused          the gateway refuses the key                        exit 3
        ├── AccountRefused      no credit, no quota, or a page for people in between
        ├── GatewayDown         nothing but failures in a row
        ├── WrongGateway        the first answers all refuse, from an address not known to work
        ├── NothingFetched      every answer was a refusal that may pass
        ├── WaitTooLong         Retry-After asks for more than `--max-wait`
        ├── StorageFailed       the disk is full, or can no longer be written
        └── Interrupted         SIGINT or SIGTERM                                  exit 130, 143

A task that could not be fetched is not an exception: it is an `Answer` whose outcome says why
(`connector.record.answer`), and the run goes on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from connector.summary import Summary


class ConnectorError(Exception):
    """Base of every error that this package raises on purpose; its text is for people."""

    exit_code = 1


class UsageError(ConnectorError):
    """The call cannot work as it was made; nothing was fetched."""

    exit_code = 2


class SettingsError(UsageError):
    """A setting is missing, or its value makes no sense."""


class SourceError(UsageError):
    """A source of task IDs cannot be read, or holds none."""


class WarehouseError(UsageError):
    """The warehouse cannot be read or written."""


class WarehouseLocked(WarehouseError):
    """Another run is writing to this warehouse."""


class DamagedFile(WarehouseError):
    """A file of the warehouse is cut short or otherwise unreadable."""


class RunStopped(ConnectorError):
    """The run ended before its list did; what was received is kept, and the next run goes on."""

    exit_code = 4
    summary: Summary | None = None
    """How far the run came."""


class KeyRefused(RunStopped):
    """The gateway refuses the key."""

    exit_code = 3


class AccountRefused(RunStopped):
    """The gateway refuses the account, or lets only people pass; it is true of every task."""


class GatewayDown(RunStopped):
    """Too many tasks in a row failed because the gateway is unreachable: going on is pointless."""


class WrongGateway(RunStopped):
    """The first answers all refuse alike, and the base URL has never given a generation."""


class NothingFetched(RunStopped):
    """Every answer was a refusal that may pass."""


class WaitTooLong(RunStopped):
    """The gateway asks to wait longer than the run may."""


class StorageFailed(RunStopped):
    """The warehouse can no longer be written: the disk is full, read-only or broken.

    Attributes:
        may_pass: Whether trying again soon may work.
    """

    def __init__(self, message: str, *, may_pass: bool = True) -> None:
        super().__init__(message)
        self.may_pass = may_pass


class Interrupted(RunStopped):
    """A signal asked the run to end."""

    def __init__(self, message: str, *, exit_code: int = 130) -> None:
        super().__init__(message)
        self.exit_code = exit_code
