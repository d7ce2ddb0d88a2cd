"""Bodies of generations in the documented gateway dialect and in the official one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from connector.sandbox.draws import Draws, pick
from connector.sandbox.spellings import OWN_WORDS, Spelling, spelling
from connector.sandbox.tasks import Phase

if TYPE_CHECKING:
    from datetime import datetime

    from connector.sandbox.settings import SandboxSettings
    from connector.sandbox.tasks import Task

_STORAGE = "https://storage.cdn-luma.com"
_ACCOUNT, _CREDENTIAL = (uuid.replace("-", "") for uuid in Draws(0, "storage").uuids("owner", 2))
_BUCKET = f"https://{_ACCOUNT}.r2.cloudflarestorage.com/ai-lumalabs-storage"
_URL_VALID_SECONDS = 3600
_STORAGE_MODELS = (
    "lit_lite_inference_v1.6-xl",
    "dream_machine",
    "lit_lite_inference_im2vid_v1.0",
    "lit_lite_inference_text2vid_v1.0",
)
_MODELS = ("ray-2", "ray-flash-2", "ray-1-6")
_GATEWAY_WORDS = {
    Phase.QUEUED: ("pending", "queued"),
    Phase.RUNNING: ("processing", "dreaming"),
    Phase.COMPLETED: ("completed",),
    Phase.FAILED: ("failed",),
}
_OFFICIAL_WORDS = {**OWN_WORDS, Phase.RUNNING: ("dreaming",)}
_AS_DOCUMENTED = Spelling()


class Drawn(NamedTuple):
    """What an ID drew, to compare with the shares in the settings."""

    dialect: float
    vip: float
    other_id: float
    extra_keys: float
    envelope: float


# Draws that always give the official dialect, or the gateway's own.
OFFICIAL, GATEWAY = -1.0, 1.0


def drawn_body(task: Task, phase: Phase, settings: SandboxSettings, signed_at: datetime) -> Any:
    """The body for a task in a phase, in the dialect and with the extras that its ID drew."""
    drawn = Drawn(*task.draws.shares("body")[:5])
    body = generation_body(task, phase, settings, signed_at, drawn)
    if drawn.envelope < settings.enveloped:
        return {"code": "success", "message": "", "data": body}
    return body


def generation_body(
    task: Task, phase: Phase, settings: SandboxSettings, signed_at: datetime, drawn: Drawn
) -> dict[str, Any]:
    """Like `drawn_body`, without an envelope."""
    written = spelling(settings)
    if drawn.dialect < settings.official:
        body = official_body(task, phase, written)
    else:
        body = gateway_body(task, phase, signed_at, written, is_vip=drawn.vip < settings.vip)
    if drawn.other_id < settings.other_id:
        body["id"] = task.draws.uuids("other id")[0]
    if drawn.extra_keys < settings.extra_keys:
        _add_extra_keys(body, task)
    return body


def gateway_body(
    task: Task,
    phase: Phase,
    signed_at: datetime,
    written: Spelling = _AS_DOCUMENTED,
    *,
    is_vip: bool = False,
) -> dict[str, Any]:
    """The documented shape."""
    storage_model, time_form, state_word, absent, *_ = task.draws.shares("gateway")
    body = {
        "id": task.task_id,
        "liked": None,
        "state": written.state(phase, _GATEWAY_WORDS[phase], state_word),
        "video": None,
        "prompt": task.prompt,
        "thumbnail": None,
        "created_at": written.moment(task.created_at, time_form),
        "last_frame": None,
        "queue_state": None,
        "estimate_wait_seconds": None,
    }
    if phase is Phase.COMPLETED:
        body |= _pictures(task, pick(_STORAGE_MODELS, storage_model, skew=2), signed_at)
        if not is_vip:
            del body["video_raw"]
    elif phase is Phase.FAILED:
        body["failure_reason"] = task.failure_reason
    elif absent < 0.5:  # noqa: PLR2004 -- half absent, half null
        for name in ("video", "thumbnail", "last_frame"):
            del body[name]
    return body


def official_body(task: Task, phase: Phase, written: Spelling = _AS_DOCUMENTED) -> dict[str, Any]:
    """The shape of Luma's own API."""
    shares = task.draws.shares("official")
    time_form, model_share, version, loop, duration, absent, state_word, *_ = shares
    model = pick(_MODELS, model_share, skew=1.6)
    body = {
        "id": task.task_id,
        "generation_type": "video",
        "state": written.state(phase, _OFFICIAL_WORDS[phase], state_word),
        "failure_reason": task.failure_reason if phase is Phase.FAILED else None,
        "created_at": written.moment(task.created_at, time_form),
        "assets": _assets(task) if phase is Phase.COMPLETED else None,
        "version" if version < 0.1 else "model": model,  # noqa: PLR2004 -- a few
        "request": {
            "generation_type": "video",
            "prompt": task.prompt,
            "model": model,
            "aspect_ratio": task.size.aspect_ratio,
            "loop": loop < 0.2,  # noqa: PLR2004 -- one in five
            "resolution": _requested_resolution(task),
            "duration": pick(("5s", "9s"), duration, skew=1.5),
            "keyframes": None,
            "callback_url": None,
        },
    }
    if body["assets"] is None and absent < 0.3:  # noqa: PLR2004 -- some
        del body["assets"]
    return body


