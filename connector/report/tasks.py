"""Task IDs behind each mark: the first 200 of each value of each dimension, newest first.

Where a bar has a part for each outcome, 200 of each part. All are in one list, with what they
are cut by, so that the page finds those of a mark under any filters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from connector.record.schema import STATUSES
from connector.record.signatures import strip_signatures

if TYPE_CHECKING:
    from datetime import datetime

    from numpy.typing import NDArray

    from connector.report.facts import Facts
    from connector.report.tables import Tables

    Ints = NDArray[np.int64]

EACH: Final = 200
MOST: Final = 40_000
"""Task IDs in the page: about 3 MB."""

# Most characters of all links together, and of one link; the same again for thumbnails.
LINKS, LINK = 700_000, 600

# Dimensions in the order in which they get their rows, while there is room.
ORDER: Final = (
    *("term", "family", "reason", "category", "prompt", "by", "model", "size", "asked", "format"),
    *("delivered", "requested", "length", "basis", "hour", "month", "week", "day"),
)
# The page works these out of the time of creation.
BY_TIME: Final = ("day", "week", "month", "hour")
ENDED: Final = np.array([{"completed": 0, "failed": 1}.get(status, 2) for status in STATUSES])

URLS: Final = ("video_download_url", "video_url", "image_url", "thumbnail_url")
MICROSECONDS: Final = 1_000_000


def choose_tasks(facts: Facts) -> Ints:
    """Positions of the chosen generations, newest first."""
    newest = np.argsort(-facts.created, kind="stable")
    outcome = ENDED[facts.status][newest]
    taken = np.zeros(facts.total, bool)
    for name in ORDER:
        dimension = facts.dimensions.get(name)
        if dimension is None or not facts.total:
            continue
        codes = dimension.codes[newest].astype(np.int64)
        if name == "term":
            keys = [
                np.where(codes >> bit & 1, 3 * bit + outcome, -1)
                for bit in range(len(dimension.values))
            ]
        else:
            keys = [np.where(codes >= 0, 3 * codes + outcome, -1)]
        for key in keys:
            first = newest[_first(key, EACH)]
            room = MOST - int(taken.sum())
            fresh = first[~taken[first]]
            taken[fresh[: max(room, 0)]] = True
    return newest[taken[newest]]


def _first(keys: Ints, most: int) -> Ints:
    """Positions of the first rows of each key; a negative key has none."""
    order = np.argsort(keys, kind="stable")
    found = keys[order]
    starts = np.flatnonzero(np.diff(found, prepend=-2))
    rank = np.arange(len(found)) - np.repeat(starts, np.diff(np.append(starts, len(found))))
    return np.sort(order[(rank < most) & (found >= 0)])


def read_tasks(
    tables: Tables, facts: Facts, now: datetime, *, has_thumbnails: bool
) -> dict[str, Any]:
    """The chosen generations as columns, without links that have expired by `now`."""
    rows = choose_tasks(facts)
    found = _read(tables, np.sort(rows)).take(pa.array(np.argsort(np.argsort(rows))))
    links, thumbnails = _links(found, now), ([""] * len(found))
    if has_thumbnails:
        thumbnails = _within(_public(found["thumbnail_url"]))
    cut = {
        name: one.codes[rows].tolist()
        for name, one in facts.dimensions.items()
        if name in ORDER and name not in BY_TIME
    }
    created = facts.created[rows]
    seconds = np.where(created == np.iinfo(np.int64).min, -1, created // MICROSECONDS)
    expiry = found["download_url_expires_at"].cast(pa.int64()).fill_null(0).to_numpy()
    is_signed = [bool(link) and link == url for link, url in zip(links[0], links[1], strict=True)]
    return {
        "ids": found["task_id"].to_pylist(),
        "created": seconds.tolist(),
        "status": facts.status[rows].tolist(),
        "age": facts.age[rows].tolist(),
        "cut": cut,
        "links": _sparse(links[0]),
        "expires": _sparse(
            [int(at) // MICROSECONDS if ok else 0 for at, ok in zip(expiry, is_signed, strict=True)]
        ),
        "thumbnails": _sparse(thumbnails),
    }


def _sparse(values: list[Any]) -> dict[int, Any]:
    return {position: value for position, value in enumerate(values) if value}


def _read(tables: Tables, rows: Ints) -> pa.Table:
    """These rows, which are in order."""
    columns = ("task_id", *URLS, "download_url_expires_at")
    found, start = [], 0
    for piece in tables.generations(columns):
        first, last = np.searchsorted(rows, (start, start + len(piece)))
        found.append(piece.take(pa.array(rows[first:last] - start)))
        start += len(piece)
    return pa.concat_tables(found) if found else tables.no_generations(columns)


def _links(found: pa.Table, now: datetime) -> tuple[list[str], list[str]]:
    """The best address of each file, and those that are signed; empty where there is none.

    A signed address is a credential until it expires, and works no longer.
    """
    lasts = pc.fill_null(pc.greater(found["download_url_expires_at"], pa.scalar(now)), False)
    signed = [
        url if url and ok and _is_web(url) else ""
        for url, ok in zip(found["video_download_url"].to_pylist(), lasts.to_pylist(), strict=True)
    ]
    videos, images = (_public(found[name]) for name in ("video_url", "image_url"))
    best = [next(filter(None, each), "") for each in zip(videos, images, signed, strict=True)]
    return _within(best), signed


def _public(urls: pa.ChunkedArray) -> list[str]:
    """Addresses that hold no signature: they do not expire."""
    return [
        url if url and _is_web(url) and strip_signatures(url.encode()) == url.encode() else ""
        for url in urls.to_pylist()
    ]


def _is_web(url: str) -> bool:
    try:
        return len(url) <= LINK and urlsplit(url).scheme in {"http", "https"}
    except ValueError:
        return False


def _within(urls: list[str]) -> list[str]:
    """The first of them, until they are too long together."""
    ends = np.cumsum([len(url) for url in urls])
    return [url if end <= LINKS else "" for url, end in zip(urls, ends, strict=True)]
