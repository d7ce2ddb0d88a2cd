"""The two APIs of Luma: where each is, and whose keys it takes."""

from __future__ import annotations

from typing import Final

PATHS: Final = {
    "dream-machine": "/dream-machine/v1/generations",
    "agents": "/v1/generations",
}
# The source of task IDs that is the gateway's own list.
LISTING: Final = "luma:list"

AGENTS_KEY: Final = "luma-api-"


def key_hint(key: str, api: str) -> str:
    """What to say of a refused key that looks like one of the other API; empty if it does not."""
    is_of_agents = key.startswith(AGENTS_KEY)
    if is_of_agents and api != "agents":
        return f" A key that starts with {AGENTS_KEY} is one of the Agents API: try `api=agents`."
    if not is_of_agents and api == "agents":
        return (
            f" Keys of the Agents API start with {AGENTS_KEY}, and this one does not: it may be one"
            " of the Dream Machine API, which is asked without `api=agents`."
        )
    return ""
