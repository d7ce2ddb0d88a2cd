"""The tables, declared once: from here come schemas, file metadata and the dictionary."""

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
ORIENTATIONS: Final = ("landscape", "portrait", "square")


def _url(name: str, what: str, *paths: str) -> Column:
    return Column(name, STRING, f"URL of {what}.", paths=paths)


def _told(name: str, what: str, *others: str) -> Column:
    """A time that only some gateways tell, usually in whole seconds since 1970."""
    description = f"{what}; null if it does not say."
    return Column(name, TIMESTAMP, description, "UTC", (name, *others), is_often_epoch=True)


def _side(name: str, what: str, path: str, example: str) -> Column:
    side = name.rpartition("_")[2].capitalize()
    return Column(name, INT32, f"{side} of {what}.", "pixels", (path,), example)


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
        "State in the gateway's own words; `status` has it in five.",
        paths=("state", "status", "task_status"),
        example="completed",
    ),
    Column(
        "prompt",
        STRING,
        "Text that the video was made from.",
        paths=("prompt", "request.prompt", "input.prompt", "properties.input"),
    ),
    Column(
        "created_at",
        TIMESTAMP,
        "When the generation was asked for.",
        "UTC",
        ("created_at", "meta.created_at", "create_time", "submitted_at", "submit_time"),
        "2024-10-15T08:56:19.325Z",
    ),
    _told("submitted_at", "When the gateway took the task in", "submit_time"),
    _told("started_at", "When the gateway began to work on it", "start_time", "meta.started_at"),
    _told(
        "finished_at",
        "When the gateway finished it, well or not",
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
        "The gateway's word on the queue, as it came.",
        paths=("queue_state",),
    ),
    Column(
        "estimate_wait_seconds",
        FLOAT64,
        "How long the gateway expected the task to wait still.",
        "seconds",
        ("estimate_wait_seconds",),
    ),
)

OFFICIAL = (
    Column(
        "generation_type",
        STRING,
        "What is made, such as `video`, `image` or `upscale_video`.",
        paths=("request.generation_type", "generation_type"),
    ),
    Column(
        "model",
        STRING,
        "Model that was asked for, such as `ray-2`.",
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
            "error_message",
            "fail_msg",
            "error",
        ),
    ),
    Column(
        "failure_code",
        STRING,
        "The gateway's code for why it failed.",
        paths=("failure_code", "error.code", "error_code"),
    ),
    _url("image_url", "the image", "assets.image"),
    _url("progress_video_url", "the video of the progress", "assets.progress_video"),
    Column(
        "requested_aspect_ratio",
        STRING,
        "Aspect ratio that was asked for, such as `16:9`.",
        paths=("request.aspect_ratio", "input.aspect_ratio"),
    ),
    Column(
        "requested_resolution",
        STRING,
        "Resolution that was asked for, such as `720p`.",
        paths=("request.resolution", "input.resolution"),
    ),
    Column(
        "requested_duration",
        STRING,
        "Duration that was asked for, as text such as `5s`.",
        paths=("request.duration", "input.duration"),
    ),
    Column(
        "requested_loop",
        BOOL,
        "Whether a loop was asked for.",
        paths=("request.loop", "input.loop"),
    ),
)

