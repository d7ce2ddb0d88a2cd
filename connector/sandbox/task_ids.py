"""Task IDs like those of a real gateway."""

from __future__ import annotations

from connector.sandbox.draws import Draws, pick

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PREFIXED_SHARE = 0.1


def task_ids(count: int, seed: int = 0) -> list[str]:
    """Make `count` different task IDs: mostly UUIDs, some `task_` plus 32 characters.

    The same seed gives the same IDs, and a longer list starts with the shorter one.
    """
    return [_task_id(Draws(seed, f"task {number}")) for number in range(count)]


def _task_id(draws: Draws) -> str:
    if draws.shares("prefixed")[0] < _PREFIXED_SHARE:
        shares = draws.shares("first letters") + draws.shares("last letters")
        return "task_" + "".join(pick(_ALPHABET, share) for share in shares)
    return draws.uuids("id")[0]
