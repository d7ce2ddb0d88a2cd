"""The progress of a run: a bar in a terminal, otherwise a line every few seconds."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Self

from connector.cli.mode import Mode
from connector.run.watcher import Watcher

if TYPE_CHECKING:
    import threading

    from rich.console import Console

    from connector.cli.bar import Bar
    from connector.run.plan import Plan
    from connector.run.tally import Tally

logger = logging.getLogger(__name__)

# Between two lines when the output is not a terminal.
PLAIN_SECONDS: Final = 5.0


class LiveProgress(Watcher):
    """A bar in a terminal, otherwise a line every few seconds."""

    def __init__(self, console: Console, stop: threading.Event) -> None:
        super().__init__(stop)
        self._console = console
        self._started = self._last_line = time.monotonic()
        self._bar = _bar_in(console) if console.is_terminal else None

    def __enter__(self) -> Self:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._bar:
            self._bar.stop()

    def progress(self, plan: Plan, tally: Tally) -> None:
        """Show how far the run is."""
        total, now = len(plan.task_ids), time.monotonic()
        if not total:
            return
        if not self._bar and now - self._last_line < PLAIN_SECONDS:
            return
        rate = f"{tally.answers / max(now - self._started, 1e-3):,.0f}"
        if self._bar:
            self._bar.update(
                self._bar.task_ids[0],
                total=total,
                completed=tally.answers,
                visible=True,
                rate=rate,
                states=str(tally),
            )
        else:
            self._last_line = now
            self._console.print(
                f"fetching {tally.answers:,}/{total:,} at {rate}/s: {tally}", highlight=False
            )

    def waiting(self, unfinished: int, seconds: float) -> None:
        """Show what the run waits for, and when it polls next."""
        now = time.monotonic()
        next_at = datetime.now(UTC) + timedelta(seconds=seconds)
        what = f"{unfinished:,} unfinished, next poll at {next_at:%H:%M:%S} UTC"
        if self._bar:
            self._bar.update(self._bar.task_ids[0], description="waiting", states=what)
        elif now - self._last_line >= PLAIN_SECONDS:
            self._last_line = now
            self._console.print(f"waiting: {what}", highlight=False)


def _bar_in(console: Console) -> Bar:
    """A bar without a run yet; imported here because it takes long, and pipes have none."""
    from connector.cli.bar import Bar  # noqa: PLC0415  see above

    bar = Bar(console=console, transient=True)
    bar.add_task("fetching", total=None, visible=False, rate=0, states="")
    return bar


class LogProgress(Watcher):
    """A line of log at the start and every few seconds, for machines."""

    def __init__(self, stop: threading.Event) -> None:
        super().__init__(stop)
        self._last_line = -PLAIN_SECONDS

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        pass

    def progress(self, plan: Plan, tally: Tally) -> None:
        """Log how far the run is."""
        if self._is_due() and len(plan.task_ids):
            fields = {
                "task_ids": len(plan.task_ids),
                "answers": tally.answers,
                "rejected": tally.rejected,
                **tally.statuses,
            }
            logger.info("fetching", extra={"fields": fields})

    def waiting(self, unfinished: int, seconds: float) -> None:
        """Log what the run waits for."""
        if self._is_due():
            fields = {"unfinished": unfinished, "next_poll_seconds": round(seconds, 1)}
            logger.info("waiting", extra={"fields": fields})

    def _is_due(self) -> bool:
        now = time.monotonic()
        is_due = now - self._last_line >= PLAIN_SECONDS
        self._last_line = now if is_due else self._last_line
        return is_due


def progress_of(console: Console, stop: threading.Event) -> LiveProgress | LogProgress:
    """What shows the progress of a run; a quiet log shows none."""
    is_logged = Mode.is_json or Mode.is_quiet
    return LogProgress(stop) if is_logged else LiveProgress(console, stop)
