"""What the words of the tables mean, for people who have not read the dictionary."""

from __future__ import annotations

from typing import Final

REASONS: Final = {
    "not_found": "Unknown to the gateway",
    "forbidden": "Not for this key to see",
    "bad_request": "Request refused",
    "not_json": "Answer is no JSON",
    "not_a_generation": "Answer is no generation",
    "too_large": "Answer too large",
    "redirected": "Sent elsewhere",
    "rate_limited": "Too many requests",
    "server_error": "Error at the gateway",
    "timeout": "Gateway took too long",
    "network": "Connection failed",
}

CATEGORIES: Final = {
    "moderation": "Moderation",
    "invalid_input": "Invalid input",
    "quota": "Quota or credit",
    "gateway_error": "Error at the gateway",
    "cancelled": "Cancelled",
    "other": "Other",
}

BASES: Final = {
    "reported": "The gateway says when it finished. Measured, to the second or better.",
    "observed": "Seen unfinished, and later finished. Measured.",
    "signed": "The download URL was signed before anyone here saw it finished. Measured.",
    "backfilled": "First seen when long finished: nobody knows how long it took.",
    "unfinished": "Not finished yet, as far as is known.",
    "undated": "The gateway does not say when it was created.",
    "contradictory": "What is known cannot all be true, so nothing is claimed.",
}
