"""The lock of a store that has no conditional writes, as all had it in earlier releases.

To become the writer, a process puts a claim under a name of its own into `.lock/`, then lists the
folder. If its claim is the only one, it is the writer; otherwise it removes its claim. A store
shows a new object in every listing that starts after the put, so of two simultaneous claims at
least one sees the other. At worst both step back and retry at random times.

A claim whose owner has ended is removed at once on the owner's machine, elsewhere when it is old by
the store's own clock. The lock object (`lease.py`) counts as a claim while it is held.
"""

from __future__ import annotations

import contextlib
import json
import logging
import secrets
from typing import TYPE_CHECKING, Any, Final

from pyarrow import fs

from connector.storage.owner import describe, is_dead, this_process

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connector.storage.address import Place

logger = logging.getLogger(__name__)

FOLDER: Final = ".lock"
LOCK_FILE: Final = "writer.json"

# Prefix of objects that only tell the store's time.
CLOCK: Final = "clock-"

# Seconds in which a claim may still be withdrawn: reading it would race with that.
YOUNG: Final = 1.0


class Claims:
    """The claims on a place, and the one of this writer."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._fs = place.filesystem
        self._folder = f"{place.path}/{FOLDER}"
        self._path = f"{self._folder}/{secrets.token_hex(8)}.json"

    def put(self) -> None:
        """Put or renew the claim of this writer.

        Raises:
            OSError: The store failed or refused.
        """
        self._put(self._path)

    def _put(self, path: str) -> None:
        with self._place.single_put().open_output_stream(path, compression=None) as file:
            file.write(json.dumps(this_process()).encode())

    def is_there(self) -> bool:
        """Whether the claim of this writer is in the store."""
        return bool(self._fs.get_file_info(self._path).is_file)

    def withdraw(self) -> None:
        """Remove the claim of this writer."""
        self._remove(self._path)

    def _remove(self, path: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._fs.delete_file(path)

    def age_of(self, path: str) -> float:
        """Seconds since an object was written, by the store's clock; 0 if it is gone.

        Raises:
            OSError: The store failed or refused.
        """
        clock = f"{self._folder}/{CLOCK}{secrets.token_hex(8)}"
        try:
            self._put(clock)
            mine, other = self._fs.get_file_info([clock, path])
        finally:
            self._remove(clock)
        both_exist = mine.is_file and other.is_file
        return float((mine.mtime - other.mtime).total_seconds()) if both_exist else 0.0

    def live(self, expires: float, mine: str | None = None) -> list[dict[str, Any]]:
        """The claims of other live writers; those of dead ones are removed.

        Args:
            expires: Seconds after which an owner that did not renew its claim is dead.
            mine: Path of an object just written, which gives the store's time; None for the claim.

        Returns:
            Each claim, with the seconds since it was renewed as `age`.
        """
        return list(self._live(expires, mine or self._path))

    def _live(self, expires: float, mine: str) -> Iterator[dict[str, Any]]:
        found = self._fs.get_file_info(fs.FileSelector(self._folder, allow_not_found=True))
        now = next((one.mtime for one in found if one.path == mine), None)
        if now is None:  # another process took this one for dead: step back
            yield {"age": 0.0}
            return
        for one in found:
            if not one.is_file or one.path == mine:
                continue
            age = (now - one.mtime).total_seconds()
            is_lock = one.base_name == LOCK_FILE
            claim = self._read(one.path) if is_lock or age > YOUNG else {}
            if claim is None or not claim.get("is_held", True):
                continue
            if age > expires or is_dead(claim):
                logger.info("removing the claim of a dead writer: %s", describe(claim))
                self._remove(one.path)
            elif not one.base_name.startswith(CLOCK):
                # A young one was not read, but a message names its owner.
                yield {**(claim or self._read(one.path) or {}), "age": age}

    def _read(self, path: str) -> dict[str, Any] | None:
        """Read a claim; None if it was withdrawn meanwhile."""
        try:
            with self._fs.open_input_stream(path) as file:
                claim = json.loads(file.read())
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            return {}
        return claim if isinstance(claim, dict) else {}
