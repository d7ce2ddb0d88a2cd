"""Names a video's size: resolution, aspect ratio and orientation."""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import Final, NamedTuple

# Luma keeps the number of pixels and varies the shape: 752×1360 and 1552×656 are both 720p.
PIXELS: Final = {
    "360p": 640 * 360,
    "540p": 960 * 540,
    "720p": 1280 * 720,
    "1080p": 1920 * 1080,
    "1440p": 2560 * 1440,
    "4k": 3840 * 2160,
}
NEAR_PIXELS: Final = 1.4

# The official names, and the two common ones that differ by more than 8% from each of them.
RATIOS: Final = {
    name: int(name.split(":")[0]) / int(name.split(":")[1])
    for name in ("1:1", "16:9", "9:16", "4:3", "3:4", "21:9", "9:21", "3:2", "2:3")
}
NEAR_RATIO: Final = 1.04

_RATIO = re.compile(r"\s*(\d{1,5})\s*[:x/]\s*(\d{1,5})\s*", re.ASCII)

# `1920x1080` and `1280*720` in place of a name; `720` in place of `720p`.
_SIZE = re.compile(r"\s*(\d{2,5})\s*[x*×]\s*(\d{2,5})\s*(?:px)?\s*", re.ASCII | re.IGNORECASE)
_HEIGHT = re.compile(r"\d{3,4}", re.ASCII)


class Frame(NamedTuple):
    """The names of a size."""

    resolution: str | None = None
    aspect_ratio: str | None = None
    orientation: str | None = None
    megapixels: float | None = None


NO_FRAME: Final = Frame()


@lru_cache(maxsize=4096)
def frame(width: int | None, height: int | None) -> Frame:
    """Name a size; `NO_FRAME` for a missing or impossible one."""
    if width is None or height is None or width <= 0 or height <= 0:
        return NO_FRAME
    pixels = width * height
    nearest = min(PIXELS, key=lambda name: abs(math.log(pixels / PIXELS[name])))
    is_near = 1 / NEAR_PIXELS <= pixels / PIXELS[nearest] <= NEAR_PIXELS
    return Frame(
        nearest if is_near else f"{min(width, height)}p",
        _named_ratio(width, height),
        _orientation(width, height),
        pixels / 1e6,
    )


@lru_cache(maxsize=4096)
def requested_frame(resolution: str | None, aspect_ratio: str | None) -> Frame:
    """Name the requested size, where the actual one is unknown."""
    if size := _SIZE.fullmatch(resolution or ""):
        return frame(int(size[1]), int(size[2]))
    named = (resolution or "").strip().lower() or None
    if named and _HEIGHT.fullmatch(named):
        named += "p"
    match = _RATIO.fullmatch(aspect_ratio or "")
    width, height = (int(match[1]), int(match[2])) if match else (0, 0)
    if not width or not height:
        return Frame(named)
    return Frame(named, _named_ratio(width, height), _orientation(width, height))


def _named_ratio(width: int, height: int) -> str:
    ratio = width / height
    nearest = min(RATIOS, key=lambda name: abs(math.log(ratio / RATIOS[name])))
    if 1 / NEAR_RATIO <= ratio / RATIOS[nearest] <= NEAR_RATIO:
        return nearest
    divisor = math.gcd(width, height)
    return f"{width // divisor}:{height // divisor}"


def _orientation(width: int, height: int) -> str:
    if width == height:
        return "square"
    return "landscape" if width > height else "portrait"
