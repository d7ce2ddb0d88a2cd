"""Task IDs, and the facts about each task, independent of time and dialect."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from connector.sandbox.draws import Draws, pick
from connector.sandbox.prompts import prompt

if TYPE_CHECKING:
    from datetime import datetime

    from connector.sandbox.settings import SandboxSettings


class Phase(StrEnum):
    """The progress of a task; dialects have their own words for it."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"


ENDED = (Phase.COMPLETED, Phase.FAILED)


class Size(NamedTuple):
    """A video size in pixels, and the requested aspect ratio."""

    width: int
    height: int
    aspect_ratio: str


# Most used first.
SIZES = (
    Size(1360, 752, "16:9"),
    Size(752, 1360, "9:16"),
    Size(1280, 720, "16:9"),
    Size(1168, 864, "4:3"),
    Size(864, 1168, "3:4"),
    Size(1920, 1080, "16:9"),
    Size(720, 1280, "9:16"),
    Size(960, 540, "16:9"),
    Size(1552, 656, "21:9"),
    Size(1080, 1920, "9:16"),
    Size(1024, 1024, "1:1"),
    Size(656, 1552, "9:21"),
)
FAILURE_REASONS = (
    "Frame moderation failed",
    "Prompt moderation failed",
    "Internal error, please retry",
    "Image is not accessible",
)

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PREFIXED_SHARE = 0.1
_QUICKEST, _SLOWEST = 5, 600
_LONGEST_QUEUE = 0.5
_QUEUED_SHARE_LIVE = 1 / 3
_UNFINISHED_WITHIN_DAYS = 1 / 24


class Times(NamedTuple):
    """Times of a task's steps; None for future ones."""

    submitted_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class Task:
    """The facts about one task.

    Attributes:
        task_id: As requested.
        draws: Random draws of the task ID, for everything else in its answers.
        prompt: Often shared with other tasks; may be empty.
        created_at: UTC, microseconds.
        signed_at: When it ended and its download URL was signed, seconds to minutes after
            `created_at`.
        size: Of the video.
        ends_as: `COMPLETED` or `FAILED`.
        failure_reason: None unless it ends as failed.
        is_unfinished: Whether it is unfinished at the first request.
        polls: Answers until it is finished, if polls are what counts.
        finish_after: Seconds until it is finished, if time is what counts.
        queued_share: Share of the time from `created_at` to `signed_at` spent in the queue.
        is_missing: Whether the gateway does not know it.
    """

    task_id: str
    draws: Draws
    prompt: str
    created_at: datetime
    signed_at: datetime
    size: Size
    ends_as: Phase
    failure_reason: str | None
    is_unfinished: bool
    polls: int
    finish_after: float
    queued_share: float
    is_missing: bool

    def phase_after_polls(self, polls: int) -> Phase:
        """Its phase after `polls` earlier answers."""
        if not self.is_unfinished or polls >= self.polls:
            return self.ends_as
        # If only one answer is unfinished, half of the IDs are running in it.
        is_queued = polls == 0 and (self.polls > 1 or self.signed_at.microsecond % 2 == 0)
        return Phase.QUEUED if is_queued else Phase.RUNNING

    def phase_after_seconds(self, seconds: float) -> Phase:
        """Its phase this many seconds after the first request."""
        if not self.is_unfinished or seconds >= self.finish_after:
            return self.ends_as
        queued_for = self.finish_after * _QUEUED_SHARE_LIVE
        return Phase.QUEUED if seconds < queued_for else Phase.RUNNING

    @property
    def started_at(self) -> datetime:
        """When it leaves the queue."""
        return self.created_at + (self.signed_at - self.created_at) * self.queued_share

    def times(self, phase: Phase) -> Times:
        """The times of its steps up to a phase."""
        return Times(
            self.created_at,
            None if phase is Phase.QUEUED else self.started_at,
            self.signed_at if phase in ENDED else None,
        )

    def submitted(self, moment: datetime) -> Task:
        """The same task, submitted at `moment` and finished after `finish_after`."""
        finished_at = moment + timedelta(seconds=self.finish_after)
        return replace(
            self, created_at=moment, signed_at=finished_at, queued_share=_QUEUED_SHARE_LIVE
        )


def describe(task_id: str, settings: SandboxSettings) -> Task:
    """The facts about a task: always the same for the same ID and settings."""
    draws = Draws(settings.seed, task_id)
    shares = draws.shares("task")
    failed, unfinished, age, signed, size, reason, polls, delay, missing, queued, *_ = shares
    has_failed, is_unfinished = failed < settings.failed, unfinished < settings.unfinished
    # Older tasks are rarer; unfinished ones are recent.
    days_ago = age * _UNFINISHED_WITHIN_DAYS if is_unfinished else age**1.3 * settings.days
    created_at = settings.now - timedelta(days=days_ago)
    seconds = _QUICKEST + (_SLOWEST - _QUICKEST) * signed**3
    return Task(
        task_id=task_id,
        draws=draws,
        prompt=prompt(draws),
        created_at=created_at,
        signed_at=created_at + timedelta(seconds=seconds),
        size=pick(SIZES, size, skew=1.6),
        ends_as=Phase.FAILED if has_failed else Phase.COMPLETED,
        failure_reason=pick(FAILURE_REASONS, reason, skew=1.5) if has_failed else None,
        is_unfinished=is_unfinished,
        polls=1 + int(polls * max(1, settings.polls)),
        finish_after=settings.finish_after * (0.5 + delay),
        queued_share=queued * _LONGEST_QUEUE,
        is_missing=missing < settings.missing or _is_gone(task_id, settings.missing_prefix),
    )


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


def _is_gone(task_id: str, prefix: str) -> bool:
    return bool(prefix) and task_id.startswith(prefix)
