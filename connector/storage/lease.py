"""The lock of a warehouse in an object store: one writer at a time, whose lock it renews.

The lock is one object, `.lock/writer.json`. Every write of it is conditional on what the writer
last saw, so only one of several writers gets it, and one that lost it notices at its next write.
The object outlives its owners and counts them (`generation`).

A lock not renewed for `EXPIRES` seconds, by the store's own clock, belongs to a dead process; on
the owner's machine, a dead process is noticed at once. An owner taken for dead may just be frozen,
and wake up with a request half sent. So before it replaces an object, a writer notes the object and
its tag in the lock; the request is conditional on that tag; and a writer that takes over from one
that did not give up the lock changes the tags of what is noted (`takeover.py`). Then none of the
former owner's requests can replace anything.

A store that does not honour conditions is left to `claims.py`; what is then not promised is in
`Lease.caveat`.
"""

from __future__ import annotations

import contextlib
import json
import logging
import random
import secrets
import threading
import time
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Final

from connector.errors import StorageFailed, WarehouseError, WarehouseLocked
from connector.storage.claims import FOLDER, LOCK_FILE, Claims
from connector.storage.conditional import NO_TAG, Changed, ConditionalStore
from connector.storage.owner import is_dead, locked_message, this_process
from connector.storage.store_errors import NO_BUCKET, is_to_mend, may_pass, reason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connector.storage.address import Place
    from connector.storage.conditional import Tag

logger = logging.getLogger(__name__)

# Seconds between renewals, and without one until the writer stops or renews at once.
RENEW: Final = 15.0
FENCE: Final = 60.0

# Seconds; longer than `FENCE` by the time of one request with all its retries.
EXPIRES: Final = 180.0

# Two processes that start at the same time must not both give up.
TRIES: Final = 4
LONGEST_PAUSE: Final = 5.0


