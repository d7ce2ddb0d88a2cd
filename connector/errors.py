"""The errors that end a run, classed by what happens next.

::

    ConnectorError
    ├── UsageError            nothing was started: correct the call, try again     exit 2
    │   ├── SettingsError       a setting is missing or invalid
    │   ├── SourceError         the task IDs cannot be read
    │   └── WarehouseError      the warehouse cannot be used
    │       ├── WarehouseLocked   another run is writing to it
    │       └── DamagedFile       a file of it cannot be read
    └── RunStopped            the run ended early; everything received is kept     exit 4
        ├── KeyRefused          the gateway refuses the key                        exit 3
        ├── AccountRefused      no credit, no quota, a login page, or a firewall
        ├── GatewayDown         only failures in a row
        ├── WrongGateway        the first answers are all the same refusal
        ├── NothingFetched      every answer was a refusal that may pass
        ├── WaitTooLong         Retry-After asks for more than `--max-wait`
        ├── StorageFailed       the storage is full or cannot be written
        └── Interrupted         SIGINT or SIGTERM                                  exit 130, 143

A task that could not be fetched is not an exception: it is an `Answer` whose outcome says why
(`connector.record.answer`), and the run goes on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from connector.summary import Summary


class ConnectorError(Exception):
    """Base of all errors that this package raises on purpose; the text is for people."""

    exit_code = 1


class UsageError(ConnectorError):
    """The call cannot work as given; nothing was fetched."""

    exit_code = 2


class SettingsError(UsageError):
    """A setting is missing or invalid."""


class SourceError(UsageError):
    """A source of task IDs cannot be read or is empty."""


class WarehouseError(UsageError):
    """The warehouse cannot be read or written."""


class WarehouseLocked(WarehouseError):
    """Another run is writing to this warehouse."""


class DamagedFile(WarehouseError):
    """A file of the warehouse is cut short or otherwise unreadable.

    Attributes:
        what: The file and what is wrong with it, without the remedy.
    """

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what

    def __str__(self) -> str:
        return f"{self.what}. `luma-to-parquet rebuild` mends it, or says what cannot be mended"


class RunStopped(ConnectorError):
    """The run ended early; what it received is kept, and the next run continues.

    Attributes:
        summary: How far the run got; None if it ended before it could say.
    """

    exit_code = 4
    summary: Summary | None = None


class KeyRefused(RunStopped):
    """The gateway refuses the key."""

    exit_code = 3


class AccountRefused(RunStopped):
    """The gateway refuses the account, or serves a page meant for people, for every task."""


class GatewayDown(RunStopped):
    """Too many tasks in a row failed: the gateway is unreachable or broken."""


class WrongGateway(RunStopped):
    """The first answers are all the same refusal, from a base URL that never gave a generation."""


class NothingFetched(RunStopped):
    """Every answer was a refusal that may pass."""


class WaitTooLong(RunStopped):
    """The gateway asks to wait for longer than the run may."""


class StorageFailed(RunStopped):
    """The warehouse can no longer be written: the storage is full, read-only or broken.

    Attributes:
        may_pass: Whether a retry may work soon.
    """

    def __init__(self, message: str, *, may_pass: bool = True) -> None:
        super().__init__(message)
        self.may_pass = may_pass

    @classmethod
    def of(cls, error: OSError) -> StorageFailed:
        """A file, a folder or a disk failed, not the program."""
        return cls(
            f"cannot use {error.filename or 'a file'}: {error.strerror or error}. What was saved"
            " before is kept; mend it, and run this again."
        )

    @classmethod
    def reading(cls, what: str, why: object) -> StorageFailed:
        """The error where a file or folder is there, but the storage does not give it."""
        return cls(
            f"cannot read {what}: {why}. Nothing was changed; start again when the storage can be"
            " read."
        )


class Interrupted(RunStopped):
    """A signal asked the run to end."""

    def __init__(self, message: str, *, exit_code: int = 130) -> None:
        super().__init__(message)
        self.exit_code = exit_code
