"""The API's paths, and the answers at other paths and for unknown tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote

from connector.sandbox.draws import pick
from connector.sandbox.replies import Reply, coded_reply, error_reply, html_reply, json_reply

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from connector.sandbox.choices import MissingAs, WrongPath
    from connector.sandbox.tasks import Task

ROOT = "/dream-machine/v1/generations"
AGENTS_ROOT = "/v1/generations"
MANY = "/luma/tasks"

_TEXT = (("Content-Type", "text/plain; charset=utf-8"),)


_WRONG_PATHS: Mapping[WrongPath, Callable[[str, str], Reply]] = {
    "html-404": lambda *_: html_reply(404, "404 Not Found"),
    "json-404": lambda *_: json_reply(404, {"detail": "Not Found"}),
    "json-404-url": lambda method, path: error_reply(
        404, f"Invalid URL ({method} {path})", "invalid_request_error", "", param=""
    ),
    "text-404": lambda *_: Reply(404, b"404 page not found\n", _TEXT),
    "page-200": lambda *_: html_reply(200, "AI Gateway", '<div id="root"></div>'),
}

_MISSING: Mapping[MissingAs, Callable[[str], Reply]] = {
    "detail": lambda _: json_reply(404, {"detail": "Generation not found"}),
    "code": lambda _: coded_reply(404, "task_not_exist", "task not exist"),
    "error": lambda task_id: error_reply(
        404,
        f"The generation '{task_id}' does not exist",
        "invalid_request_error",
        "generation_not_found",
    ),
    "message": lambda task_id: json_reply(
        404, {"success": False, "message": f"no such task: {task_id}"}
    ),
}


def wrong_path(form: WrongPath, method: str, path: str) -> Reply:
    """The answer outside the API; it does not mention tasks."""
    return _WRONG_PATHS[form](method, path)


def missing_task(form: MissingAs, task: Task) -> Reply:
    """A 404 that mentions the task."""
    if form == "mixed":
        form = pick(tuple(_MISSING), task.draws.shares("missing")[0])
    return _MISSING[form](task.task_id)


class Paths:
    """The API's paths below a base path."""

    def __init__(self, base_path: str) -> None:
        self.listing = base_path + ROOT
        self.many = base_path + MANY
        self._one = self.listing + "/"
        self._agents = base_path + AGENTS_ROOT + "/"

    def is_one(self, path: str) -> bool:
        """Whether a path is that of one generation, in either API."""
        return path.startswith((self._one, self._agents))

    def is_agents(self, path: str) -> bool:
        """Whether a path is that of one generation in the Agents API."""
        return path.startswith(self._agents)

    def task_id(self, path: str) -> str | None:
        """The task ID in a path; None if there is none, or it is not UTF-8."""
        encoded = path.removeprefix(self._agents if self.is_agents(path) else self._one)
        if encoded in ("", path) or "/" in encoded:
            return None
        try:
            return unquote(encoded, errors="strict")
        except UnicodeDecodeError:
            return None
