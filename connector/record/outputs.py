"""Luma's newer API, whose generations list their files: `output: [{type, url, layer}]`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from connector.record.keys import Json

# Keys of a generation by which the first output of a kind gets into its column.
PLACES: Final = {"video": ("video", "url"), "image": ("assets", "image")}

# What `type` says there, such as `image_edit` or `video_reframe`.
KINDS: Final = ("image", "video", "audio")


def has_outputs(generation: Json) -> bool:
    """Whether a generation is of that API: a list of files, or the word for what is made."""
    output = generation.get("output")
    if isinstance(output, list) and output:
        return any(isinstance(item, dict) and "url" in item for item in output)
    kind = generation.get("type")
    return not output and isinstance(kind, str) and kind.startswith(KINDS)


def with_media(generation: Json) -> Json:
    """The same generation with its files and its type where other dialects have them.

    Nothing is dropped: an output that finds no place, and all that is said of one besides its URL,
    stays in `output`.
    """
    generation = dict(generation)
    if isinstance(generation.get("type"), str) and generation.get("generation_type") is None:
        generation["generation_type"] = generation.pop("type")
    free = {kind: place for kind, place in PLACES.items() if generation.get(place[0]) is None}
    left = []
    for item in generation.pop("output", None) or []:
        if not _has_place(item, free):
            left.append(item)
            continue
        outer, inner = free.pop(item["type"])
        generation[outer] = {inner: item["url"]}
        rest = {key: value for key, value in item.items() if key != "url" and value is not None}
        if rest.keys() - {"type"}:
            left.append(rest)
    if left:
        generation["output"] = left
    return generation


def _has_place(item: Any, free: Json) -> bool:
    if not isinstance(item, dict):
        return False
    kind, url = item.get("type"), item.get("url")
    return isinstance(kind, str) and kind in free and isinstance(url, str) and bool(url)
