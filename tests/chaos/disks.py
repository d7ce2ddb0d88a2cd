"""Real disks of a chosen size, to fill up or make read-only. Mounting needs root."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def can_mount() -> bool:
    """Whether this process may mount a disk."""
    if os.geteuid() or not shutil.which("unshare"):
        return False
    # Root in a container may not.
    return not subprocess.run(
        ["unshare", "--mount", "true"], check=False, capture_output=True
    ).returncode


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk in memory, mounted on a folder."""

    folder: Path

    def remount(self, *options: str) -> None:
        """Change its size or mode: `size=8m`, `ro`, `rw`."""
        chosen = ",".join(("remount", *options))
        subprocess.run(["mount", "-o", chosen, str(self.folder)], check=True)

    def used(self) -> int:
        """Bytes in use."""
        return shutil.disk_usage(self.folder).used


@contextmanager
def disk(folder: Path, size: str) -> Iterator[Disk]:
    """Mount a disk of a size such as `200k` for the length of the block."""
    folder.mkdir(parents=True, exist_ok=True)
    options = ["-t", "tmpfs", "-o", f"size={size}"]
    subprocess.run(["mount", *options, "tmpfs", str(folder)], check=True)
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
