"""One HTML file that opens offline: styles, scripts and data within, and nothing else allowed.

The data are JSON in a block that no browser runs, without any character that could end the block.
The page's own policy names its scripts and styles by their hashes: whatever else might get into
the page does not run, loads nothing, and cannot become markup.
"""

from __future__ import annotations

import os
import re
from base64 import b64encode
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson

from connector.errors import UsageError
from connector.report.contents import contents
from connector.report.figures import read_figures
from connector.storage.address import is_url
from connector.storage.storage import storage_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from connector.storage.storage import Address

STYLES: Final = ("page.css",)
SCRIPTS: Final = (
    "guard.js",
    "vega.js",
    "theme.js",
    "elements.js",
    "charts.js",
    "prompts.js",
    "page.js",
)

# Inside JSON these can stand in texts only, where an escape means the same.
ESCAPES: Final = str.maketrans({c: f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"})

_PLACE = re.compile(r"<!-- (\w+) -->")


@dataclass(frozen=True, slots=True)
class Report:
    """A report that was written.

    Attributes:
        path: Of the page; text if it is a URL.
        size: In bytes.
        generations: How many it tells of.
    """

    path: Path | str
    size: int
    generations: int


def write_report(warehouse: Address, path: Address, *, now: datetime | None = None) -> Report:
    """Write a page on a warehouse, replacing what had the name in one step.

    Only reads the warehouse, and takes no lock: a run may go on meanwhile.

    Args:
        warehouse: Its address.
        path: Of the page to write; it may be in a bucket too.
        now: When the report is made; the present if left out.

    Raises:
        WarehouseError: There is no warehouse, or it cannot be read.
        UsageError: The page cannot be written there.
        StorageFailed: Nor to the bucket.
    """
    figures = read_figures(warehouse, now or datetime.now(UTC))
    page = render(contents(figures)).encode()
    target = os.fspath(path)
    if is_url(target):
        folder, _, name = target.rpartition("/")
        with storage_of(folder).replacing(name) as file:
            file.write(page)
        return Report(target, len(page), figures.counts.total)
    _replace(Path(target), page)
    return Report(Path(target), len(page), figures.counts.total)


def _replace(path: Path, page: bytes) -> None:
    """Write a file beside its final name, then rename it: whoever reads sees all or nothing."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(page)
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise UsageError(f"cannot write {path}: {error.strerror or error}") from error


def render(data: dict[str, Any]) -> str:
    """The whole page, as text."""
    scripts = [_asset(name) for name in SCRIPTS]
    styles = [_asset(name) for name in STYLES]
    parts = {
        "policy": _policy(scripts, styles),
        "styles": "".join(f"<style>{text}</style>" for text in styles),
        "data": orjson.dumps(data).decode().translate(ESCAPES),
        "scripts": "".join(f"<script>{text}</script>" for text in scripts),
    }
    return _PLACE.sub(lambda place: parts[place[1]], _asset("page.html"))


def _asset(name: str) -> str:
    return files(__package__).joinpath("static", name).read_text(encoding="utf-8")


def _policy(scripts: Sequence[str], styles: Sequence[str]) -> str:
    """What the page may do: run these scripts, use these styles, and nothing else."""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {' '.join(map(_hash, scripts))}",
            f"style-src {' '.join(map(_hash, styles))}",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types default",
        )
    )


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
