"""The API's paths, and the answers at other paths and for unknown tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from connector.sandbox.choices import MissingAs, WrongPath
from connector.sandbox.draws import pick
from connector.sandbox.replies import Reply, html_reply, json_reply

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from connector.sandbox.tasks import Task

ROOT = "/dream-machine/v1/generations"

_TEXT = (("Content-Type", "text/plain; charset=utf-8"),)


def _invalid_url(method: str, path: str) -> Reply:
    error = {
        "message": f"Invalid URL ({method} {path})",
        "type": "invalid_request_error",
        "param": "",
        "code": "",
    }
    return json_reply(404, {"error": error})


_WRONG_PATHS: Mapping[WrongPath, Callable[[str, str], Reply]] = {
    WrongPath.HTML_404: lambda *_: html_reply(404, "404 Not Found"),
    WrongPath.JSON_404: lambda *_: json_reply(404, {"detail": "Not Found"}),
    WrongPath.INVALID_URL: _invalid_url,
    WrongPath.TEXT_404: lambda *_: Reply(404, b"404 page not found\n", _TEXT),
    WrongPath.WEB_PAGE: lambda *_: html_reply(200, "AI Gateway", '<div id="root"></div>'),
}

_MISSING: Mapping[MissingAs, Callable[[str], dict[str, Any]]] = {
    MissingAs.DETAIL: lambda _: {"detail": "Generation not found"},
    MissingAs.CODE: lambda _: {
        "code": "task_not_exist",
        "message": "task not exist",
        "data": None,
    },
    MissingAs.ERROR: lambda task_id: {
        "error": {
            "message": f"The generation '{task_id}' does not exist",
            "type": "invalid_request_error",
            "code": "generation_not_found",
        }
    },
    MissingAs.MESSAGE: lambda task_id: {"success": False, "message": f"no such task: {task_id}"},
}


def wrong_path(form: str, method: str, path: str) -> Reply:
    """The answer outside the API; it does not mention tasks."""
    return _WRONG_PATHS[WrongPath(form)](method, path)


def missing_task(form: str, task: Task) -> Reply:
    """A 404 that mentions the task."""
    if form == MissingAs.MIXED:
        say = pick(tuple(_MISSING.values()), task.draws.shares("missing")[0])
    else:
        say = _MISSING[MissingAs(form)]
    return json_reply(404, say(task.task_id))


def task_id_of(path: str, root: str) -> str | None:
    """The task ID in a path; None if there is none, or it is not UTF-8."""
    encoded = path.removeprefix(root + "/")
    if encoded in ("", path) or "/" in encoded:
        return None
    try:
        return unquote(encoded, errors="strict")
    except UnicodeDecodeError:
        return None
