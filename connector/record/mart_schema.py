"""The marts' declarations: tables that are worked out from `generations` alone."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from connector.record.column import TIMESTAMP, Column, Table

COUNT, SHARE = pa.int64(), pa.float64()

BASES: Final = (
    "reported",
    "observed",
    "signed",
    "backfilled",
    "unfinished",
    "undated",
    "contradictory",
)

OUTCOMES: Final = (
    Column("uses", COUNT, "Generations = completed + failed + unfinished."),
    Column("completed", COUNT, "Generations that are completed."),
    Column("failed", COUNT, "Generations that failed."),
    Column("unfinished", COUNT, "Generations that are not known to be finished."),
    Column(
        "failure_share",
        SHARE,
        "failed ÷ (completed + failed), from 0 to 1; null while none is finished.",
    ),
)


def marts_of(generations: Table) -> tuple[Table, Table, Table]:
    """Declare `prompts`, `resolutions` and `timings`, given the table that they are made from."""
    return _prompts(generations), _resolutions(generations), _timings(generations)


def _prompts(generations: Table) -> Table:
    return Table(
        "prompts",
        "Distinct prompts, in the order of their first use; generations without one are left out.",
        (
            generations["prompt_id"],
            Column(
                "prompt",
                pa.string(),
                "Text of the prompt, as it was first used.",
                paths=generations["prompt"].paths,
            ),
            *OUTCOMES,
            Column(
                "main_failure_reason",
                pa.string(),
                "Reason that most of the failures gave; null if none gave any.",
            ),
            Column("first_used_at", TIMESTAMP, "Earliest `created_at`.", "UTC"),
            Column("last_used_at", TIMESTAMP, "Latest `created_at`.", "UTC"),
            generations["prompt_words"],
            generations["prompt_characters"],
        ),
        key=("prompt_id",),
    )


def _resolutions(generations: Table) -> Table:
    key = ("width", "height", "resolution", "aspect_ratio", "orientation")
    return Table(
        "resolutions",
        "Sizes of videos. Where no size is known, what was requested stands for it: `uses` adds up "
        "to all generations.",
        (
            Column(
                "label",
                pa.string(),
                "Name for charts: the size, else what was requested, else `unknown`.",
                example="752 × 1360",
            ),
            Column(
                "width",
                pa.int32(),
                "Width of the videos; null if it is not known.",
                "pixels",
                generations["video_width"].paths,
                "752",
            ),
            Column(
                "height",
                pa.int32(),
                "Height of the videos; null if it is not known.",
                "pixels",
                generations["video_height"].paths,
                "1360",
            ),
            *(generations[name] for name in (*key[2:], "megapixels")),
            *OUTCOMES,
        ),
        key=key,
        sort=key,
    )


def _timings(generations: Table) -> Table:
    return Table(
        "timings",
        "How long each generation took, between which bounds. A generation is finished when the "
        "gateway says it was, or else when its answers first say so. The truth lies within the "
        "bounds; where in between is not known.",
        (
            *(generations[name] for name in ("task_id", "created_at", "started_at", "finished_at")),
            generations["first_seen_at"],
            Column("finished_after_at", TIMESTAMP, "It was not finished before this.", "UTC"),
            Column(
                "finished_before_at",
                TIMESTAMP,
                "It was finished by then; null if nothing tells.",
                "UTC",
                example="2024-10-15T08:56:54Z",
            ),
            Column("seconds_lower", SHARE, "It took at least this long.", "seconds", example="0.0"),
            Column(
                "seconds_upper",
                SHARE,
                "It took at most this long; null if nothing tells.",
                "seconds",
                example="34.675",
            ),
            Column(
                "basis",
                pa.string(),
                "What the bounds rest on. `reported`: the gateway says when it finished; the "
                "bounds are a second apart if it counts whole seconds. `observed`: seen "
                "unfinished, later finished. `signed`: its download URL was signed before anyone "
                "here saw it finished. `backfilled`: first seen when long finished, so the upper "
                "bound says next to nothing. `unfinished`: no upper bound yet. `undated`: when it "
                "was created is not known. `contradictory`: what is known cannot all be true, so "
                "nothing is claimed.",
                example="signed",
                allowed=BASES,
            ),
            Column(
                "queue_seconds",
                SHARE,
                "How long it waited before the gateway began to work on it: `started_at` − "
                "`submitted_at`, or else `created_at`. Null if not reported or negative.",
                "seconds",
            ),
            Column(
                "work_seconds",
                SHARE,
                "How long the gateway worked on it: `finished_at` − `started_at`. Null if not "
                "reported, negative or unfinished.",
                "seconds",
            ),
            generations["status"],
            Column(
                "model",
                pa.string(),
                "Model that was asked for, else the one in the video's storage path.",
                paths=generations["model"].paths,
                example="lit_lite_inference_v1.6-xl",
            ),
            generations["resolution"],
            Column("created_hour", pa.int32(), "Hour of the day of `created_at`, 0 to 23.", "UTC"),
        ),
        key=generations.key,
        sort=generations.sort,
        partition=generations.partition,
    )