DERIVED = (
    Column(
        "status",
        STRING,
        "`state` in five words; `completed` and `failed` are final.",
        example="completed",
        allowed=STATUSES,
    ),
    Column(
        "failure_category",
        STRING,
        "Kind of the failure, by its code and reason; null unless it failed.",
        allowed=FAILURE_CATEGORIES,
    ),
    Column("duration_seconds", FLOAT64, "Length that was asked for, as a number.", "seconds"),
    Column(
        "resolution",
        STRING,
        "Named resolution nearest to the video's number of pixels, or else the requested one. "
        "If the video has no size, that of `video_raw`, `last_frame` or `thumbnail` counts.",
        example="720p",
    ),
    Column(
        "aspect_ratio",
        STRING,
        "Named aspect ratio within 4% of the video's, else the reduced fraction; as requested if "
        "the size is unknown.",
        example="9:16",
    ),
    Column(
        "orientation",
        STRING,
        "Which side is longer, by size or else by the requested aspect ratio.",
        example="portrait",
        allowed=ORIENTATIONS,
    ),
    Column("megapixels", FLOAT64, "Width × height of that size.", "10⁶ pixels", example="1.02272"),
    Column(
        "prompt_id",
        STRING,
        "Identifies the prompt's text: BLAKE2b-64 of it without surrounding blanks, in hex.",
    ),
    Column("prompt_words", INT32, "Words in the prompt, separated by blanks.", "words"),
    Column("prompt_characters", INT32, "Unicode characters in the prompt.", "characters"),
    Column(
        "storage_model",
        STRING,
        "Model in the video's storage path: its first segment, unless it names the service.",
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
    Column("first_seen_at", TIMESTAMP, "When it was first fetched.", "UTC"),
    Column("fetched_at", TIMESTAMP, "When it was last fetched.", "UTC"),
    Column(
        "last_unfinished_at",
        TIMESTAMP,
        "When the latest fetch that found it queued or running was begun: not yet finished then.",
        "UTC",
    ),
    Column("first_finished_at", TIMESTAMP, "Earliest fetch that found it finished.", "UTC"),
    Column("fetches", INT32, "Answers received that held this generation."),
    Column("run_id", STRING, "Run that last fetched it: `runs.run_id`."),
    Column("base_url", STRING, "Gateway that it was last fetched from."),
    Column(
        "extra",
        STRING,
        "All that no column has, as a JSON object; null values left out. `wrapper` is what stood "
        "around the generation, `others` the further generations of the same answer.",
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
        Column("task_id", STRING, "ID that was asked for; the key of every table."),
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
    Column("attempts", INT32, "Requests made, retries included; 0 if it came with a listing."),
    Column(
        "elapsed_seconds",
        FLOAT64,
        "First request to end of last answer, waits included.",
        "seconds",
    ),
    Column("fetched_at", TIMESTAMP, "When the last attempt ended.", "UTC"),
    Column("message", STRING, "What went wrong, for people; null for a generation."),
)

REJECTS = Table(
    "rejects",
    "Task IDs whose latest answer was no generation.",
    (
        Column("task_id", STRING, "ID that was asked for."),
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
            "Whether the task is given up: only `--retry-rejected`, or a run against another "
            "gateway, asks again. Otherwise the next run does.",
        ),
        Column(
            "concerns",
            STRING,
            "What the refusal is true of: only what is true of the task is held against it.",
            allowed=tuple(Concern),
            example="task",
        ),
        *_OF_ANSWER,
        Column(
            "body_start", STRING, "The body's first 1,000 characters, undecodable bytes replaced."
        ),
        Column("run_id", STRING, "Run that met it: `runs.run_id`."),
        Column("base_url", STRING, "Gateway that refused it."),
    ),
    key=("task_id",),
    sort=("task_id",),
)

ANSWERS = Table(
    "answers",
    "Every answer received, as it came: the log that all other tables can be rebuilt from.",
    (
        Column("task_id", STRING, "ID that was asked for."),
        Column(
            "outcome",
            STRING,
            "`generation`, or the reason why there is none.",
            allowed=tuple(Outcome),
        ),
        *_OF_ANSWER,
        Column("status", STRING, "Of the generation; null if there is none.", allowed=STATUSES),
        Column(
            "concerns",
            STRING,
            "What an answer without a generation is true of.",
            allowed=tuple(Concern),
        ),
        Column("body", pa.binary(), "The body as it came, decompressed; its start if too large."),
        Column("run_id", STRING, "Run that received it: `runs.run_id`."),
        Column("base_url", STRING, "Gateway that sent it; null if an earlier version wrote it."),
    ),
    key=("task_id", "fetched_at"),
    partition="received",
)

RUNS = Table(
    "runs",
    "Runs that asked the gateway for something: what was given and what came of it.",
    (
        Column("run_id", STRING, "Start time and a random part; sorts by time."),
        Column("started_at", TIMESTAMP, "When the run started.", "UTC"),
        Column("finished_at", TIMESTAMP, "When the run ended.", "UTC"),
        Column("elapsed_seconds", FLOAT64, "How long the run took.", "seconds"),
        Column("outcome", STRING, "How it ended.", allowed=("done", "stopped")),
        Column("message", STRING, "Why it stopped early; null if it did not."),
        Column("base_url", STRING, "Gateway that was asked."),
        Column("given", INT64, "Task IDs given = the next seven together."),
        Column("blank", INT64, "Given, but blank."),
        Column("duplicate", INT64, "Given before in the same run."),
        Column("invalid", INT64, "Not a possible task ID."),
        Column("already_terminal", INT64, "Known to be finished, finally rejected or given up."),
        Column("fetched", INT64, "Asked for and answered with a generation."),
        Column("rejected", INT64, "Asked for and not answered with a generation."),
        Column("not_reached", INT64, "Not asked for: over `--limit`, or the run stopped."),
        Column("completed", INT64, "Fetched and completed."),
        Column("failed", INT64, "Fetched and failed."),
        Column("unfinished", INT64, "Fetched and not finished yet: the next run asks again."),
        Column("requests", INT64, "HTTP requests made."),
        Column("retries", INT64, "HTTP requests that repeated a failed one."),
        Column("polls", INT64, "Answers beyond the first, to IDs that were unfinished: `--wait`."),
        Column("version", STRING, "Version of luma-to-parquet."),
    ),
    key=("run_id",),
    sort=("run_id",),
)

COLUMNS = Table(
    "columns",
    "The dictionary: a row for each column of each table.",
    (
        Column("table", STRING, "Table."),
        Column("position", INT32, "Position in the table, from 1."),
        Column("column", STRING, "Column."),
        Column("type", STRING, "Arrow type."),
        Column("unit", STRING, "Unit of the value."),
        Column("description", STRING, "What it holds."),
        Column("source", STRING, "JSON path in the answer; null if derived."),
        Column("allowed", STRING, "All values it can have, separated by commas; null if open."),
        Column("example", STRING, "An example, from the documented answer where that has one."),
    ),
    key=("table", "column"),
    sort=("table", "position"),
)

MARTS = marts_of(GENERATIONS)
PROMPTS, FAMILIES, TERMS, RESOLUTIONS, TIMINGS, TURNAROUND, TURNAROUND_QUANTILES = MARTS

TABLES: Final = {
    table.name: table for table in (GENERATIONS, REJECTS, ANSWERS, RUNS, *MARTS, COLUMNS)
}
