"""A gateway with a rate limit that it does not announce: whole runs, the search included."""

from __future__ import annotations

import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from benchmarks import child
from benchmarks.figure import Figure, at_least, at_most
from benchmarks.world import KEY, gateway, write_list

if TYPE_CHECKING:
    from collections.abc import Iterator

GROUP: Final = "A gateway with an unannounced rate limit, from the start of a run"
# Every answer takes about this long, a refusal too.
LATENCY: Final = {"latency": 0.08, "jitter": 0.1, "refusals_take": True}
# Runs at the same time: they mostly wait.
TOGETHER: Final = 3
# By seconds of a run: share of the rate that it reaches; and share of its requests refused.
REACHED: Final = {30.0: 0.93, 100.0: 0.96}
REFUSED: Final = 0.02


class _Case(NamedTuple):
    """A limit, and how long a run against it lasts."""

    name: str
    rate: float
    seconds: float
    knobs: dict[str, Any]


_WITH, _WITHOUT = {"retry_after": "seconds"}, {"retry_after": "none"}
_CASES: Final = (
    _Case("50 requests/s, burst of 10, with Retry-After", 50, 30.0, {"burst": 10, **_WITH}),
    _Case("50 requests/s, burst of 10, without Retry-After", 50, 30.0, {"burst": 10, **_WITHOUT}),
    _Case("200 requests/s, burst of 20, without Retry-After", 200, 30.0, {"burst": 20, **_WITHOUT}),
    _Case("20 requests/s, no burst, with Retry-After", 20, 30.0, {"burst": 1, **_WITH}),
    _Case("5 requests/s, burst of 5, with Retry-After", 5, 100.0, {"burst": 5, **_WITH}),
    _Case("50 requests/s, burst of 10, with Retry-After", 50, 100.0, {"burst": 10, **_WITH}),
    _Case("20 requests/s, no burst, with Retry-After", 20, 100.0, {"burst": 1, **_WITH}),
)


def measure_throttling(*, quick: bool) -> Iterator[Figure]:
    """The reached share of the allowed rate, and the share of refused requests."""
    cases = _CASES[:2] if quick else _CASES
    with ThreadPoolExecutor(TOGETHER) as pool:
        for case, found in zip(cases, pool.map(_measure, cases), strict=True):
            name = f"{case.name}: {case.seconds:.0f} s"
            least = REACHED[case.seconds]
            yield at_least(GROUP, f"{name}, share of the rate", found["reached"], least, "%")
            yield at_most(GROUP, f"{name}, share refused", found["refused"], REFUSED, "%")


def _measure(case: _Case) -> dict[str, Any]:
    knobs = {"rate_limit": float(case.rate), **LATENCY, **case.knobs}
    measured: dict[str, Any] = child.call(f"{__name__}:ask_for", case.seconds, knobs).result
    return measured


def ask_for(seconds: float, knobs: dict[str, Any]) -> dict[str, Any]:
    """Send requests until the time is over; the gateway counts them."""
    from connector.gateway.fetch import fetch  # noqa: PLC0415
    from connector.run.resources import open_client  # noqa: PLC0415  what is measured
    from connector.settings import load  # noqa: PLC0415

    rate = knobs["rate_limit"]
    with gateway(**knobs) as sandbox, tempfile.TemporaryDirectory() as folder:
        given = write_list(Path(folder, "ids.txt"), int(2 * rate * seconds) + 1000)
        settings = load(base_url=sandbox.base_url, key=KEY, max_attempts=50)
        stop = threading.Event()

        def ask() -> None:
            with open_client(settings) as client:
                for _ in fetch(iter(given), client, threads=settings.max_concurrency, stop=stop):
                    pass

        asking = threading.Thread(target=ask)
        started = time.monotonic()
        asking.start()
        time.sleep(seconds)
        counts, took = sandbox.stats()["by_status"], time.monotonic() - started
        stop.set()
        asking.join()
    good, refused = (counts.get(code, 0) for code in ("200", "429"))
    return {"reached": good / took / rate, "refused": refused / max(1, good + refused)}
