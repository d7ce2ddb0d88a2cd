"""A process that judges and flattens answers for another: `python -m connector.warehouse.worker`.

It reads tables from its standard input and writes tables to its standard output, until the input
ends; so it ends with the process that started it, however that ends.
"""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING, IO, Final, NamedTuple

import pyarrow as pa

from connector.record.flatten import flatten
from connector.record.rejudge import JUDGED, rejudge
from connector.storage.memory import release

if TYPE_CHECKING:
    from collections.abc import Mapping

SIZE_BYTES: Final = 8

# What judging again may change.
CHANGED: Final = (*JUDGED, "base_url")


class Work(NamedTuple):
    """Answers judged again, if asked for, and the rows of `generations` that they hold."""

    answers: pa.Table
    rows: pa.Table


def work(answers: pa.Table, rejudged_by: Mapping[str, str] | None) -> Work:
    """Judge answers again where base URLs by run ID are given, and flatten them."""
    judged = answers if rejudged_by is None else rejudge(answers, rejudged_by)
    return Work(judged, flatten(judged))


def write_message(stream: IO[bytes], table: pa.Table) -> None:
    """Write a table and its size.

    Raises:
        OSError: The other side has ended.
    """
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    content = sink.getvalue()
    stream.write(content.size.to_bytes(SIZE_BYTES))
    stream.write(content)
    stream.flush()


def read_message(stream: IO[bytes]) -> pa.Table | None:
    """Read a table; None at the end.

    Raises:
        EOFError: The end came in the middle.
    """
    size = stream.read(SIZE_BYTES)
    if not size:
        return None
    expected = int.from_bytes(size)
    content = stream.read(expected)
    if len(size) < SIZE_BYTES or len(content) < expected:
        raise EOFError
    return pa.ipc.open_stream(pa.py_buffer(content)).read_all()


def main() -> None:
    """Work until the input ends: first the base URLs by run ID, then tables of answers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the other process decides
    pa.set_cpu_count(1)
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    known = read_message(source)
    if known is None:
        return
    rejudged_by = dict(known.to_pylist()[0]["gateways"]) if known.num_rows else None
    while (answers := read_message(source)) is not None:
        judged, rows = work(answers, rejudged_by)
        write_message(sink, judged.select(CHANGED))
        write_message(sink, rows)
        del answers, judged, rows
        release()


if __name__ == "__main__":
    main()
