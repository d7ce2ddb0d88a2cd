"""One HTML file that opens offline, with styles, scripts and data inside.

The data are JSON in a block that browsers do not run, without any character that could end the
block. The page's content security policy allows its own scripts and styles by their hashes:
anything else that got into the page would not run, load anything or become markup.
"""

from __future__ import annotations

import os
import re
from base64 import b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import orjson

from connector.report.contents import page_contents
from connector.report.figures import read_figures
from connector.storage.address import is_url
from connector.storage.file_url import path_of
from connector.storage.replace import replacing
from connector.storage.storage import storage_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from connector.storage.storage import Address

STYLES: Final = ("page.css",)
SCRIPTS: Final = (
    "guard.js",
    "vega.js",
    "theme.js",
    "elements.js",
    "words.js",
    "cube.js",
    "specs.js",
    "tasks.js",
    "draw.js",
    "bars.js",
    "turnaround.js",
    "prompt_charts.js",
    "charts.js",
    "prompts.js",
    "page.js",
)

# JSON has these only inside texts, where an escape means the same.
ESCAPES: Final = str.maketrans({c: f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"})

# Nothing that could add to a policy.
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(?::\d+)?")
_PLACE = re.compile(r"<!-- (\w+) -->")


@dataclass(frozen=True, slots=True)
class Report:
    """A written report.

    Attributes:
        path: Where the page is; text if it is a URL.
        size: In bytes.
        generations: How many generations it covers.
    """

    path: Path | str
    size: int
    generations: int


def write_report(
    warehouse: Address,
    path: Address,
    *,
    now: datetime | None = None,
    by: str | None = None,
    values: Mapping[str, Any] | None = None,
    thumbnails: bool = False,
) -> Report:
    """Write a page about a warehouse, atomically replacing an earlier one.

    Reads the warehouse without a lock: a run may go on meanwhile.

    Args:
        warehouse: Address of the warehouse.
        path: Where to write the page; may be in a bucket.
        now: Time of the report. Default: the present.
        by: One more thing to cut by: a column of `generations`, or a name for `values`.
        values: What the name stands for: a value for task IDs.
        thumbnails: Whether lists of task IDs show thumbnails, which load from the gateway's
            storage; without them the page makes no request at all.

    Raises:
        WarehouseError: The warehouse does not exist or cannot be read.
        UsageError: The file cannot be written, or there is nothing of the name `by`.
        StorageFailed: The bucket cannot be written.
    """
    figures = read_figures(
        warehouse, now or datetime.now(UTC), by=by, values=values, has_thumbnails=thumbnails
    )
    page = render_page(
        page_contents(figures), images=_origins(figures.tasks["thumbnails"])
    ).encode()
    generations = figures.facts.total
    target = path_of(os.fspath(path))
    if is_url(target):
        folder, _, name = target.rpartition("/")
        with storage_of(folder).replacing(name) as file:
            file.write(page)
        return Report(target, len(page), generations)
    with replacing(Path(target)) as draft:
        draft.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(page)
    return Report(Path(target), len(page), generations)


def _origins(urls: Mapping[int, str]) -> tuple[str, ...]:
    """Where thumbnails load from, as a policy names it."""
    found = {f"{parts.scheme}://{parts.netloc}" for parts in map(urlsplit, urls.values())}
    return tuple(sorted(origin for origin in found if _ORIGIN.fullmatch(origin)))


def render_page(data: dict[str, Any], images: Sequence[str] = ()) -> str:
    """The whole page as HTML; it may load images from these origins only."""
    scripts = [_asset(name) for name in SCRIPTS]
    styles = [_asset(name) for name in STYLES]
    parts = {
        "policy": _policy(scripts, styles, images),
        "styles": "".join(f"<style>{text}</style>" for text in styles),
        "data": orjson.dumps(data, option=orjson.OPT_NON_STR_KEYS).decode().translate(ESCAPES),
        "scripts": "".join(f"<script>{text}</script>" for text in scripts),
    }
    return _PLACE.sub(lambda place: parts[place[1]], _asset("page.html"))


def _asset(name: str) -> str:
    return files(__package__).joinpath("static", name).read_text(encoding="utf-8")


def _policy(scripts: Sequence[str], styles: Sequence[str], images: Sequence[str]) -> str:
    """A policy that allows these scripts, styles and origins of images, and nothing else."""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {' '.join(map(_hash, scripts))}",
            f"style-src {' '.join(map(_hash, styles))}",
            *([f"img-src {' '.join(images)}"] if images else []),
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types default",
        )
    )


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
