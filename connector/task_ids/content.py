"""Opening a file: decompressed, with a look at its start, and as text in the right encoding."""

from __future__ import annotations

import codecs
import io
import re
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from shutil import copyfileobj
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, BinaryIO, cast

import pyarrow as pa

from connector.errors import SourceError
from connector.task_ids.sources import StandardInput, name_of
from connector.task_ids.sources.objects import StoredFile

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAD = 1 << 16
_SPOOL_IN_MEMORY = 64 << 20
_PART = 8 << 20

# In characters. Small enough to stay in the processor's cache: four times as much is half as fast.
_BLOCK = 1 << 18
_LONGEST_LINE = 1 << 24

# Of what is decompressed to the disk: a small file may hold more than there is room for.
_LARGEST_COPY = 4 << 30

# That of bzip2 in full length, because a task ID may start with its first three letters.
_COMPRESSIONS = {
    re.compile(rb"\x1f\x8b"): "gzip",
    re.compile(rb"\x28\xb5\x2f\xfd"): "zstd",
    re.compile(rb"BZh[1-9]1AY&SY"): "bz2",
}
_COMPRESSED_SUFFIXES = (".gz", ".zst", ".bz2")

# UTF-32 first: its little-endian mark starts with that of UTF-16.
_ENCODINGS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


@dataclass(frozen=True, slots=True)
class Content:
    """An open file.

    Attributes:
        name: For messages.
        suffix: Of the name, without that of a compression; lower case, with its dot.
        stream: What is in it, decompressed, from the start.
        head: The first 64 KiB of that.
    """

    name: str
    suffix: str
    stream: io.BufferedReader
    head: bytes

    def text(self, newline: str | None = None) -> io.TextIOWrapper:
        """All of it as text; bytes that cannot be decoded become U+FFFD, which is never valid."""
        encoding = self._encoding()
        return io.TextIOWrapper(self.stream, encoding, errors="replace", newline=newline)

    def head_text(self) -> str:
        """The start of it as text; the last line may be cut off."""
        return self.head.decode(self._encoding(), errors="replace")

    def line_blocks(self) -> Iterator[str]:
        r"""All of it as text, in blocks of whole lines, joined by "\n" however they ended.

        Raises:
            SourceError: A line is too long for a list of anything.
        """
        text, rest = self.text(), ""
        while block := text.read(_BLOCK):
            lines, ended, rest = (rest + block).rpartition("\n")
            if ended:
                yield lines
            elif len(rest) > _LONGEST_LINE:
                raise SourceError(
                    f"{self.name} has a line of more than {_LONGEST_LINE:,} characters. Give one "
                    "task ID a line, or name the file after its format: .csv, .json, .parquet."
                )
        if rest:
            yield rest

    def lines(self) -> Iterator[str]:
        """All of it as text, line by line, each with its end.

        Raises:
            SourceError: A line is too long.
        """
        text = self.text(newline="")
        for number in count(1):
            line = text.readline(_LONGEST_LINE + 1)
            if not line:
                return
            if len(line) > _LONGEST_LINE:
                raise SourceError(
                    f"{self.name}: line {number:,} has more than {_LONGEST_LINE:,} characters. Is "
                    "it a table, with a row a line?"
                )
            yield line

    @contextmanager
    def seekable(self) -> Iterator[BinaryIO]:
        """All of it, to be read from any place; on the disk if it is compressed.

        Raises:
            SourceError: Decompressed, it is too large.
        """
        if self.stream.seekable():
            yield cast("BinaryIO", self.stream)
            return
        with SpooledTemporaryFile(max_size=_SPOOL_IN_MEMORY) as copy:
            while part := self.stream.read(_PART):
                if copy.tell() + len(part) > _LARGEST_COPY:
                    raise SourceError(
                        f"{self.name} is larger than {_LARGEST_COPY:,} bytes, decompressed: "
                        "decompress it first."
                    )
                copy.write(part)
            copy.seek(0)
            yield cast("BinaryIO", copy)

    def _encoding(self) -> str:
        for mark, encoding in _ENCODINGS.items():
            if self.head.startswith(mark):
                return encoding
        if b"\0" in self.head:
            raise SourceError(
                f"{self.name} holds zero bytes, so it is not plain text. "
                "Save a spreadsheet as CSV, and text in another encoding as UTF-8."
            )
        return "utf-8-sig"


@contextmanager
def open_content(source: Path | StoredFile | StandardInput) -> Iterator[Content]:
    """Open `source` for reading, decompressed.

    Raises:
        OSError: It cannot be opened or decompressed.
    """
    name = name_of(source)
    with _seekable(source) as raw, _decompressed(raw) as stream:
        yield Content(
            name=name,
            suffix="" if isinstance(source, StandardInput) else _suffix(Path(name).name),
            stream=stream,
            head=stream.peek(HEAD),
        )


@contextmanager
def _seekable(source: Path | StoredFile | StandardInput) -> Iterator[BinaryIO]:
    """A pipe is copied first: it allows no second look, and Parquet is read from its end."""
    if isinstance(source, StandardInput):
        with _spooled(source.stream or sys.stdin.buffer) as copy:
            yield copy
        return
    if isinstance(source, StoredFile):
        # One request for each part, so parts are large, and read once.
        store = source.filesystem
        with (
            store.open_input_stream(source.path, compression=None, buffer_size=_PART) as stream,
            _spooled(stream) as copy,
        ):
            yield copy
        return
    with source.open("rb", buffering=0) as file:
        if file.seekable():
            yield cast("BinaryIO", file)
        else:
            with _spooled(cast("BinaryIO", file)) as copy:
                yield copy


@contextmanager
def _spooled(pipe: BinaryIO) -> Iterator[BinaryIO]:
    with SpooledTemporaryFile(max_size=_SPOOL_IN_MEMORY) as copy:
        copyfileobj(pipe, copy, HEAD)
        copy.seek(0)
        yield cast("BinaryIO", copy)


def _decompressed(raw: BinaryIO) -> io.BufferedReader:
    """By the first bytes: what downloads `ids.txt.gz` may decompress it and keep the name."""
    magic = raw.read(10)
    raw.seek(0)
    for sign, compression in _COMPRESSIONS.items():
        if sign.match(magic):
            return io.BufferedReader(pa.CompressedInputStream(raw, compression), HEAD)
    return io.BufferedReader(cast("io.RawIOBase", raw), HEAD)


def _suffix(name: str) -> str:
    for compressed in _COMPRESSED_SUFFIXES:
        name = name.lower().removesuffix(compressed)
    return Path(name).suffix
