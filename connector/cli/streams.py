"""Standard output and standard error that never stop a run: full, closed, or without a reader."""

from __future__ import annotations

import codecs
import io
import os
import select
import sys
from typing import TYPE_CHECKING, Final, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

STDIN, STDOUT, STDERR = range(3)

# What we print ourselves, for terminals that have no more than ASCII.
PLAIN: Final = {"█": "#", "…": "...", "–": "-", "━": "-", "╸": "-", "╺": "-", "•": "*"}
ERRORS: Final = "luma-plain"


def keep_running() -> None:
    """Replace the process's streams by ones that drop what they cannot write.

    A stream that the caller has closed is opened on nothing. Otherwise the next file that is opened
    would get its number, and a message would be written into a table.
    """
    codecs.register_error(ERRORS, _in_plain_letters)
    for number in (STDIN, STDOUT, STDERR):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDONLY if number == STDIN else os.O_WRONLY)
    if sys.stdin is None:
        sys.stdin = open(STDIN, encoding="utf-8", closefd=False)  # noqa: SIM115  a number, open to the end
    sys.stdout = _steady(STDOUT, sys.stdout)
    sys.stderr = _steady(STDERR, sys.stderr)


def _steady(number: int, earlier: TextIO | None) -> TextIO:
    return io.TextIOWrapper(
        io.BufferedWriter(_Steady(number, "wb", closefd=False)),
        encoding=getattr(earlier, "encoding", None) or "utf-8",
        errors=ERRORS,
        line_buffering=number == STDERR or os.isatty(number),
    )


class _Steady(io.FileIO):
    """A file descriptor; an error counts as written."""

    def write(self, data: ReadableBuffer) -> int:
        size = memoryview(data).nbytes
        try:
            while (written := super().write(data)) is None:  # it does not block, and is full
                select.select([], [self], [])
        except (OSError, ValueError):
            return size
        return written


def _in_plain_letters(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    wrong = error.object[error.start : error.end]
    return "".join(PLAIN.get(one) or _escaped(one) for one in wrong), error.end


def _escaped(character: str) -> str:
    return character.encode("ascii", "backslashreplace").decode()
