"""The mart `resolutions`: which sizes are made, and how they end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from connector.marts.fold import COUNTS, Fold, counts, outcomes
from connector.record.frames import frame
from connector.record.schema import RESOLUTIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connector.marts.fold import Read

REQUESTED: Final = ("resolution", "aspect_ratio", "orientation")
AS_REQUESTED: Final = ("requested_resolution", "requested_aspect_ratio")
KEYS: Final = ("width", "height", *REQUESTED, *AS_REQUESTED)
GROUPS: Final = pa.schema([RESOLUTIONS[name].field for name in (*KEYS, *COUNTS)])


def resolutions(read: Read) -> pa.Table:
    """Work out `resolutions`; each generation counts in exactly one row.

    One whose size is unknown or impossible counts with those for which the same was requested.
    """
    sizes = Fold(GROUPS, KEYS, COUNTS)
    for piece in _sized(read):
        sizes.add(piece)
    groups = sizes.groups()
    order = pc.sort_indices(groups, sort_keys=[(name, "ascending", "at_end") for name in KEYS])
    groups = groups.take(order)
    named = pa.Table.from_pylist(
        [_named(**group) for group in groups.select(KEYS).to_pylist()],
        schema=pa.schema([RESOLUTIONS[name].field for name in ("label", *KEYS, "megapixels")]),
    )
    for name, column in outcomes(groups).items():
        named = named.append_column(RESOLUTIONS[name].field, column)
    return named.select(RESOLUTIONS.schema.names).cast(RESOLUTIONS.schema)


def _sized(read: Read) -> Iterator[pa.Table]:
    """Each generation with its size, or else with what was requested; never with both."""
    for piece in read(("video_width", "video_height", *REQUESTED, *AS_REQUESTED, "status")):
        width, height = piece["video_width"], piece["video_height"]
        is_size = pc.and_(pc.greater(width, 0), pc.greater(height, 0))
        is_size = pc.fill_null(is_size, False)
        nothing, unnamed = pa.scalar(None, pa.int32()), pa.scalar(None, pa.string())
        columns = {
            "width": pc.if_else(is_size, width, nothing),
            "height": pc.if_else(is_size, height, nothing),
            **{name: pc.if_else(is_size, unnamed, piece[name]) for name in REQUESTED},
            **{name: piece[name] for name in AS_REQUESTED},
            **counts(piece["status"]),
        }
        yield pa.table(columns, GROUPS)


def _named(width: int | None, height: int | None, **requested: str | None) -> dict[str, Any]:
    """What people call a size. Names follow from it, so that a size always has the same."""
    if width is not None:
        size = {"label": f"{width} × {height}", "width": width, "height": height}
        return {**requested, **size, **frame(width, height)._asdict()}
    asked_for = " ".join(filter(None, (requested["resolution"], requested["aspect_ratio"])))
    return {"label": f"{asked_for} (requested)" if asked_for else "unknown", **requested}
