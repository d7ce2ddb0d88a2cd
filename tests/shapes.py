"""Where the sandbox's shapes have what, and how its times are read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, TypeAlias, get_args

from steered import PLAIN, Steered

from connector.sandbox.choices import Shape
from connector.sandbox.spellings import ZERO_TIME

if TYPE_CHECKING:
    from connector.sandbox import SandboxSettings

Reader: TypeAlias = Callable[[Any], Any]

SHAPES = get_args(Shape)
LIVE = PLAIN.changed({"unfinished": 1, "finish_after": 60.0, "live": True})
SECOND = timedelta(seconds=1)

DOCUMENTED_STATES = {
    "queued": {"pending", "queued", "NOT_START", "SUBMITTED", "QUEUED"},
    "running": {"processing", "dreaming", "IN_PROGRESS", "in_progress"},
    "ended": {"completed", "failed", "SUCCESS", "FAILURE"},
}


def _least(generations: list[Any]) -> Any:
    """Of the videos of a task, the one that is the furthest from its end."""
    return min(generations, key=lambda each: phase_of(each["state"]) == "ended")


def phase_of(state: str) -> str:
    return next(phase for phase, states in DOCUMENTED_STATES.items() if state in states)


# Where each shape has its state.
STATE_OF: dict[Shape, Reader] = {
    "documented": lambda body: body["state"],
    "official": lambda body: body["state"],
    "envelope": lambda body: body["data"]["state"],
    "record": lambda body: body["data"]["status"],
    "bare-record": lambda body: body["status"],
    "output": lambda body: body["data"]["status"],
    "list": lambda body: body["data"][0]["state"],
    "list-of-two": lambda body: _least(body["data"])["state"],
    "generation": lambda body: body["generation"]["state"],
    "artifact": lambda body: body["state"],
    "status": lambda body: body["status"],
}

# Where each shape has its video.
VIDEO_OF: dict[Shape, Reader] = {
    "documented": lambda body: body["video"]["url"],
    "official": lambda body: body["assets"]["video"],
    "envelope": lambda body: body["data"]["video"]["url"],
    "record": lambda body: body["data"]["data"]["video"]["url"],
    "bare-record": lambda body: body["data"]["video"]["url"],
    "output": lambda body: body["data"]["output"]["video"]["url"],
    "list": lambda body: body["data"][0]["video"]["url"],
    "list-of-two": lambda body: body["data"][0]["artifact"]["video"]["url"],
    "generation": lambda body: body["generation"]["video"]["url"],
    "artifact": lambda body: body["artifact"]["video"]["url"],
    "status": lambda body: body["video"]["url"],
}


def told(settings: SandboxSettings, task_id: str = "an-id") -> Any:
    return Steered(settings).generation(task_id)


def moment(value: str | int | None) -> datetime | None:
    """A moment in any of the forms, read; the forms that mean none are None."""
    if value in (None, 0, ZERO_TIME):
        return None
    if isinstance(value, int):
        unit = 1 if value < 10**11 else 1000 if value < 10**14 else 10**6
        return datetime.fromtimestamp(value // unit, UTC) + SECOND * (value % unit / unit)
    assert value is not None
    if value.endswith("GMT"):
        return parsedate_to_datetime(value)
    if "/" in value:
        return datetime.strptime(value, "%Y/%m/%d %H:%M:%S").replace(tzinfo=UTC)
    return datetime.fromisoformat(value.removesuffix("[UTC]"))
