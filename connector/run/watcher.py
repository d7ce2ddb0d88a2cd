"""Who watches a run, and may stop it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from connector.run.plan import Plan
    from connector.run.tally import Tally


class Watcher:
    """Hears of a run's progress; one of this very class listens to nothing.

    Attributes:
        stop: When set, the run ends within seconds, and keeps all that it received.
    """

    def __init__(self, stop: threading.Event | None = None) -> None:
        self.stop = stop or threading.Event()

    def progress(self, plan: Plan, tally: Tally) -> None:
        """Hear how far the run is: after the plan, and after each answer."""

    def waiting(self, unfinished: int, seconds: float) -> None:
        """Hear how many generations are unfinished, and in how many seconds the next poll is."""