def _pictures(task: Task, storage_model: str, signed_at: datetime) -> dict[str, Any]:
    marked, raw, thumbnail, last_frame = task.draws.uuids("files", 4)
    folder = f"{storage_model}/{task.draws.uuids('folder')[0]}"
    video = f"video0{task.draws.digits('video')[:32]}.mp4"
    raw_path = f"{folder}/{raw}_{video}"
    return {
        "video": {
            **_picture(task, f"{folder}/{marked}_watermarked_{video}"),
            "download_url": _signed_url(task, raw_path, signed_at),
        },
        "thumbnail": _picture(task, f"{folder}/{thumbnail}_video_0_thumb.jpg"),
        "video_raw": _picture(task, raw_path),
        "last_frame": _picture(task, f"{folder}/{last_frame}_video_0_last_frame.jpg"),
    }


def _assets(task: Task) -> dict[str, Any]:
    folder, video = task.draws.uuids("folder", 2)
    return {
        "video": f"{_STORAGE}/dream_machine/{folder}/{video}_video.mp4",
        "image": f"{_STORAGE}/dream_machine/{folder}/{video}_thumb.jpg",
        "progress_video": None,
    }


def _add_extra_keys(body: dict[str, Any], task: Task) -> None:
    artifact, duration, seconds, *_ = task.draws.shares("extra")
    user_id, artifact_id = task.draws.uuids("extra", 2)
    body["batch_id"] = ""
    body["user_id"] = user_id
    if artifact < 0.5:  # noqa: PLR2004 -- half of them
        body["artifact"] = {"id": artifact_id, "tags": ["a", "b"], "is_public": False}
    if duration < 0.5:  # noqa: PLR2004 -- half of them
        body["duration"] = pick((5.04, 9.0, 10), seconds)
    if isinstance(body.get("video"), dict):
        body["video"]["thumbnail"] = None


def _picture(task: Task, path: str) -> dict[str, Any]:
    return {"url": f"{_STORAGE}/{path}", "width": task.size.width, "height": task.size.height}


def _signed_url(task: Task, path: str, signed_at: datetime) -> str:
    moment = f"{signed_at:%Y%m%dT%H%M%SZ}"
    return (
        f"{_BUCKET}/{path}"
        "?X-Amz-Algorithm=AWS4-HMAC-SHA256"
        f"&X-Amz-Credential={_CREDENTIAL}%2F{moment[:8]}%2Fauto%2Fs3%2Faws4_request"
        f"&X-Amz-Date={moment}&X-Amz-Expires={_URL_VALID_SECONDS}"
        f"&X-Amz-SignedHeaders=host&X-Amz-Signature={task.draws.digits(moment)[:64]}"
    )


def _requested_resolution(task: Task) -> str:
    shorter = min(task.size.width, task.size.height)
    return {540: "540p", 1080: "1080p"}.get(shorter, "720p")
