"""Replaces files atomically and durably: a reader sees the old or the new one, whole."""

from __future__ import annotations

import contextlib
import glob
import os
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from connector.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

# Seconds after which nobody writes to a draft any more: its process was killed.
OLD_DRAFT: Final = 86_400.0


def put_in_place(draft: Path, target: Path) -> None:
    """Rename a written draft to the target; a power cut leaves one of the two, whole.

    Raises:
        OSError: The file system refuses.
    """
    with draft.open("rb+") as file:
        os.fsync(file.fileno())
    os.replace(draft, target)  # noqa: PTH105  one system call, visible in a trace
    sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Make a rename in this folder survive a power cut.

    Raises:
        OSError: The file system refuses.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Yield a path to write to; the file replaces the target when the block ends without an error.

    Raises:
        UsageError: The folder does not exist, the disk is full, or the target is not writable.
    """
    real = Path(os.path.realpath(target))  # a link stays one
    draft = real.with_name(f".{real.name}.{os.getpid()}.tmp")
    if target.is_dir():
        raise UsageError(f"{target} is a folder: name a file")
    if target.exists() and not target.is_file():
        raise UsageError(f"{target} is a device or a pipe, which cannot be replaced: name a file")
    try:
        _sweep(real)
        yield draft
        put_in_place(draft, real)
    except OSError as error:
        # Arrow's own text names the draft, or nothing.
        why = os.strerror(error.errno) if error.errno else error
        raise UsageError(f"cannot write {target}: {why}") from error
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)


@contextlib.contextmanager
def folder_beside(draft: Path) -> Iterator[Path]:
    """A folder beside a draft for parts of it, removed with all in it when the block ends.

    Not that of the system, which may be smaller: an error then names the disk that is full.
    """
    *name, process, suffix = draft.name.split(".")
    folder = draft.with_name(".".join([*name, "parts", process, suffix]))
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep(target: Path) -> None:
    """Remove the drafts that killed processes have left beside a file."""
    for draft in target.parent.glob(f".{glob.escape(target.name)}.*.tmp"):
        is_ours = draft.name.split(".")[-2].isdecimal()
        with contextlib.suppress(OSError):
            if is_ours and time.time() - draft.stat().st_mtime > OLD_DRAFT:
                shutil.rmtree(draft) if draft.is_dir() else draft.unlink()
