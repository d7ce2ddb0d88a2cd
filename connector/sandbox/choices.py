"""Values of the settings that take one of a few words."""

from __future__ import annotations

from enum import StrEnum

QUEUED_WORDS = ("pending", "queued", "submitted", "NOT_START", "staged", "waiting")
RUNNING_WORDS = ("processing", "dreaming", "in_progress", "RUNNING", "generating", "upscaling")
COMPLETED_WORDS = ("completed", "succeeded", "SUCCESS", "Finished", "done", "COMPLETE")
FAILED_WORDS = (
    "failed",
    "failure",
    "error",
    "cancelled",
    "canceled",
    "expired",
    "rejected",
    "moderated",
)

DOCUMENTED = "documented"
MIXED = "mixed"
# Spellings of states; a single word replaces only the word for its own phase.
STATES = (
    DOCUMENTED,
    MIXED,
    *QUEUED_WORDS,
    *RUNNING_WORDS,
    *COMPLETED_WORDS,
    *FAILED_WORDS,
)


class Dialect(StrEnum):
    """Shapes of a body with a generation."""

    SHARES = "shares"
    MIXED = "mixed"
    DOCUMENTED = "documented"
    OFFICIAL = "official"
    ENVELOPE = "envelope"
    RECORD = "record"
    BARE_RECORD = "bare-record"
    OUTPUT = "output"
    LIST = "list"
    LIST_OF_TWO = "list-of-two"
    GENERATION = "generation"
    ARTIFACT = "artifact"
    STATUS = "status"


class TimeForm(StrEnum):
    """Forms of a timestamp."""

    DOCUMENTED = "documented"
    MIXED = "mixed"
    RFC_822 = "rfc822"
    ZONE_IN_BRACKETS = "zone-in-brackets"
    SLASHES = "slashes"
    EPOCH_SECONDS = "epoch-seconds"
    EPOCH_MILLISECONDS = "epoch-milliseconds"
    EPOCH_MICROSECONDS = "epoch-microseconds"


class Refusal(StrEnum):
    """Ways to refuse a whole account."""

    NONE = "none"
    PAYMENT_402 = "402"
    QUOTA_403 = "403-quota"
    QUOTA_429 = "429-quota"
    CODE_402 = "200-code-402"
    CODE_401 = "200-code-401"
    CHALLENGE_PAGE = "403-challenge"
    LOGIN_PAGE = "200-login-page"


class Wording(StrEnum):
    """What a refusal says has run out."""

    USUAL = "usual"
    CREDIT = "credit"
    QUOTA = "quota"
    BALANCE = "balance"
    BILLING = "billing"


class NotNow(StrEnum):
    """Ways to say that an answer is not ready yet."""

    NONE = "none"
    MIXED = "mixed"
    PENDING_202 = "202-pending"
    EMPTY_202 = "202-empty"
    EMPTY_204 = "204"
    CONFLICT_409 = "409"
    LOCKED_423 = "423"
    EARLY_425 = "425"
    CODE_429 = "200-code-429"
    CODE_500 = "200-code-500"
    CODE_503 = "200-code-503"
    UPSTREAM_BUSY = "200-upstream-busy"
    WRAPPED_429 = "400-wrapping-429"


class WrongPath(StrEnum):
    """Answers at a path outside the API."""

    HTML_404 = "html-404"
    JSON_404 = "json-404"
    INVALID_URL = "json-404-url"
    TEXT_404 = "text-404"
    WEB_PAGE = "page-200"


class MissingAs(StrEnum):
    """Ways to say that a task is unknown."""

    DETAIL = "detail"
    MIXED = "mixed"
    CODE = "code"
    ERROR = "error"
    MESSAGE = "message"


class Batch(StrEnum):
    """How requests for many tasks are answered."""

    SERVED = "served"
    NO_PATH = "no-path"
    STATUS_405 = "405"
    STATUS_500 = "500"


class BatchShape(StrEnum):
    """Shapes of an answer about many tasks."""

    RECORDS = "records"
    ARRAY = "array"


class BatchRefusal(StrEnum):
    """Ways to refuse too many tasks at once."""

    TEXT_400 = "400"
    STATUS_413 = "413"
    VAGUE_400 = "400-vague"
    DETAIL_422 = "422"
    CODE_200 = "200-code"


class RateHeaders(StrEnum):
    """Fields that announce a rate limit; the last two lie."""

    NONE = "none"
    SECONDS = "x-seconds"
    EPOCH = "x-epoch"
    EPOCH_MS = "x-epoch-ms"
    DATE = "x-date"
    DRAFT_03 = "draft-03"
    DRAFT_07 = "draft-07"
    DRAFT_10 = "draft-10"
    ALWAYS_EMPTY = "always-empty"
    ENDLESS = "endless"
