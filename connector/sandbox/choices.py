"""Values of the settings that take one of a few words; the first of each is the default."""

from __future__ import annotations

from itertools import chain
from typing import Literal, TypeAlias

# All words for each phase.
STATE_WORDS = {
    "queued": ("pending", "queued", "submitted", "NOT_START", "staged", "waiting"),
    "running": ("processing", "dreaming", "in_progress", "RUNNING", "generating", "upscaling"),
    "completed": ("completed", "succeeded", "SUCCESS", "Finished", "done", "COMPLETE"),
    "failed": (
        *("failed", "failure", "error", "cancelled", "canceled"),
        *("expired", "rejected", "moderated"),
    ),
}
# Spellings of states; a single word replaces only the word for its own phase.
STATES = ("documented", "mixed", *chain.from_iterable(STATE_WORDS.values()))

# Shapes of a body with a generation.
Shape: TypeAlias = Literal[
    "documented",
    "official",
    "envelope",
    "record",
    "bare-record",
    "output",
    "list",
    "list-of-two",
    "generation",
    "artifact",
    "status",
]
Dialect: TypeAlias = Literal["shares", "mixed", Shape]

# Forms of a timestamp.
TimeForm: TypeAlias = Literal[
    "documented",
    "mixed",
    "rfc822",
    "zone-in-brackets",
    "slashes",
    "epoch-seconds",
    "epoch-milliseconds",
    "epoch-microseconds",
]

# Ways to refuse a whole account, and what a refusal says has run out.
Refusal: TypeAlias = Literal[
    "none",
    "402",
    "403-quota",
    "429-quota",
    "200-code-402",
    "200-code-401",
    "403-challenge",
    "403-forbidden",
    "200-login-page",
]
Wording: TypeAlias = Literal["usual", "credit", "quota", "balance", "billing"]

# Ways to say that an answer is not ready yet.
NotNow: TypeAlias = Literal[
    "none",
    "mixed",
    "202-pending",
    "202-empty",
    "204",
    "409",
    "423",
    "425",
    "200-code-429",
    "200-code-500",
    "200-code-503",
    "200-upstream-busy",
    "400-wrapping-429",
]

# Answers at a path outside the API, and about an unknown task.
WrongPath: TypeAlias = Literal["html-404", "json-404", "json-404-url", "text-404", "page-200"]
MissingAs: TypeAlias = Literal["detail", "mixed", "code", "error", "message"]

# How requests for many tasks are answered, and how those for too many are refused.
Batch: TypeAlias = Literal["served", "no-path", "405", "500"]
BatchShape: TypeAlias = Literal["records", "array"]
BatchRefusal: TypeAlias = Literal["400", "413", "400-vague", "422", "200-code"]

# How a refusal because of a limit says when to come back.
RetryAfter: TypeAlias = Literal["seconds", "date", "zero", "none"]
# Fields that announce a rate limit; the last two lie.
RateHeaders: TypeAlias = Literal[
    "none",
    "x-seconds",
    "x-epoch",
    "x-epoch-ms",
    "x-date",
    "draft-03",
    "draft-07",
    "draft-10",
    "always-empty",
    "endless",
]
