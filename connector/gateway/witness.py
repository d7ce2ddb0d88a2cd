"""What other answers say about a refusal that does not say what it is true of.

A 403 such as `{"message": "Forbidden"}` may be of its task, or keep everyone out: firewalls answer
so once they begin to block a client. If others are let in after it, it is of its task. If none is,
a task that had its generation is asked for again: the witness.
"""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from connector.errors import AccountRefused

# Attempts at a task whose refusal is unclear: at least, and at most before any generation came.
FEWEST: Final = 2
MOST_UNPROVEN: Final = 3

# Tasks that stay refused, however often they are asked for, until fewer attempts do. A gateway that
# refuses requests at random would have let one of them in.
STEADY: Final = 3


class Witness:
    """The answers that show that a gateway lets requests in; safe to share between threads.

    All moments are when a request was sent, in seconds of the client's clock.

    Args:
        max_attempts: Attempts at a task, in general.

    Attributes:
        turn: Held while a witness is asked for: its answer serves all that wait meanwhile.
        refused: What ends the run, once a witness was kept out.
        cleared: Refusals that were found to be of their tasks.
        is_fickle: Whether a task was refused and then let in.
    """

    def __init__(self, max_attempts: int) -> None:
        self._max_attempts = max_attempts
        self.turn = threading.Lock()
        self.refused: AccountRefused | None = None
        self.cleared = 0
        self.is_fickle = False
        self._names: tuple[str | None, str | None] = (None, None)
        self._let_in_at = self._many_let_in_at = -math.inf

    def most_attempts(self) -> int:
        """Attempts at a task whose refusal is unclear."""
        if self._names[0] is None:
            return min(self._max_attempts, MOST_UNPROVEN)
        if self.cleared >= STEADY and not self.is_fickle:
            return FEWEST
        return max(self._max_attempts, FEWEST)

    def remember(self, task_id: str) -> None:
        """Remember a task that has given a generation."""
        if task_id != self._names[0]:
            self._names = task_id, self._names[0]

    def other_than(self, task_id: str) -> str | None:
        """Another task that has given a generation; None if there is none yet."""
        return next((name for name in self._names if name not in (None, task_id)), None)

    def let_in(self, sent: float, *, is_list: bool = False) -> None:
        """Note a request that was let in: for a task, or for many at once or a list."""
        # A race between threads may lose a moment, which costs a request.
        if is_list:
            self._many_let_in_at = max(self._many_let_in_at, sent)
        else:
            self._let_in_at = max(self._let_in_at, sent)

    def lets_in(self, since: float) -> bool:
        """Whether a request for a task was let in that was sent since then."""
        return self._let_in_at >= since

    def lets_many_in(self, since: float) -> bool:
        """The same of a request for many at once, which may have other rights."""
        return self._many_let_in_at >= since
