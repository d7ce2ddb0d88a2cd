"""Files outside the warehouse, replaced in one step."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from connector.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextlib.contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Give a path to write to; the file there takes the target's place when the block ends well.

    Raises:
        UsageError: The folder does not exist, the disk is full, or the target not writable.
    """
    draft = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    if target.is_dir():
        raise UsageError(f"{target} is a folder: name a file")
    try:
        yield draft
        with draft.open("rb+") as file:
            os.fsync(file.fileno())
        draft.replace(target)
    except OSError as error:
        raise UsageError(f"cannot write {target}: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
