"""Counts of requests, for tests to assert on: `GET /_sandbox/stats`."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Counters:
    """Counts since the start or the last reset.

    Attributes:
        requests: Requests to the API; `/_sandbox` is not counted.
        by_status: Requests by the status of the answer, or "none".
        by_task_id: Requests for each ID, including those refused by a limit.
        faults: Deliberate bad answers, by kind.
        connections: Connections that made a request to the API.
        in_flight: Requests not answered yet.
        max_in_flight: The most of them at once.
        per_second: Requests in each second since the first request.
        elsewhere: Requests that followed `redirect-other-host` to its other port.
        elsewhere_with_key: Those of them that carried the key.
    """

    requests: int = 0
    by_status: Counter[str] = field(default_factory=Counter)
    by_task_id: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    connections: int = 0
    in_flight: int = 0
    max_in_flight: int = 0
    per_second: list[int] = field(default_factory=list)
    elsewhere: int = 0
    elsewhere_with_key: int = 0
    _first_at: float | None = None

    def started(self, now: float) -> None:
        """Count an arrived request; `now` is in seconds of any steady clock."""
        self.requests += 1
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        if self._first_at is None:
            self._first_at = now
        second = int(now - self._first_at)
        self.per_second.extend([0] * (second + 1 - len(self.per_second)))
        self.per_second[second] += 1

    def answered(self, status: int | None) -> None:
        """Count the status of an answer."""
        self.by_status["none" if status is None else str(status)] += 1

    def ended(self) -> None:
        """Note that an answer is sent, or its connection lost."""
        self.in_flight -= 1

    def reset(self) -> None:
        """Restart all counts except those in flight."""
        fresh = Counters(in_flight=self.in_flight, max_in_flight=self.in_flight)
        for name in self.__slots__:
            setattr(self, name, getattr(fresh, name))

    def to_json(self) -> dict[str, Any]:
        """All public counts."""
        return {name: getattr(self, name) for name in self.__slots__ if not name.startswith("_")}
