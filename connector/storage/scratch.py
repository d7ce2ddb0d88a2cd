"""Folders on the local disk for what does not fit into memory, each removed with its owner."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

# Prefix of the folders; the process ID follows.
SCRATCH: Final = "luma-to-parquet-"


def new_scratch() -> tempfile.TemporaryDirectory[str]:
    """A folder that lives as long as the object that is returned."""
    return tempfile.TemporaryDirectory(
        prefix=f"{SCRATCH}{os.getpid()}-", ignore_cleanup_errors=True
    )


def sweep_scratch() -> None:
    """Remove the folders of processes that have ended."""
    for folder in Path(tempfile.gettempdir()).glob(f"{SCRATCH}*"):
        if not _lives(folder.name.removeprefix(SCRATCH).partition("-")[0]):
            shutil.rmtree(folder, ignore_errors=True)


def _lives(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        pass
    return True
