"""The observer of a run, which may stop it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from connector.run.plan import Plan
    from connector.run.tally import Tally


class Watcher:
    """Receives a run's progress; this base class ignores it.

    Attributes:
        stop: When set, the run ends within seconds and keeps everything it received.
    """

    def __init__(self, stop: threading.Event | None = None) -> None:
        self.stop = stop or threading.Event()

    def progress(self, plan: Plan, tally: Tally) -> None:
        """Called after the plan and after each answer."""

    def waiting(self, unfinished: int, seconds: float) -> None:
        """Called before each wait, with unfinished generations and seconds to the next poll."""