class Lease:
    """The exclusive right to write to a place.

    Attributes:
        store: For conditional writes, while the lock is held; None if the store has none.
        caveat: What is not promised for lack of conditional writes; known once the lock was held.
    """

    def __init__(self, place: Place) -> None:
        self.store: ConditionalStore | None = None
        self.caveat = ""
        self._place = place
        self._path = f"{place.path}/{FOLDER}/{LOCK_FILE}"
        self._claims = Claims(place)
        self._renewed_at: float | None = None
        self._is_lost = False
        self._tag: Tag | None = None
        self._note: dict[str, Any] = {}
        self._replacing: list[dict[str, Any]] = []
        self._writing = threading.RLock()

    @property
    def is_held(self) -> bool:
        """Whether this process is the writer, so that no other one replaces files."""
        return self._renewed_at is not None

    def check(self) -> None:
        """Verify that this process still holds its lease; without a lease, do nothing.

        Raises:
            StorageFailed: The lease is lost, or may be.
        """
        if self._renewed_at is None:
            return
        if not self._is_lost and _now() - self._renewed_at > FENCE and self.store:
            with contextlib.suppress(OSError):
                self.verify()
        if self._is_lost or _now() - self._renewed_at > FENCE:
            raise self._lost(f"it could not renew its lock for {FENCE:.0f} s, and another may have")

    def verify(self) -> None:
        """Renew the lock now: what this writer read before is then still so.

        Raises:
            StorageFailed: Another writer has it.
            OSError: The store failed or refused.
        """
        if self.store is None or self._renewed_at is None:
            self.check()
            return
        try:
            self._write(is_held=True)
        except Changed:
            self._is_lost = True
            raise self._lost("its lock was taken over, so another has") from None

    def _lost(self, why: str) -> StorageFailed:
        return StorageFailed(
            f"this run may no longer write to {self._place.address}: {why} begun. What was saved"
            " before is kept; the next run goes on from here.",
            may_pass=False,
        )

    @contextlib.contextmanager
    def replacing(self, path: str, tag: Tag | None) -> Iterator[None]:
        """Note in the lock that the block replaces the object that has this tag.

        The note stays if the block fails, since its request may yet arrive.

        Raises:
            StorageFailed: Another writer has the lock.
            OSError: The store failed or refused.
        """
        note = {"path": path, "tag": tag}
        self._replacing.append(note)
        self.verify()
        yield
        self._replacing.remove(note)

    @contextlib.contextmanager
    def held(self, timeout: float) -> Iterator[list[dict[str, Any]]]:
        """Hold the lease for the block; wait `timeout` seconds for another writer to end.

        Yields:
            What an earlier owner, who did not give up the lock, may yet replace: `path` and `tag`.

        Raises:
            WarehouseLocked: Another writer still has it; the message names it.
            WarehouseError: The place cannot be written until someone corrects the settings.
            StorageFailed: The place cannot be written now.
        """
        self._acquire(timeout)
        done = threading.Event()
        # As in `connector.gateway.fetch`, in the run's context.
        keep = copy_context().run
        renewing = threading.Thread(target=keep, args=(self._keep, done), daemon=True)
        renewing.start()
        try:
            yield list(self._replacing)
        finally:
            done.set()
            renewing.join()
            with contextlib.suppress(OSError):
                self._give_up()
            self._renewed_at = None

    def settle(self) -> None:
        """Forget what an earlier owner may replace: it cannot any more."""
        self._replacing.clear()

    def _acquire(self, timeout: float) -> None:
        deadline, tries = _now() + timeout, 0
        while True:
            tries += 1
            others = self._try()
            if not others:
                return
            if tries >= TRIES and _now() >= deadline:
                raise WarehouseLocked(self._taken_by(others[0]))
            # Random, and longer each time, so that competitors try at different times.
            time.sleep(random.uniform(0.2, 1.0) * min(tries, LONGEST_PAUSE))

    def _try(self) -> list[dict[str, Any]]:
        """Become the writer, or return who is."""
        try:
            others = None if self.caveat else self._try_lock()
            return self._try_claim() if others is None else others
        except FileNotFoundError as error:  # from Google, which needs no folder: the bucket
            raise WarehouseError(f"cannot write to {self._place.address}: {NO_BUCKET}") from error
        except OSError as error:
            kind = WarehouseError if is_to_mend(error) else StorageFailed
            raise kind(f"cannot write to {self._place.address}: {reason(error)}") from error

    def _try_lock(self) -> list[dict[str, Any]] | None:
        """As `_try`, by the lock object; None if the store does not support that."""
        try:
            self.store = self.store or ConditionalStore(self._place)
            found = self.store.get(self._path)
            note, self._tag = (_parse(found[0]), found[1]) if found else ({}, None)
            age = self._age_of(note)
            if age is not None:
                return [{**note, "age": age}]
            self._replacing = _intents(note)
            self._note = {
                **this_process(),
                "generation": _number(note, "generation") + 1,
                "token": secrets.token_hex(8),
            }
            self._is_lost = False
            self._write(is_held=True)
            if not self._is_conditional():
                self._do_without("ignores conditional writes")
                return None
        except Changed:
            return [{"age": 0.0}]
        except FileNotFoundError:
            raise
        except OSError as error:
            if may_pass(error):
                raise
            self._do_without(f"refuses conditional writes ({reason(error)})")
            return None
        others = self._claims.live(EXPIRES, self._path)
        if others:  # of an earlier release
            self._give_up()
        return others

    def _do_without(self, why: str) -> None:
        if self._renewed_at is not None:  # a held lock would count as another's claim
            with contextlib.suppress(OSError):
                self._place.filesystem.delete_file(self._path)
        self.store = self._renewed_at = None
        self.caveat = (
            f"{self._place.address}: the store {why}, so runs are kept apart by claims that expire."
            " Not promised then: that a run which was frozen for minutes replaces no newer data"
        )
        logger.warning("%s.", self.caveat)

    def _age_of(self, note: dict[str, Any]) -> float | None:
        """Seconds since the owner renewed the lock; None if it has given it up, or is dead."""
        if not note.get("is_held") or is_dead(note):
            return None
        age = self._claims.age_of(self._path)
        return None if age > EXPIRES else age

    def _is_conditional(self) -> bool:
        """Whether the store refuses a write whose condition does not hold."""
        for tag in (None, NO_TAG):
            try:
                self.store.put(self._path, self._content(is_held=True), tag)  # type: ignore[union-attr]  # set before
            except Changed:
                continue
            return False
        return True

    def _try_claim(self) -> list[dict[str, Any]]:
        at = _now()
        self._claims.put()
        others = self._claims.live(EXPIRES)
        if others:
            self._claims.withdraw()
        else:
            self._renewed_at = at
        return others

    def _content(self, *, is_held: bool) -> bytes:
        note = {**self._note, "is_held": is_held, "replacing": self._replacing}
        return json.dumps(note).encode()

    def _write(self, *, is_held: bool) -> None:
        """Write the lock as its owner.

        Raises:
            Changed: Another writer has it.
            OSError: The store failed or refused.
        """
        store = self.store
        assert store is not None  # noqa: S101  for the type checker
        with self._writing:
            at = _now()
            # An unchanged content would have an unchanged tag.
            self._note["renewals"] = _number(self._note, "renewals") + 1
            content = self._content(is_held=is_held)
            try:
                self._tag = store.put(self._path, content, self._tag)
            except Changed:
                # The answer to this request, or to an earlier one, may have been lost.
                found = store.get(self._path)
                if found is None or _parse(found[0]).get("token") != self._note["token"]:
                    raise
                self._tag = store.put(self._path, content, found[1])
            self._renewed_at = at

    def _give_up(self) -> None:
        """Leave the lock to others.

        Raises:
            OSError: The store failed or refused.
        """
        if self.store is None:
            self._claims.withdraw()
        elif not self._is_lost:
            with contextlib.suppress(Changed):
                self._write(is_held=False)
        self._renewed_at = None

    def _keep(self, done: threading.Event) -> None:
        """Renew the lock until `done` is set."""
        while not done.wait(RENEW):
            try:
                if self.store:
                    self.verify()
                elif self._claims.is_there():
                    at = _now()
                    self._claims.put()
                    self._renewed_at = at
                else:
                    self._is_lost = True  # another process took this one for dead
                    return
            except StorageFailed:
                return
            except OSError as error:
                logger.warning(
                    "the lock of %s could not be renewed: %s", self._place.address, reason(error)
                )

    def _taken_by(self, claim: dict[str, Any]) -> str:
        sign_of_life = f"; last sign of life {max(claim['age'], 0):.0f} s ago"
        message = locked_message(self._place.address, claim, sign_of_life)
        return f"{message}. If it has died, its lock expires after {EXPIRES:.0f} s."


def _parse(content: bytes) -> dict[str, Any]:
    """A note in the lock; empty if someone damaged it."""
    try:
        note = json.loads(content)
    except ValueError:
        return {}
    return note if isinstance(note, dict) else {}


def _number(note: dict[str, Any], name: str) -> int:
    found = note.get(name)
    return found if isinstance(found, int) else 0


def _intents(note: dict[str, Any]) -> list[dict[str, Any]]:
    found = note.get("replacing")
    return (
        [one for one in found if {"path", "tag"} <= one.keys()] if isinstance(found, list) else []
    )


def _now() -> float:
    """Monotonic seconds, including time asleep where the system counts it."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
