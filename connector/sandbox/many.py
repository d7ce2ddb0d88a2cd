"""Many tasks in one request: `POST /luma/tasks` with `{"ids": […]}`.

IDs that are unknown, or that only a request of their own would get an odd answer for, are left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from connector.sandbox.dialects import render_shape
from connector.sandbox.draws import Draws
from connector.sandbox.replies import Reply, coded_reply, json_reply

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from connector.sandbox.choices import BatchRefusal, Shape
    from connector.sandbox.dialects import View
    from connector.sandbox.settings import SandboxSettings
    from connector.sandbox.tasks import Task


def _said(most: int) -> str:
    return f"too many ids: at most {most} in one request"


_TOO_MANY: Mapping[BatchRefusal, Callable[[int], Reply]] = {
    "400": lambda most: coded_reply(400, "invalid_request", _said(most)),
    "413": lambda _: Reply(413, b""),
    "400-vague": lambda _: json_reply(400, {"detail": "Bad Request"}),
    "422": lambda most: json_reply(
        422, {"detail": [{"loc": ["body", "ids"], "msg": _said(most), "type": "too_long"}]}
    ),
    "200-code": lambda most: coded_reply(200, "error", _said(most)),
}


def ids_of(body: bytes) -> list[str] | None:
    """The IDs that a body asks for; None if it does not have the documented form."""
    try:
        asked = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    ids = asked.get("ids") if isinstance(asked, dict) else None
    return ids if isinstance(ids, list) and all(isinstance(one, str) for one in ids) else None


def invalid() -> Reply:
    """The answer to a body of another form."""
    return coded_reply(400, "invalid_request", "ids is required")


def too_many(settings: SandboxSettings) -> Reply:
    """The answer to more IDs than are taken."""
    return _TOO_MANY[settings.batch_refusal](settings.batch_most)


def is_left_out(task_id: str, settings: SandboxSettings) -> bool:
    """Whether answers about many never have this task."""
    prefix = settings.batch_hidden_prefix
    if prefix and task_id.startswith(prefix):
        return True
    return Draws(settings.seed, task_id).shares("batch")[0] < settings.batch_hidden


def render_many(views: Sequence[View], settings: SandboxSettings) -> Reply:
    """The answer about tasks: last first, as the order is not documented."""
    is_array = settings.batch_shape == "array"
    shape: Shape = "artifact" if is_array else "bare-record"
    items = [_misnamed(render_shape(shape, view), view.task, settings) for view in reversed(views)]
    document = items if is_array else {"code": "success", "message": "", "data": items}
    return Reply(200, orjson.dumps(document))


def _misnamed(item: dict[str, Any], task: Task, settings: SandboxSettings) -> dict[str, Any]:
    """Some records have another task ID, or none; the generation inside keeps its own."""
    share, is_missing, *_ = Draws(settings.seed, task.task_id).shares("batch name")
    if "task_id" not in item or share >= settings.batch_misnamed:
        return item
    if is_missing < 1 / 2:
        del item["task_id"]
        return item
    return item | {"task_id": task.draws.uuids("batch name")[0]}
