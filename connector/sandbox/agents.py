"""Luma's newer API, the Agents API: `GET /v1/generations/{id}`, without a list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from connector.sandbox.draws import pick
from connector.sandbox.spellings import OWN_WORDS, spelling
from connector.sandbox.tasks import Phase

if TYPE_CHECKING:
    from connector.sandbox.dialects import View

_STORAGE = "https://storage.cdn-luma.com"
_WORDS = {**OWN_WORDS, Phase.RUNNING: ("processing",)}
# Type, model, and what a finished one consists of: the type of each file and its layer.
_MADE = (
    ("video", "ray-3.2", (("video", None),)),
    ("video_edit", "ray-3.2", (("video", None), ("image", None))),
    ("video_reframe", "ray-3.2", (("video", None),)),
    ("image", "uni-1", (("image", None),)),
    ("image_edit", "uni-1", (("image", "background"), ("image", "subject"))),
)
_FAILURE_CODES = (
    "content_moderated",
    "generation_failed",
    "budget_exhausted",
    "rate_limited",
    "invalid_request",
)


def agents_body(view: View) -> dict[str, Any]:
    """A generation; it echoes no prompt, no size and no request."""
    task, phase = view.task, view.phase
    made, code, state_word, time_form, *_ = task.draws.shares("agents")
    written = spelling(view.settings)
    kind, model, files = pick(_MADE, made, skew=1.5)
    folder = task.draws.uuids("agents")[0]
    has_failed = phase is Phase.FAILED
    output = [
        {
            "type": file,
            "url": f"{_STORAGE}/agents/{folder}/{number}.{'mp4' if file == 'video' else 'png'}",
            "layer": layer,
        }
        for number, (file, layer) in enumerate(files)
    ]
    return {
        "id": task.task_id,
        "type": kind,
        "state": written.state(phase, _WORDS[phase], state_word),
        "model": model,
        "created_at": written.moment(task.created_at, time_form),
        "output": output if phase is Phase.COMPLETED else [],
        "failure_code": pick(_FAILURE_CODES, code, skew=1.5) if has_failed else None,
        "failure_reason": task.failure_reason if has_failed else None,
    }
