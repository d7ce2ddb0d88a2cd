"""The owner of a warehouse's lock: as written beside the lock, and in messages."""

from __future__ import annotations

import os
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def this_process() -> dict[str, Any]:
    """This process, as plain values."""
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "processes": _processes(),
    }


def _processes() -> str | None:
    """Identify this space of process numbers; None where the system does not say.

    Container names repeat; a boot of the kernel and a namespace in it do not.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"  # noqa: PTH115  the target is a text, not a path
    except OSError:
        return None


def is_dead(owner: Mapping[str, Any]) -> bool:
    """Whether an owner ran in this space of process numbers, and has ended."""
    here = _processes()
    if here is None or owner.get("processes") != here:
        return False
    return not Path("/proc", str(owner.get("pid"))).exists()


def describe(owner: object) -> str:
    """An owner in words; "owner unknown" for anything else."""
    try:
        return f"host {owner['host']}, process {owner['pid']}, since {owner['started_at']}"  # type: ignore[index]
    except (KeyError, TypeError):
        return "owner unknown"


def locked_message(address: object, owner: object, sign_of_life: str = "") -> str:
    """The message that another run is writing."""
    return (
        f"another run is writing to {address} ({describe(owner)}{sign_of_life}): wait for it, or"
        " let this one wait with `lock_timeout=600`, in seconds"
    )
