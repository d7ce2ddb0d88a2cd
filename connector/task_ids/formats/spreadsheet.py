"""Spreadsheets of Excel and LibreOffice: the first sheet with a column of task IDs."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import subprocess
import sys
from shutil import copyfileobj
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Any, BinaryIO, cast

from connector.errors import SourceError
from connector.task_ids.kept import Rows
from connector.task_ids.sheets import as_cell

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connector.task_ids.content import Content
    from connector.task_ids.kept import Keep

_INEXACT = 2**53  # from here on, a float is not a certain whole number


def read_spreadsheet(
    content: Content, column: str | None, keep: Keep | None = None
) -> Iterator[list[object] | Rows]:
    """The cells below the header of the column of task IDs, without empty rows.

    Visible sheets come before hidden ones.

    Raises:
        SourceError: It cannot be read, no sheet has such a column, or the first that has it lacks
            one to keep.
    """
    if importlib.util.find_spec("python_calamine") is None:  # an extra
        raise SourceError(
            "Spreadsheets are read with python-calamine, which is not installed: "
            "pip install 'luma-to-parquet[xlsx]', or save the sheet as CSV."
        )
    with TemporaryFile() as found:
        _read_apart(content, [column or "", "all" if keep else "ids"], found)
        found.seek(0)
        index, chosen = 0, dict[str, int]()
        for line in found:
            cells = json.loads(line, object_hook=as_cell)
            if not isinstance(cells, dict):
                yield Rows([row[index] for row in cells], _kept(cells, chosen)) if keep else cells
            elif "error" in cells:
                raise SourceError(cells["error"])
            elif keep:
                names, position, index = cells["header"]
                chosen = keep.choose_below([names], position, index, content.name)


def _read_apart(content: Content, arguments: list[str], found: IO[bytes]) -> None:
    """Have another process read the spreadsheet, and write what it prints to a file."""
    command = [sys.executable, "-P", "-m", "connector.task_ids.sheets", content.name, *arguments]
    with (
        content.seekable() as stream,
        subprocess.Popen(  # noqa: S603  our own module
            command,
            stdin=subprocess.PIPE,
            stdout=found,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        ) as process,
        contextlib.suppress(BrokenPipeError),
    ):
        copyfileobj(stream, cast("BinaryIO", process.stdin))
    if process.returncode:
        raise SourceError(
            f"{content.name} needs too much memory to be read as a spreadsheet. Save it as CSV."
        )


def _kept(rows: list[list[Any]], chosen: dict[str, int]) -> dict[str, list[object]]:
    return {name: [_value(row[place]) for row in rows] for name, place in chosen.items()}


def _value(cell: object) -> object:
    """A cell's value: a whole number is one, although spreadsheets have only one kind of number."""
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < _INEXACT:
        return int(cell)
    return None if cell == "" else cell
