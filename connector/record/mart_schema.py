"""The marts' declarations: tables that are worked out from `generations` alone."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from connector.record.column import TIMESTAMP, Column, Table

COUNT, SHARE = pa.int64(), pa.float64()

TERM_PROMPTS: Final = 5
"""Distinct prompts that a term needs to count."""

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


GROUPED_BY: Final = ("all", "model", "resolution", "month")
GROUP: Final = (
    Column("group_by", pa.string(), "What the generations are grouped by.", allowed=GROUPED_BY),
    Column(
        "group",
        pa.string(),
        "Model, resolution or month of creation; null for `all`, and where it is not known.",
        example="720p",
    ),
)


def marts_of(generations: Table) -> tuple[Table, ...]:
    """Declare the marts, given the table that they are made from."""
    return (
        _prompts(generations),
        _families(generations),
        _terms(),
        _resolutions(generations),
        _timings(generations),
        _turnaround(),
        _turnaround_quantiles(),
        _turnaround_hours(generations),
    )


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
                "Reason that most of the failures gave, its first 10,000 characters; null if none.",
            ),
            Column("first_used_at", TIMESTAMP, "Earliest `created_at` from 2000 to 2099.", "UTC"),
            Column("last_used_at", TIMESTAMP, "Latest `created_at` from 2000 to 2099.", "UTC"),
            generations["prompt_words"],
            generations["prompt_characters"],
            Column(
                "family_id",
                pa.string(),
                "Family of near-duplicates: `prompt_id` of the one that was fetched first.",
            ),
            Column(
                "tries_until_completed",
                COUNT,
                "Uses until the first one that is completed, itself included, in order of "
                "`created_at`; null if none is.",
            ),
            Column(
                "tries_after_failure",
                COUNT,
                "Uses created after the first one that failed; null if none did.",
            ),
        ),
        key=("prompt_id",),
    )


def _families(generations: Table) -> Table:
    return Table(
        "families",
        "Families of near-duplicate prompts, largest first: each prompt shares 70% of its words "
        "(Jaccard) with at least half of those before it.",
        (
            Column("family_id", pa.string(), "`prompt_id` of the prompt that was fetched first."),
            Column(
                "prompt",
                pa.string(),
                "Its most used wording.",
                paths=generations["prompt"].paths,
            ),
            Column("prompts", COUNT, "Distinct prompts."),
            *OUTCOMES,
            Column("first_used_at", TIMESTAMP, "Earliest `created_at` from 2000 to 2099.", "UTC"),
            Column("last_used_at", TIMESTAMP, "Latest `created_at` from 2000 to 2099.", "UTC"),
        ),
        key=("family_id",),
    )


def _terms() -> Table:
    without = "failed ÷ (completed + failed) of the prompts that do not hold it."
    return Table(
        "terms",
        "Words, and phrases of up to three words, of prompts, each with how failures go with it; "
        "those first of which that is surest. One that fewer than five distinct prompts hold is "
        "left out.",
        (
            Column("term", pa.string(), "The words, in lower case.", example="slow motion"),
            Column("words", pa.int32(), "Words in the term.", "words", example="2"),
            Column("prompts", COUNT, "Distinct prompts that hold it."),
            Column("uses", COUNT, "Generations of those prompts, finished or not."),
            *OUTCOMES[1:3],
            OUTCOMES[-1],
            Column("failure_share_without", SHARE, without),
            Column("failure_difference", SHARE, "failure_share − failure_share_without."),
            Column(
                "failure_difference_lower",
                SHARE,
                "Lower end of the 95% interval of the difference, for this term alone.",
            ),
            Column("failure_difference_upper", SHARE, "Upper end of that interval."),
            Column(
                "is_sure",
                pa.bool_(),
                "Whether the difference is no accident at 95%, with all terms tried "
                "(Fisher's exact test, Bonferroni's correction).",
            ),
            Column(
                "moderation_share",
                SHARE,
                "Failures by moderation ÷ (completed + failed); null while none is finished.",
            ),
            Column("first_used_at", TIMESTAMP, "Earliest `created_at` from 2000 to 2099.", "UTC"),
            Column("last_used_at", TIMESTAMP, "Latest `created_at` from 2000 to 2099.", "UTC"),
        ),
        key=("term",),
    )


def _turnaround() -> Table:
    return Table(
        "turnaround",
        "Estimated share of generations that are finished within a time of their creation, "
        "by Turnbull's estimator.",
        (
            *GROUP,
            Column("seconds", SHARE, "Time since the creation.", "seconds"),
            Column(
                "share_finished",
                SHARE,
                "Estimated share that is finished by then, from 0 to 1; null where nothing tells.",
            ),
            Column("share_lower", SHARE, "Lower end of its 95% band."),
            Column("share_upper", SHARE, "Upper end of its 95% band."),
        ),
        key=("group_by", "group", "seconds"),
        sort=(),
    )


def _turnaround_quantiles() -> Table:
    return Table(
        "turnaround_quantiles",
        "Estimated quantiles of how long generations took, by Turnbull's estimator.",
        (
            *GROUP,
            Column("generations", COUNT, "Generations whose time of creation is known."),
            Column("exact", COUNT, "Those of which the gateway says when they finished."),
            *(column for percent in (10, 50, 90) for column in _quantile(percent)),
        ),
        key=("group_by", "group"),
        sort=(),
    )


def _turnaround_hours(generations: Table) -> Table:
    others = "of the same model at all other hours"
    return Table(
        "turnaround_hours",
        "How long generations take by model and hour of day, those hours first that are surest to "
        "differ from the model's other hours. Of the twelve most used models.",
        (
            generations["model"],
            Column("created_hour", pa.int32(), "Hour of the day of `created_at`, 0 to 23.", "UTC"),
            Column(
                "generations",
                COUNT,
                "Generations created in that hour of any day; none that was unfinished for a week.",
            ),
            Column(
                "p50",
                SHARE,
                "Estimated time within which half of them are finished; null if known to less "
                "than a factor of two.",
                "seconds",
            ),
            Column("p50_other_hours", SHARE, f"The same {others}.", "seconds"),
            Column("times_slower", SHARE, "p50 ÷ p50_other_hours."),
            Column(
                "is_sure",
                pa.bool_(),
                f"Whether they take longer, or less long, than those {others}: no accident at 99%, "
                "with all hours of all models tried (Gehan's rank test for intervals, "
                "Bonferroni's correction).",
            ),
        ),
        key=("model", "created_hour"),
        sort=(),
    )


def _quantile(percent: int) -> tuple[Column, Column, Column]:
    name, what = f"p{percent}", f"Time within which {percent}% are finished"
    return (
        Column(name, SHARE, f"{what}; null if known to less than a factor of two.", "seconds"),
        Column(f"{name}_lower", SHARE, "Lower end of its 95% band.", "seconds"),
        Column(f"{name}_upper", SHARE, "Upper end; null if there is none.", "seconds"),
    )


def _resolutions(generations: Table) -> Table:
    requested = ("requested_resolution", "requested_aspect_ratio")
    key = ("width", "height", "resolution", "aspect_ratio", "orientation", *requested)
    return Table(
        "resolutions",
        "Sizes of videos beside what was requested, a row for each pair. Where no size is known, "
        "what was requested stands for it: `uses` adds up to all generations. A failed generation "
        "has no video, so no failure stands beside a size: compare shares by what was requested.",
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
            *(generations[name] for name in (*key[2:5], "megapixels", *requested)),
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
                "was created is not known; a time before the year 2000 counts as none. "
                "`contradictory`: what is known cannot all be true, so "
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
            generations["model"],
            generations["resolution"],
            generations["model_source"],
            Column(
                "is_measured",
                pa.bool_(),
                "Whether the bounds say something: `basis` is `reported`, `observed` or `signed`.",
            ),
            generations["first_finished_at"],
            Column("created_hour", pa.int32(), "Hour of the day of `created_at`, 0 to 23.", "UTC"),
        ),
        key=generations.key,
        sort=generations.sort,
        partition=generations.partition,
    )
