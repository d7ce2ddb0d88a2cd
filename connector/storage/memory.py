"""Gives freed memory back to the operating system, which allocators else keep for later."""

from __future__ import annotations

import contextlib
import ctypes

import pyarrow as pa


def release() -> None:
    """Give freed memory back, of Arrow and of C; takes milliseconds.

    After large bodies: what their threads freed is of no use to other threads, and adds up.
    """
    pa.default_memory_pool().release_unused()
    with contextlib.suppress(AttributeError, OSError, TypeError):  # only glibc has it
        ctypes.CDLL(None).malloc_trim(0)
