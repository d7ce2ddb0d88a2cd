"""Watches the changes that a process makes in a folder, and kills it or fails it at one of them.

The connector needs no hooks: Python's audit events report files opened, renamed and removed; fsync
and write have no events and are wrapped. New write points are found automatically. A struck write
leaves half of its bytes.
"""

from __future__ import annotations

import builtins
import errno
import io
import os
import re
import signal
import sys
import threading
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from connector.record.schema import MARTS

if TYPE_CHECKING:
    from collections.abc import Callable

_RENAME, _REMOVE, _MAKE, _REMOVE_FOLDER = "os.rename", "os.remove", "os.mkdir", "os.rmdir"
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC

# Parts of a path that differ between runs, or between files that are treated alike.
_VARIES: Final = re.compile(r"\d{8}T|\w+=|\.tmp$|[0-9a-f]{8}$|\d{4}-\d\d$|unknown$")
# One piece of code writes them all.
_MARTS: Final = frozenset(table.name for table in MARTS)


class Act(StrEnum):
    """What happens at the point.

    A full disk allows removal but no writes; a read-only one allows neither.
    """

    KILL = "SIGKILL"
    FULL = "disk full"
    READ_ONLY = "disk read-only"


@dataclass(frozen=True, slots=True)
class Orders:
    """What to watch, and where to strike.

    Attributes:
        root: The folder.
        at: Number of the point, from 1, or the start of its text; None only watches.
        kind: Count the points of this kind only.
        act: What to do there.
        log: File for the points, one per line, written at the end.
    """

    root: str
    at: int | str | None = None
    act: Act = Act.KILL
    log: str | None = None
    kind: str | None = None


def kind_of(point: str) -> str:
    """The operation and table of a point, without names that differ between runs."""
    operation, _, path = point.partition(" ")
    if is_draft := ".tmp/" in path:
        path = re.sub(r"\.\d+(\.candidate)?(?=\.|$)", "", path).replace("+", "/")
    parts = [part for part in path.split("/") if not _VARIES.match(part)]
    parts = ["mart" if part.partition(".")[0] in _MARTS else part for part in parts]
    return " ".join((operation, "/".join(parts) or path, *(["draft"] if is_draft else [])))


class Killer:
    """Watches from `arm` until the process ends."""

    def __init__(self, orders: Orders) -> None:
        self._root = os.path.abspath(orders.root)  # noqa: PTH100  no Path in an audit hook
        self._orders = orders
        self._lock = threading.Lock()
        self._points: list[str] = []
        self._has_struck = False

    def arm(self) -> None:
        """Start to watch.

        Raises:
            RuntimeError: The process does not lead its own group, so it would kill others.
        """
        if os.getpgrp() != os.getpid():
            raise RuntimeError("a process to be killed needs its own group")
        _wrap_opening(self)
        _wrap_fsync(self)
        _wrap_arrow_streams(self)
        sys.addaudithook(self._audit)

    def report(self) -> None:
        """Write the passed points to the log."""
        if self._orders.log:
            points, self._points = self._points, []
            with open(self._orders.log, "w", encoding="utf-8") as log:  # noqa: PTH123  as above
                log.writelines(f"{point}\n" for point in points)

    def watches(self, path: Any, folder: int = -1) -> str | None:
        """The path relative to the root, None if outside; `folder` is a descriptor or -1."""
        if not isinstance(path, str | os.PathLike):
            return None
        text = os.fspath(path)
        if folder >= 0:
            text = f"{_path_of(folder)}/{text}"
        text = os.path.abspath(text)  # noqa: PTH100  as above
        is_inside = text == self._root or text.startswith(self._root + "/")
        return text[len(self._root) + 1 :] or "." if is_inside else None

    def reach(self, operation: str, name: str, tear: Callable[[], object] | None = None) -> None:
        """Pass a point; strike if the orders say so.

        Args:
            operation: What is about to happen.
            name: The file or folder.
            tear: Does half of the operation.
        """
        point = f"{operation} {name}"
        with self._lock:
            at, kind = self._orders.at, self._orders.kind
            if kind is None or kind_of(point) == kind:
                self._points.append(point)
                is_it = at == len(self._points) or (isinstance(at, str) and point.startswith(at))
            else:
                is_it = False
            is_first = is_it and not self._has_struck
            self._has_struck |= is_it
        if is_first and tear:
            tear()
        if self._has_struck:
            self._strike(operation)

    def _strike(self, operation: str) -> None:
        match self._orders.act:
            case Act.KILL:
                os.killpg(0, signal.SIGKILL)
            case Act.FULL if operation not in ("remove", "rmdir"):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            case Act.READ_ONLY:
                raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            if flags & _WRITING and (name := self.watches(path)):
                self.reach("open", name)
        elif event == _RENAME:
            source, target, source_folder, target_folder = arguments
            name = self.watches(target, target_folder) or self.watches(source, source_folder)
            if name:
                self.reach("rename", name)
        elif event in (_REMOVE, _REMOVE_FOLDER) and (name := self.watches(*arguments)):
            self.reach({_REMOVE: "remove", _REMOVE_FOLDER: "rmdir"}[event], name)
        elif event == _MAKE:
            path, _, folder = arguments
            if (name := self.watches(path, folder)) and not Path(self._root, name).is_dir():
                self.reach("mkdir", name)


def _path_of(descriptor: int) -> str:
    return str(Path(f"/proc/self/fd/{descriptor}").readlink())


def _wrap_fsync(killer: Killer) -> None:
    fsync = os.fsync

    def wrapped(file: Any) -> None:
        descriptor = file if isinstance(file, int) else file.fileno()
        if name := killer.watches(_path_of(descriptor)):
            killer.reach("fsync", name)
        fsync(descriptor)

    os.fsync = wrapped  # type: ignore[assignment]  # looser than in the stubs


def _wrap_opening(killer: Killer) -> None:
    """Report each write to a file that Python opened."""
    opened = io.open

    class WatchedFile(io.FileIO):
        def write(self, data: Any, /) -> int:
            half = memoryview(data)[: len(data) // 2]
            name = killer.watches(self.name) or str(self.name)
            killer.reach("write", name, lambda: super(WatchedFile, self).write(half))
            return super().write(data)

    def wrapped(file: Any, mode: str = "r", buffering: int = -1, *args: Any, **kwargs: Any) -> Any:
        if not set(mode) & set("wax+") or not killer.watches(file):
            return opened(file, mode, buffering, *args, **kwargs)
        binary = io.BufferedWriter(WatchedFile(file, mode.replace("b", "").replace("t", "")))
        return binary if "b" in mode else io.TextIOWrapper(binary, *args, **kwargs)

    io.open = builtins.open = wrapped


def _wrap_arrow_streams(killer: Killer) -> None:
    """Report each batch of Arrow's streams, which C++ writes."""
    import pyarrow as pa  # noqa: PLC0415  only where the connector runs

    opened = pa.ipc.new_stream

    class WatchedStream:
        def __init__(self, path: str, *args: Any, **kwargs: Any) -> None:
            self._name = killer.watches(path) or path
            killer.reach("open", self._name)
            self._stream = opened(path, *args, **kwargs)

        def write_table(self, rows: pa.Table) -> None:
            half = rows.slice(0, len(rows) // 2)
            killer.reach("write", self._name, lambda: self._stream.write_table(half))
            self._stream.write_table(rows)

        def close(self) -> None:
            killer.reach("close", self._name)
            self._stream.close()

    pa.ipc.new_stream = WatchedStream
