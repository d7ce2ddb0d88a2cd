"""All kinds of bad answers, and how a task ID requests one.

A list of task IDs is a test plan:

- `bad-<kind>-<anything>` gets that kind at every attempt.
- `once-<kind>-<anything>` gets it at the first attempt, and then a good generation.
- `first3-<kind>-<anything>` gets it at the first three, and so on.

If one name starts with another, the longer one counts: `bad-not-found-400` is of the kind
`not-found-400`. An ID with an unknown kind gets 501, so that a typo is noticed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from connector.sandbox import bad_bodies, bad_statuses, bad_wires, odd_values
from connector.sandbox.replies import Reply, json_reply

if TYPE_CHECKING:
    from connector.sandbox.kinds import Kind

_ALL = (*bad_statuses.KINDS, *bad_bodies.KINDS, *bad_wires.KINDS, *odd_values.KINDS)

# All kinds by name.
KINDS: dict[str, Kind] = {kind.name: kind for kind in _ALL}

GOOD = KINDS["good"]
SLOW = KINDS["slow"]
# Faults for `fault_share`: a retry cures them.
TRANSIENT = tuple(
    KINDS[name] for name in ("server-error", "bad-gateway", "unavailable", "closed", "cut", "slow")
)

_ALWAYS = 10**9
_names = "|".join(sorted(map(re.escape, KINDS), key=len, reverse=True))
_ORDER = re.compile(
    rf"(?P<when>bad|once|first(?P<times>\d+))-(?:(?P<name>{_names})(?:-|\Z))?", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Order:
    """A kind of answer that a task ID requests for its first attempts."""

    kind: Kind
    times: int

    def kind_at(self, attempt: int) -> Kind:
        """The kind of answer at an attempt, counted from 1."""
        return self.kind if attempt <= self.times else GOOD


def order(task_id: str) -> Order | Reply | None:
    """The order in a task ID: None if there is none, a 501 if its kind is unknown."""
    match = _ORDER.match(task_id)
    if match is None:
        return None
    if match["name"] is None:
        return json_reply(501, {"detail": f"unknown kind of answer: {task_id}"})
    times = {"bad": _ALWAYS, "once": 1}.get(match["when"])
    return Order(KINDS[match["name"]], int(match["times"]) if times is None else times)
