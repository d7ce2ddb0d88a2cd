"""A gateway with a rate limit that it does not announce."""

from __future__ import annotations

import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks import child
from benchmarks.figure import Figure, at_least, at_most
from benchmarks.world import KEY, gateway, write_list

if TYPE_CHECKING:
    from collections.abc import Iterator

GROUP: Final = "A gateway with an unannounced rate limit"
# Seconds at the start that are not measured: the search for the rate.
SEARCH: Final = 15.0
# The gateway allows bursts of a fifth of a second's requests.
SAVED_UP: Final = 5


def measure_throttling(*, quick: bool) -> Iterator[Figure]:
    """The reached share of the allowed rate, and the share of refused requests."""
    measured = 15.0 if quick else 40.0
    for rate in (50,) if quick else (5, 50, 200):
        for retry_after in ("seconds", "none"):
            hint = "with" if retry_after == "seconds" else "without"
            name = f"{rate} requests/s, {hint} Retry-After"
            yield from _judged(name, rate, max(1, rate // SAVED_UP), retry_after, measured)
    if not quick:
        for rate in (50, 200):
            name = f"{rate} requests/s, evenly spaced to the millisecond"
            yield from _judged(name, rate, 1, "none", measured)


def _judged(
    name: str, rate: int, burst: int, retry_after: str, measured: float
) -> Iterator[Figure]:
    found = child.call(f"{__name__}:ask_without_end", rate, burst, retry_after, measured).result
    yield at_least(GROUP, f"{name}: share of the rate reached", found["reached"], 0.92, "%")
    yield at_most(GROUP, f"{name}: share refused", found["refused"], 0.05, "%")


def ask_without_end(rate: int, burst: int, retry_after: str, measured: float) -> dict[str, Any]:
    """Send requests until the time is over; the gateway counts them."""
    from connector.gateway.fetch import fetch  # noqa: PLC0415
    from connector.run.resources import open_client  # noqa: PLC0415  what is measured
    from connector.settings import load  # noqa: PLC0415

    limit = {"rate_limit": float(rate), "burst": burst, "retry_after": retry_after}
    with gateway(**limit) as sandbox, tempfile.TemporaryDirectory() as folder:
        given = write_list(Path(folder, "ids.txt"), int(2 * rate * (SEARCH + measured)) + 1000)
        settings, stop = (
            load(base_url=sandbox.base_url, key=KEY, max_attempts=50),
            threading.Event(),
        )

        def ask() -> None:
            with open_client(settings) as client:
                for _ in fetch(iter(given), client, threads=settings.max_concurrency, stop=stop):
                    pass

        asking = threading.Thread(target=ask)
        asking.start()
        time.sleep(SEARCH)
        before, started = sandbox.stats()["by_status"], time.monotonic()
        time.sleep(measured)
        after, seconds = sandbox.stats()["by_status"], time.monotonic() - started
        stop.set()
        asking.join()
    good, refused = (after.get(code, 0) - before.get(code, 0) for code in ("200", "429"))
    return {"reached": good / seconds / rate, "refused": refused / max(1, good + refused)}
