"""The lock of a warehouse in an object store: one writer at a time, whose claim it renews.

To become the writer, a process puts a claim under a name of its own into `.lock/`, then lists the
folder. If its claim is the only one, it is the writer; otherwise it removes its claim. A store
shows a new object in every listing that starts after the put, so of two simultaneous claims at
least one sees the other. At worst both step back and retry at random times.

A claim not renewed for `EXPIRES` seconds, by the store's own clock, belongs to a dead process and
is removed; on the owner's machine, a dead process is noticed at once. A writer that could not renew
its claim for `FENCE` seconds writes nothing more. One gap remains: a writer frozen for minutes in
the middle of an upload, which then completes it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import random
import secrets
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from pyarrow import fs

from connector.errors import StorageFailed, WarehouseError, WarehouseLocked
from connector.storage.address import NO_BUCKET, is_to_mend, reason
from connector.storage.owner import describe, is_dead, locked_message, this_process

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connector.storage.address import Place

logger = logging.getLogger(__name__)

FOLDER: Final = ".lock"

# Seconds between renewals, and without one until the writer stops.
RENEW: Final = 15.0
FENCE: Final = 60.0

# Seconds; longer than `FENCE` by the time of one request with all its retries.
EXPIRES: Final = 180.0

# Seconds in which a claim may still be withdrawn: reading it would race with that.
YOUNG: Final = 1.0

# Two processes that start at the same time must not both give up.
TRIES: Final = 4
LONGEST_PAUSE: Final = 5.0


class Lease:
    """The exclusive right to write to a place."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._fs = place.filesystem
        self._folder = f"{place.path}/{FOLDER}"
        self._path = f"{self._folder}/{secrets.token_hex(8)}.json"
        self._renewed_at: float | None = None

    @property
    def is_held(self) -> bool:
        """Whether this process is the writer, so that no other one replaces files."""
        return self._renewed_at is not None

    def check(self) -> None:
        """Verify that this process still holds its lease; without a lease, do nothing.

        Raises:
            StorageFailed: The lease may be lost.
        """
        if self._renewed_at is not None and _now() - self._renewed_at > FENCE:
            raise StorageFailed(
                f"this run may no longer write to {self._place.address}: it could not renew its"
                f" lock for {FENCE:.0f} s, and another run may have begun. What was saved before is"
                " kept; the next run goes on from here.",
                may_pass=False,
            )

    @contextlib.contextmanager
    def held(self, timeout: float) -> Iterator[None]:
        """Hold the lease for the block.

        Args:
            timeout: Seconds to wait for another writer to end.

        Raises:
            WarehouseLocked: Another writer still has it; the message names it.
            WarehouseError: The place cannot be written until someone corrects the settings.
            StorageFailed: The place cannot be written now.
        """
        self._acquire(timeout)
        done = threading.Event()
        renewing = threading.Thread(target=self._keep, args=(done,), daemon=True)
        renewing.start()
        try:
            yield
        finally:
            done.set()
            renewing.join()
            self._renewed_at = None
            with contextlib.suppress(OSError):
                self._fs.delete_file(self._path)

    def _acquire(self, timeout: float) -> None:
        deadline, tries = _now() + timeout, 0
        while True:
            tries += 1
            others = self._claim()
            if not others:
                return
            if tries >= TRIES and _now() >= deadline:
                raise WarehouseLocked(self._taken_by(others[0]))
            # Random, and longer each time, so that competitors try at different times.
            time.sleep(random.uniform(0.2, 1.0) * min(tries, LONGEST_PAUSE))

    def _claim(self) -> list[dict[str, Any]]:
        """Become the writer, or return the other claims."""
        try:
            self._put()
        except FileNotFoundError as error:  # from Google, which needs no folder: the bucket
            raise WarehouseError(f"cannot write to {self._place.address}: {NO_BUCKET}") from error
        except OSError as error:
            raise self._failed(error) from error
        try:
            others = list(self._others())
            if others:
                self._renewed_at = None
                self._fs.delete_file(self._path)
        except OSError as error:
            raise self._failed(error) from error
        return others

    def _failed(self, error: OSError) -> WarehouseError | StorageFailed:
        kind = WarehouseError if is_to_mend(error) else StorageFailed
        return kind(f"cannot write to {self._place.address}: {reason(error)}")

    def _put(self) -> None:
        at = _now()
        with self._place.single_put().open_output_stream(self._path, compression=None) as file:
            file.write(json.dumps(this_process()).encode())
        self._renewed_at = at

    def _others(self) -> Iterator[dict[str, Any]]:
        """Yield the claims of live writers; remove those of dead ones."""
        found = self._fs.get_file_info(fs.FileSelector(self._folder, allow_not_found=True))
        mine = next(one for one in found if one.path == self._path)
        for one in found:
            if one.is_file and one.path != self._path:
                age = (mine.mtime - one.mtime).total_seconds()
                claim = self._read(one.path) if age > YOUNG else {}
                if claim is None:
                    continue
                if age > EXPIRES or is_dead(claim):
                    logger.info("removing the claim of a dead writer: %s", describe(claim))
                    with contextlib.suppress(FileNotFoundError):
                        self._fs.delete_file(one.path)
                else:
                    yield {**claim, "path": one.path, "age": age}

    def _read(self, path: str) -> dict[str, Any] | None:
        """Read a claim; None if it was withdrawn meanwhile."""
        try:
            with self._fs.open_input_stream(path) as file:
                claim: dict[str, Any] = json.loads(file.read())
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            return {}
        return claim

    def _keep(self, done: threading.Event) -> None:
        """Renew the claim until `done` is set."""
        while not done.wait(RENEW):
            try:
                if not self._fs.get_file_info(self._path).is_file:
                    self._renewed_at = -FENCE  # another process took this one for dead
                    return
                self._put()
            except OSError as error:
                logger.warning(
                    "the lock of %s could not be renewed: %s", self._place.address, reason(error)
                )

    def _taken_by(self, claim: dict[str, Any]) -> str:
        sign_of_life = f"; last sign of life {max(claim['age'], 0):.0f} s ago"
        message = locked_message(self._place.address, self._read(claim["path"]), sign_of_life)
        return f"{message}. If it has died, its lock expires after {EXPIRES:.0f} s."


def _now() -> float:
    """Monotonic seconds, including time asleep where the system counts it."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
