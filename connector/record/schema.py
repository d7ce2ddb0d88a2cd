"""The tables, declared once: from here come schemas, file metadata and the dictionary."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from connector.record.answer import REJECT_REASONS, Outcome
from connector.record.columns import TIMESTAMP, Column, Table
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
ORIENTATIONS: Final = ("landscape", "portrait", "square")


def _url(name: str, what: str, *paths: str) -> Column:
    return Column(name, STRING, f"URL of {what}.", paths=paths)


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
        paths=("state",),
        example="completed",
    ),
    Column(
        "prompt", STRING, "Text that the video was made from.", paths=("prompt", "request.prompt")
    ),
    Column(
        "created_at",
        TIMESTAMP,
        "When the generation was asked for.",
        "UTC",
        ("created_at",),
        "2024-10-15T08:56:19.325Z",
    ),
    _url("video_url", "the video", "video.url", "assets.video"),
    _side("video_width", "the video", "video.width", "752"),
    _side("video_height", "the video", "video.height", "1360"),
    _url(
        "video_download_url",
        "the video's download; presigned, so a credential until `download_url_expires_at`",
        "video.download_url",
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
        "What is made: `video` or `image`.",
        paths=("generation_type", "request.generation_type"),
    ),
    Column(
        "model",
        STRING,
        "Model that was asked for, such as `ray-2`.",
        paths=("model", "version", "request.model"),
    ),
    Column("failure_reason", STRING, "Why the generation failed.", paths=("failure_reason",)),
    _url("image_url", "the image", "assets.image"),
    _url("progress_video_url", "the video of the progress", "assets.progress_video"),
    Column(
        "requested_aspect_ratio",
        STRING,
        "Aspect ratio that was asked for, such as `16:9`.",
        paths=("request.aspect_ratio",),
    ),
    Column(
        "requested_resolution",
        STRING,
        "Resolution that was asked for, such as `720p`.",
        paths=("request.resolution",),
    ),
    Column(
        "requested_duration",
        STRING,
        "Duration that was asked for, as text such as `5s`.",
        paths=("request.duration",),
    ),
    Column("requested_loop", BOOL, "Whether a loop was asked for.", paths=("request.loop",)),
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
        "resolution",
        STRING,
        "Named resolution nearest to the video's number of pixels, or else the requested one.",
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
    Column("megapixels", FLOAT64, "Width × height of the video.", "10⁶ pixels", example="1.02272"),
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
        "Model in the video's storage path: its first segment.",
        example="lit_lite_inference_v1.6-xl",
    ),
    Column(
        "watermarked", BOOL, "Whether the video's file name says `_watermarked_`.", example="true"
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
        "When the download URL ends to work (`X-Amz-Date` + `X-Amz-Expires`).",
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
    Column("extra", STRING, "Fields that no column has, as a JSON object; null values left out."),
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
            paths=("id",),
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
            "Whether only `--retry-rejected` asks again; otherwise the next run does.",
        ),
        *_OF_ANSWER,
        Column(
            "body_start", STRING, "The body's first 1,000 characters, undecodable bytes replaced."
        ),
        Column("run_id", STRING, "Run that met it: `runs.run_id`."),
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
        Column("body", pa.binary(), "The body as it came, decompressed; its start if too large."),
        Column("run_id", STRING, "Run that received it: `runs.run_id`."),
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

PROMPTS, RESOLUTIONS, TIMINGS = MARTS = marts_of(GENERATIONS)

TABLES: Final = {
    table.name: table for table in (GENERATIONS, REJECTS, ANSWERS, RUNS, *MARTS, COLUMNS)
}
