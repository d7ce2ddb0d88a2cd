"""Files under `output`: `[{type, url, layer}]` of Luma's newer API, and URLs of other gateways."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from connector.record.dialects import from_text, is_address, media_of
from connector.record.keys import FILES, RESULTS, folded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from connector.record.keys import Json

# Keys of a generation by which the first output of a kind gets into its column.
PLACES: Final = {"video": ("video", "url"), "image": ("assets", "image")}

# What `type` says there, such as `image_edit` or `video_reframe`.
KINDS: Final = ("image", "video", "audio")

# Kinds by the end of a URL's path.
ENDINGS: Final = {
    "video": re.compile(r"\.(mp4|m4v|mov|webm|mkv)(?:[?#]|$)", re.IGNORECASE),
    "image": re.compile(r"\.(jpe?g|png|webp|avif|gif)(?:[?#]|$)", re.IGNORECASE),
}

# Of an object that holds results; of a generation, other code knows the first.
OF_RESULTS: Final = ("video_url", *FILES)


def has_outputs(generation: Json) -> bool:
    """Whether a generation has files under `output`, or the newer API's word for what is made."""
    output = generation.get("output")
    if is_address(output):
        return True
    if isinstance(output, list) and output:
        return any(
            is_address(item) or (isinstance(item, dict) and "url" in item) for item in output
        )
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
    output = generation.pop("output", None) or []
    for given in output if isinstance(output, list) else [output]:
        item = _as_file(given)
        if not _has_place(item, free):
            left.append(given)
            continue
        outer, inner = free.pop(item["type"])
        generation[outer] = {inner: item["url"]}
        rest = {key: value for key, value in item.items() if key != "url" and value is not None}
        if rest.keys() - {"type"}:
            left.append(rest)
    if left:
        generation["output"] = left if isinstance(output, list) else output
    return generation


def _as_file(item: Any) -> Any:
    """A URL as a file of the kind that its path ends in; any other value as it is."""
    if not is_address(item):
        return item
    kind = next((kind for kind, ending in ENDINGS.items() if ending.search(item)), None)
    return {"type": kind, "url": item}


def _has_place(item: Any, free: Json) -> bool:
    if not isinstance(item, dict):
        return False
    kind, url = item.get("type"), item.get("url")
    return isinstance(kind, str) and kind in free and isinstance(url, str) and bool(url)


def with_video(generation: Json) -> Json:
    """The same generation with its first video where other dialects have it.

    A generation that has media of its own is left as it is.
    """
    if media_of(generation) is not None or generation.get("video") is not None:
        return generation
    if (taken := _without_first_video(generation, FILES)) is not None:
        rest, video = taken
        return {**rest, "video": video}
    keys = folded(generation)
    for key in (keys[name] for name in RESULTS if name in keys):
        held = from_text(generation[key])
        if isinstance(held, dict) and (taken := _without_first_video(held, OF_RESULTS)):
            rest, video = taken
            return {**generation, key: rest, "video": video}
    return generation


def _without_first_video(holder: Json, names: Sequence[str]) -> tuple[Json, Json] | None:
    """What is left of an object, and the first video under these keys; None without one."""
    keys = folded(holder)
    for name in (name for name in names if name in keys):
        value = holder[keys[name]]
        items = value if isinstance(value, list) else [value]
        for number, item in enumerate(items):
            video = {"url": item} if is_address(item) else item
            if isinstance(video, dict) and _is_video(video.get("url"), name):
                left = [*items[:number], *items[number + 1 :]]
                return {**holder, keys[name]: left or None}, video
    return None


def _is_video(value: Any, name: str) -> bool:
    """Whether a file is a video: by the end of its path, if its key may be that of anything."""
    if not is_address(value):
        return False
    is_vague = name in {"url", "result_url"}
    return bool(ENDINGS["video"].search(value) if is_vague else not ENDINGS["image"].search(value))
