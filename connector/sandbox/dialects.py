"""The shapes that gateways give a generation: one for each `choices.Shape`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from connector.sandbox import generations
from connector.sandbox.draws import pick
from connector.sandbox.generations import GATEWAY, OFFICIAL, Drawn, generation_body
from connector.sandbox.spellings import OWN_WORDS, ZERO_TIME, epoch_seconds, spelling
from connector.sandbox.tasks import Phase

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from connector.sandbox.choices import Shape
    from connector.sandbox.settings import SandboxSettings
    from connector.sandbox.tasks import Task, Times

Fields: TypeAlias = "dict[str, Any]"

_MEDIA = ("video", "video_raw", "thumbnail", "last_frame")
_RECORD_WORDS = {
    Phase.QUEUED: ("NOT_START", "SUBMITTED", "QUEUED"),
    Phase.RUNNING: ("IN_PROGRESS",),
    Phase.COMPLETED: ("SUCCESS",),
    Phase.FAILED: ("FAILURE",),
}
_STATUS_WORDS = {**OWN_WORDS, Phase.RUNNING: ("in_progress",)}
_PERCENT = {Phase.QUEUED: 0, Phase.RUNNING: 30, Phase.COMPLETED: 100, Phase.FAILED: 100}


@dataclass(frozen=True, slots=True)
class View:
    """A task at one moment, and how to write it."""

    task: Task
    phase: Phase
    settings: SandboxSettings
    signed_at: datetime

    @property
    def times(self) -> Times:
        """The times of the phases reached so far."""
        return self.task.times(self.phase)

    def generation(self, dialect: float | None = None) -> Fields:
        """The generation without an envelope; its ID draws the dialect unless one is given."""
        drawn = Drawn(*self.task.draws.shares("body")[:5])
        if dialect is not None:
            drawn = drawn._replace(dialect=dialect)
        return generation_body(self.task, self.phase, self.settings, self.signed_at, drawn)

    def shares(self) -> list[float]:
        """Random draws for whatever a shape leaves open."""
        return self.task.draws.shares("dialect")

    def state(self, documented: Mapping[Phase, Sequence[str]]) -> str:
        """The phase in the shape's words, or in those of the settings."""
        return spelling(self.settings).state(self.phase, documented[self.phase], self.shares()[1])

    def moment(self, moment: datetime | None) -> Any:
        """A timestamp; a future one is null or the zero time."""
        share = self.shares()[2]
        if moment is None:
            return pick((None, ZERO_TIME), share)
        return spelling(self.settings).moment(moment, share)

    def placeholder(self) -> Fields | None:
        """A placeholder for a generation."""
        return pick((None, {}), self.shares()[3])


def dialect_of(task: Task, settings: SandboxSettings) -> Shape | Literal["shares"]:
    """The dialect of a task's answers."""
    if settings.dialect == "mixed":
        return pick(tuple(_SHAPES), task.draws.shares("dialect")[0])
    return settings.dialect


def render_body(view: View) -> Any:
    """The body for a task, in the dialect of the settings."""
    dialect = dialect_of(view.task, view.settings)
    if dialect == "shares":
        return generations.drawn_body(view.task, view.phase, view.settings, view.signed_at)
    return render_shape(dialect, view)


def render_shape(shape: Shape, view: View) -> Any:
    """The body for a task in a certain shape."""
    return _SHAPES[shape](view)


def _enveloped(content: Any) -> Fields:
    return {"code": "success", "message": "", "data": content}


def _record(view: View) -> Fields:
    task, times, shares = view.task, view.times, view.shares()
    submitted, started, finished = (0 if at is None else epoch_seconds(at) for at in times)
    has_failed = view.phase is Phase.FAILED
    # A completed task has its generation; some running ones have it in part.
    has_data = view.phase is Phase.COMPLETED or (
        view.phase is not Phase.QUEUED and shares[4] < 1 / 3
    )
    return {
        "id": int(task.draws.digits("record")[:6], 16),
        "created_at": submitted,
        "updated_at": finished or started or submitted,
        "task_id": task.task_id,
        "platform": "luma",
        "user_id": 7,
        "group": "default",
        "channel_id": 12,
        "quota": 500,
        "action": "generate",
        "status": view.state(_RECORD_WORDS),
        "fail_reason": (task.failure_reason or "") if has_failed else "",
        "submit_time": submitted,
        "start_time": started,
        "finish_time": finished,
        "progress": f"{_PERCENT[view.phase]}%",
        "properties": {"input": task.prompt},
        "data": view.generation() if has_data else view.placeholder(),
    }


def _output(view: View) -> Fields:
    task, times = view.task, view.times
    has_failed = view.phase is Phase.FAILED
    output = view.generation(GATEWAY)
    for name in ("id", "state", "failure_reason"):
        output.pop(name, None)
    return {
        "code": 200,
        "message": "success",
        "data": {
            "task_id": task.task_id,
            "model": "luma",
            "task_type": "video_generation",
            "status": view.state(_STATUS_WORDS),
            "input": {"prompt": task.prompt, "aspect_ratio": task.size.aspect_ratio},
            "output": output if view.phase is Phase.COMPLETED else view.placeholder(),
            "meta": {
                "created_at": view.moment(times.submitted_at),
                "started_at": view.moment(times.started_at),
                "ended_at": view.moment(times.finished_at),
            },
            "error": {
                "code": 10000 if has_failed else 0,
                "message": task.failure_reason if has_failed else "",
            },
        },
    }


def _artifact(view: View) -> Fields:
    body = view.generation(GATEWAY)
    media = {name: body.pop(name) for name in _MEDIA if name in body}
    if view.phase is not Phase.COMPLETED:
        return {**body, "artifact": None}
    return {**body, "artifact": {**body.get("artifact", {}), "created_at": ZERO_TIME, **media}}


def _list_of_two(view: View) -> Fields:
    """Two videos of one task, which completes with the second."""
    second = replace(view.task, task_id=view.task.draws.uuids("second")[0])
    first = _artifact(view)
    if view.phase is Phase.RUNNING:
        first = _artifact(replace(view, phase=Phase.COMPLETED))
        # URLs are signed only when the task completes.
        del first["artifact"]["video"]["download_url"]
    both = [first, _artifact(replace(view, task=second))]
    return {"data": both if view.shares()[5] < 1 / 2 else both[::-1]}


def _status(view: View) -> Fields:
    body = view.generation(GATEWAY)
    for name in ("state", "failure_reason"):
        body.pop(name, None)
    body |= {
        "object": "video",
        "model": "ray-2",
        "status": view.state(_STATUS_WORDS),
        "progress": _PERCENT[view.phase],
        "created_at": view.moment(view.times.submitted_at),
    }
    if view.times.finished_at:
        body["completed_at"] = view.moment(view.times.finished_at)
    if view.phase is Phase.FAILED:
        body["error"] = {"code": "generation_failed", "message": view.task.failure_reason}
    return body


_SHAPES: Mapping[Shape, Callable[[View], Any]] = {
    "documented": lambda view: view.generation(GATEWAY),
    "official": lambda view: view.generation(OFFICIAL),
    "envelope": lambda view: _enveloped(view.generation()),
    "record": lambda view: _enveloped(_record(view)),
    "bare-record": _record,
    "output": _output,
    "list": lambda view: {"data": [view.generation()]},
    "list-of-two": _list_of_two,
    "generation": lambda view: {"generation": view.generation()},
    "artifact": _artifact,
    "status": _status,
}
