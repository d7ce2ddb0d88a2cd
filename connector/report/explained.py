"""Plain English for the codes in the tables."""

from __future__ import annotations

from typing import Final

REASONS: Final = {
    "not_found": "Unknown to the gateway",
    "forbidden": "Not visible to this key",
    "bad_request": "Request refused",
    "not_json": "Answer is not JSON",
    "not_a_generation": "Answer is not a generation",
    "too_large": "Answer too large",
    "redirected": "Redirected elsewhere",
    "rate_limited": "Too many requests",
    "server_error": "Gateway error",
    "timeout": "Gateway took too long",
    "network": "Connection failed",
}

CATEGORIES: Final = {
    "moderation": "Moderation",
    "invalid_input": "Invalid input",
    "quota": "Quota or credit",
    "gateway_error": "Gateway error",
    "cancelled": "Cancelled",
    "other": "Other",
}

BASES: Final = {
    "reported": "The gateway reports when it finished. Measured to the second or better.",
    "observed": "Seen unfinished, later seen finished. Measured.",
    "signed": "The download URL was signed before it was first seen finished. Measured.",
    "backfilled": "Already finished when first seen: its turnaround is unknown.",
    "unfinished": "Not finished yet when last seen.",
    "undated": "The gateway does not report when it was created, or says before the year 2000.",
    "contradictory": "The known times contradict each other, so no turnaround is given.",
}
