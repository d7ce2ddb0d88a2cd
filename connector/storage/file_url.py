"""Paths and `file:` addresses: one folder, however it is written."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from connector.errors import UsageError

_FILE: Final = re.compile(r"file:(?://(?P<host>[^/]*))?(?P<path>.*)", re.IGNORECASE | re.DOTALL)

# Starts of a path where the name of a machine belongs: `file://~/x`, `file://./x`.
_STARTS: Final = ("~", ".", "..")


def path_of(address: str) -> str:
    """The path that a `file:` address names; any other text as it is.

    Raises:
        UsageError: The address names another machine, no path, or has a part after `?` or `#`.
    """
    found = _FILE.fullmatch(address)
    if not found:
        return address
    host, path = found["host"] or "", found["path"]
    if host.lower() == "localhost":
        host = ""
    if host and not host.startswith(_STARTS):
        raise UsageError(
            f"{address} names the machine {host}: for a path on this one, write file:///{host}{path}"
        )
    if "?" in path or "#" in path:
        raise UsageError(f"{address}: in a file: address, write %3F for ? and %23 for #")
    if not (host + path).strip():
        raise UsageError(f"{address} names no path: write file:///folder")
    return unquote(host + path)


def expanded(path: str | os.PathLike[str]) -> Path:
    """A path with a home folder in place of `~` or `~name`; as it is if nobody has that home."""
    return Path(os.path.expanduser(path))  # noqa: PTH111  that of Path raises where there is none
