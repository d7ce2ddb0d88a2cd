"""The declared tables, from which schemas, file metadata and the dictionary come."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from connector.record.answer import REJECT_REASONS, Concern, Outcome
from connector.record.column import TIMESTAMP, Column, Table
from connector.record.mart_schema import marts_of

STRING, BOOL, INT32, INT64, FLOAT64 = (
    pa.string(),
    pa.bool_(),
    pa.int32(),
    pa.int64(),
    pa.float64(),
)

STATUSES: Final = ("queued", "running", "completed", "failed", "unknown")
TERMINAL_STATUSES: Final = ("completed", "failed")
UNFINISHED_STATUSES: Final = ("queued", "running")
FAILURE_CATEGORIES: Final = (
    "moderation",
    "invalid_input",
    "quota",
    "gateway_error",
    "cancelled",
    "other",
)
PROMPT_SOURCES: Final = ("gateway", "given")
# The documented one, and Luma's newer one.
APIS: Final = ("dream-machine", "agents")
ORIENTATIONS: Final = ("landscape", "portrait", "square")


def _url(name: str, what: str, *paths: str) -> Column:
    return Column(name, STRING, f"URL of {what}.", paths=paths)


def _reported(name: str, what: str, *others: str) -> Column:
    """A time that only some gateways report, usually in whole seconds since 1970."""
    description = f"{what}; null if it does not say."
    return Column(name, TIMESTAMP, description, "UTC", (name, *others), is_often_epoch=True)


def _side(name: str, what: str, path: str, example: str) -> Column:
    side = name.rpartition("_")[2].capitalize()
    return Column(name, INT32, f"{side} of {what}.", "pixels", (path,), example)


def _api(what: str) -> Column:
    description = f"{what}; null if an earlier version fetched it."
    return Column("api", STRING, description, allowed=APIS)


def _sequence(what: str) -> Column:
    return Column(
        "sequence",
        INT64,
        f"{what}: a later one has a higher number, whatever the clock said.",
    )


def _picture(prefix: str, what: str) -> tuple[Column, Column, Column]:
    """An object with `url`, `width` and `height`."""
    return (
        _url(f"{prefix}_url", what, f"{prefix}.url"),
        _side(f"{prefix}_width", what, f"{prefix}.width", "752"),
        _side(f"{prefix}_height", what, f"{prefix}.height", "1360"),
    )


DOCUMENTED = (
    Column(
        "state",
        STRING,
        "State in the gateway's own words; `status` maps it to one of five.",
        paths=("state", "status", "task_status", "task_state", "job_status"),
        example="completed",
    ),
    Column(
        "prompt",
        STRING,
        "Text prompt of the generation; `prompt_source` says where it is from.",
        paths=("prompt", "request.prompt", "input.prompt", "properties.input"),
    ),
    Column(
        "created_at",
        TIMESTAMP,
        "When the generation was requested.",
        "UTC",
        (
            "created_at",
            "meta.created_at",
            "create_time",
            "submitted_at",
            "submit_time",
            "created",
            "created_on",
        ),
        "2024-10-15T08:56:19.325Z",
    ),
    _reported("submitted_at", "When the gateway accepted the task", "submit_time"),
    _reported(
        "started_at", "When the gateway started to work on it", "start_time", "meta.started_at"
    ),
    _reported(
        "finished_at",
        "When the gateway finished it, successfully or not",
        "completed_at",
        "finish_time",
        "complete_time",
        "ended_at",
        "end_time",
        "meta.finished_at",
        "meta.completed_at",
        "meta.ended_at",
    ),
    _url("video_url", "the video", "video.url", "assets.video", "video_url"),
    _side("video_width", "the video", "video.width", "752"),
    _side("video_height", "the video", "video.height", "1360"),
    _url(
        "video_download_url",
        "the video's download; presigned, so a credential until `download_url_expires_at`",
        "video.download_url",
    ),
    Column(
        "video_duration_seconds",
        FLOAT64,
        "Length of the video.",
        "seconds",
        ("video.duration", "video_raw.duration"),
    ),
    *_picture("thumbnail", "the thumbnail"),
    *_picture("video_raw", "the video without a watermark (VIP accounts only)"),
    *_picture("last_frame", "the video's last frame"),
    Column("liked", BOOL, "Whether the user liked it.", paths=("liked",)),
    Column(
        "queue_state",
        STRING,
        "State of the queue, as received.",
        paths=("queue_state",),
    ),
    Column(
        "estimate_wait_seconds",
        FLOAT64,
        "Remaining wait that the gateway estimated.",
        "seconds",
        ("estimate_wait_seconds",),
    ),
)

OFFICIAL = (
    Column(
        "generation_type",
        STRING,
        "Type of generation, such as `video`, `image` or `upscale_video`.",
        paths=("request.generation_type", "generation_type"),
    ),
    Column(
        "requested_model",
        STRING,
        "Requested model, such as `ray-2`.",
        paths=("model", "version", "request.model", "input.model"),
    ),
    Column(
        "failure_reason",
        STRING,
        "Why the generation failed, in the gateway's words.",
        paths=(
            "failure_reason",
            "fail_reason",
            "error.message",
            "error.raw_message",
            "error_message",
            "fail_msg",
            "failure_message",
            "task_status_msg",
            "error",
        ),
    ),
    Column(
        "failure_code",
        STRING,
        "The gateway's code for the failure.",
        paths=("failure_code", "error.code", "error_code", "fail_code"),
    ),
    _url("image_url", "the image", "assets.image"),
    _url("progress_video_url", "the progress video", "assets.progress_video"),
    Column(
        "requested_aspect_ratio",
        STRING,
        "Requested aspect ratio, such as `16:9`.",
        paths=("request.aspect_ratio", "input.aspect_ratio", "aspect_ratio"),
    ),
    Column(
        "requested_resolution",
        STRING,
        "Requested resolution, such as `720p`.",
        paths=("request.resolution", "input.resolution", "resolution"),
    ),
    Column(
        "requested_duration",
        STRING,
        "Requested duration, as text such as `5s`.",
        paths=("request.duration", "input.duration"),
    ),
    Column(
        "requested_loop",
        BOOL,
        "Whether a loop was requested.",
        paths=("request.loop", "input.loop", "loop"),
    ),
)

DERIVED = (
    Column(
        "status",
        STRING,
        "`state` as one of five values; `completed` and `failed` are final.",
        example="completed",
        allowed=STATUSES,
    ),
    Column(
        "failure_category",
        STRING,
        "Kind of failure, from its code and reason; null unless it failed.",
        allowed=FAILURE_CATEGORIES,
    ),
    Column("duration_seconds", FLOAT64, "Requested duration, as a number.", "seconds"),
    Column(
        "resolution",
        STRING,
        "Named resolution nearest to the video's number of pixels, or else the requested one. "
        "If the video has no size, that of `video_raw`, `last_frame` or `thumbnail` is used.",
        example="720p",
    ),
    Column(
        "aspect_ratio",
        STRING,
        "Named aspect ratio within 4% of the video's, else the reduced fraction; the requested one "
        "if the size is unknown.",
        example="9:16",
    ),
    Column(
        "orientation",
        STRING,
        "By the longer side of the size, or else of the requested aspect ratio.",
        example="portrait",
        allowed=ORIENTATIONS,
    ),
    Column(
        "megapixels",
        FLOAT64,
        "Width × height of the size used for `resolution`.",
        "10⁶ pixels",
        example="1.02272",
    ),
    Column(
        "prompt_source",
        STRING,
        "Where the prompt is from: the gateway's answer, or the column `prompt` that was kept with "
        "the task ID; null without a prompt.",
        allowed=PROMPT_SOURCES,
    ),
    Column(
        "prompt_id",
        STRING,
        "ID of the prompt's text: its BLAKE2b-64 in hex, without surrounding blanks.",
    ),
    Column(
        "prompt_words", INT32, "Number of words in the prompt, separated by white space.", "words"
    ),
    Column("prompt_characters", INT32, "Number of Unicode characters in the prompt.", "characters"),
    Column(
        "model",
        STRING,
        "Model: the requested one, otherwise the one in the video's storage path. Means the same "
        "in every table.",
        example="lit_lite_inference_v1.6-xl",
    ),
    Column(
        "model_source",
        STRING,
        "Where `model` is from: `requested` is `requested_model`, `storage` is `storage_model`; "
        "null if neither is known. Only a video has a storage path, so a model from there never "
        "has failures: compare failure shares where this is `requested`.",
        example="storage",
        allowed=("requested", "storage"),
    ),
    Column(
        "storage_model",
        STRING,
        "Model in the video's storage path: its first segment, unless that is the service.",
        example="lit_lite_inference_v1.6-xl",
    ),
    Column(
        "watermarked", BOOL, "Whether the video's file name says `watermarked`.", example="true"
    ),
    Column(
        "download_url_signed_at",
        TIMESTAMP,
        "When the download URL was signed (`X-Amz-Date`).",
        "UTC",
        example="2024-10-15T08:56:53Z",
    ),
    Column(
        "download_url_expires_at",
        TIMESTAMP,
        "When the download URL expires (`X-Amz-Date` + `X-Amz-Expires`).",
        "UTC",
        example="2024-10-15T09:56:53Z",
    ),
)

LINEAGE = (
    Column("first_seen_at", TIMESTAMP, "First fetch.", "UTC"),
    Column("fetched_at", TIMESTAMP, "Last fetch.", "UTC"),
    Column(
        "last_unfinished_at",
        TIMESTAMP,
        "Start of the last fetch that found it queued or running: not finished at that time.",
        "UTC",
    ),
    Column("first_finished_at", TIMESTAMP, "Earliest fetch that found it finished.", "UTC"),
    Column(
        "fetches",
        INT32,
        "Answers received that held this generation; one that calls it unfinished again does not "
        "count.",
    ),
    _sequence("Place in the log of the last of these answers"),
    Column("run_id", STRING, "Run that last fetched it: `runs.run_id`."),
    Column("base_url", STRING, "Gateway that it was last fetched from."),
    _api("API that it was last fetched by"),
    Column(
        "extra",
        STRING,
        "All values that no column has, as a JSON object without nulls. `wrapper` has the objects "
        "around the generation, `others` further generations of the same answer.",
    ),
    Column(
        "coercions",
        STRING,
        "Values of an unexpected type, as a JSON array of `{column, from, to}`.",
    ),
)

GENERATIONS = Table(
    "generations",
    "The latest generation of each task ID.",
    (
        Column("task_id", STRING, "Requested ID; the key of every table."),
        Column(
            "id",
            STRING,
            "ID in the answer; may differ from `task_id`.",
            paths=("id", "task_id", "generation_id"),
            example="32ec5549-7b7a-4111-a43b-445b3a89c8ef",
        ),
        *DOCUMENTED,
        *OFFICIAL,
        *DERIVED,
        *LINEAGE,
    ),
    key=("task_id",),
    sort=("created_at", "task_id"),
    partition="created",
)

_OF_ANSWER = (
    Column("http_status", INT32, "HTTP status of the last attempt; null if none came."),
    Column("attempts", INT32, "Requests made, retries included; 0 if it came along with others."),
    Column(
        "elapsed_seconds",
        FLOAT64,
        "Time from the first request to the end of the last answer, waits included.",
        "seconds",
    ),
    Column("fetched_at", TIMESTAMP, "End of the last attempt.", "UTC"),
    Column("message", STRING, "What went wrong, for people; null for a generation."),
)

REJECTS = Table(
    "rejects",
    "Task IDs whose latest answer had no generation.",
    (
        Column("task_id", STRING, "Requested ID."),
        Column(
            "reason",
            STRING,
            "Why there is no generation.",
            allowed=tuple(REJECT_REASONS),
            example="not_found",
        ),
        Column(
            "is_final",
            BOOL,
            "Whether the task is given up: only `--retry-rejected` or another gateway requests it "
            "again. Otherwise the next run does.",
        ),
        Column(
            "concerns",
            STRING,
            "Scope of the refusal: a task is given up only for a refusal that concerns the task.",
            allowed=tuple(Concern),
            example="task",
        ),
        *_OF_ANSWER,
        Column(
            "body_start", STRING, "First 1,000 characters of the body, undecodable bytes replaced."
        ),
        Column("run_id", STRING, "Run that received it: `runs.run_id`."),
        Column("base_url", STRING, "Gateway that refused it."),
        _sequence("Place of this answer in the log"),
    ),
    key=("task_id",),
    sort=("task_id",),
)

ANSWERS = Table(
    "answers",
    "Every answer as received: the log from which all other tables can be rebuilt.",
    (
        Column("task_id", STRING, "Requested ID."),
        Column(
            "outcome",
            STRING,
            "`generation`, or the reason why there is none.",
            allowed=tuple(Outcome),
        ),
        *_OF_ANSWER,
        Column(
            "status", STRING, "Status of the generation; null if there is none.", allowed=STATUSES
        ),
        Column(
            "concerns",
            STRING,
            "Scope of an answer without a generation; null for a generation.",
            allowed=tuple(Concern),
        ),
        Column(
            "body",
            pa.binary(),
            "Body as received, decompressed; only the start if it was too large.",
        ),
        Column("run_id", STRING, "Run that received it: `runs.run_id`."),
        Column("base_url", STRING, "Gateway that sent it; null if an earlier version wrote it."),
        _api("API that it came by"),
        Column(
            "sequence",
            INT64,
            "Place in the log, the same for a batch: a later one has a higher number, whatever the "
            "clock said. Null if an earlier version wrote it: its place is `fetched_at`, in "
            "microseconds.",
        ),
    ),
    key=("task_id", "fetched_at"),
    partition="received",
)

RUNS = Table(
    "runs",
    "Runs that had task IDs to request: what was given, and the results.",
    (
        Column(
            "run_id",
            STRING,
            "Start time and a random part; sorts in the order of the runs, so it is later than "
            "`started_at` where a clock was set back.",
        ),
        Column("started_at", TIMESTAMP, "Start of the run.", "UTC"),
        Column("finished_at", TIMESTAMP, "End of the run.", "UTC"),
        Column("elapsed_seconds", FLOAT64, "Duration of the run.", "seconds"),
        Column("outcome", STRING, "How the run ended.", allowed=("done", "stopped")),
        Column("message", STRING, "Why it stopped early; null if it did not."),
        Column("base_url", STRING, "Gateway of the run."),
        Column(
            "given", INT64, "Task IDs given: the sum of the next seven columns, and `forgotten`."
        ),
        Column("blank", INT64, "Given, but blank."),
        Column("duplicate", INT64, "Given more than once: repetitions."),
        Column("invalid", INT64, "Not a possible task ID."),
        Column("already_terminal", INT64, "Already finished, finally rejected or given up."),
        Column("fetched", INT64, "Requested and answered with a generation."),
        Column("rejected", INT64, "Requested and answered without a generation."),
        Column("not_reached", INT64, "Not requested: over `--limit`, or the run stopped."),
        Column("completed", INT64, "Fetched and completed."),
        Column("failed", INT64, "Fetched and failed."),
        Column(
            "unfinished", INT64, "Fetched and not finished yet: the next run requests them again."
        ),
        Column(
            "given_up",
            INT64,
            "Fetched and not finished, for longer than `--give-up-after`: not requested again.",
        ),
        Column("given_up_before", INT64, "Of `already_terminal`: given up, not finished."),
        Column("requests", INT64, "HTTP requests made."),
        Column("retries", INT64, "HTTP requests that repeated a failed one."),
        Column("mixed_up", INT64, "Answers about another task than the one asked for: not kept."),
        Column("polls", INT64, "Answers after the first one, for unfinished IDs: `--wait`."),
        Column("version", STRING, "Version of luma-to-parquet."),
        Column("forgotten", INT64, "Given, but forgotten on request: never requested again."),
        Column("note", STRING, "What was noticed besides, such as a wrong clock; null if nothing."),
    ),
    key=("run_id",),
    sort=("run_id",),
)

GIVEN = Table(
    "given",
    "What came with the task IDs: the columns of their sources that a run was asked to keep "
    "(`--keep`), under their own names.",
    (Column("task_id", STRING, "Given ID, whether it was requested or not."),),
    key=("task_id",),
    sort=("task_id",),
)

COLUMNS = Table(
    "columns",
    "The data dictionary: one row per column of each table.",
    (
        Column("table", STRING, "Name of the table."),
        Column("position", INT32, "Position in the table, from 1."),
        Column("column", STRING, "Name of the column."),
        Column("type", STRING, "Arrow type."),
        Column("unit", STRING, "Unit of the value."),
        Column("description", STRING, "Meaning of the column."),
        Column("source", STRING, "JSON path in the answer; null if derived."),
        Column("allowed", STRING, "All possible values, separated by commas; null if open."),
        Column("example", STRING, "An example, from the documented answer where that has one."),
    ),
    key=("table", "column"),
    sort=("table", "position"),
)

MARTS = marts_of(GENERATIONS)
PROMPTS, FAMILIES, TERMS, RESOLUTIONS, TIMINGS, *_CURVES = MARTS
TURNAROUND, TURNAROUND_QUANTILES, TURNAROUND_HOURS = _CURVES

TABLES: Final = {
    table.name: table for table in (GENERATIONS, REJECTS, ANSWERS, RUNS, *MARTS, GIVEN, COLUMNS)
}
