"""The pace finds what a gateway allows, in simulated time; the throttle holds threads to it."""

from __future__ import annotations

import http.client
import math
import statistics
import threading
import time
import tracemalloc
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count, pairwise
from typing import TYPE_CHECKING, Any

import pytest
from gateway_models import (
    Anything,
    AtMost,
    Changing,
    FixedWindow,
    Gateway,
    Rule,
    Shared,
    Simulation,
    SlidingWindow,
    TokenBucket,
    as_a_date,
    in_whole_seconds,
)

from connector.gateway.pace.announced import Announced
from connector.gateway.pace.concurrency import Knee
from connector.gateway.pace.pace import Pace
from connector.gateway.pace.rate import Rate
from connector.gateway.pace.request import Request
from connector.gateway.pace.throttle import Sample, Throttle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GOOD = Sample("good", 0.01)

LIMITS: dict[str, Callable[[int], Rule]] = {
    "bucket, burst 1": lambda rate: TokenBucket(rate, 1),
    "bucket, burst R": lambda rate: TokenBucket(rate, rate),
    "fixed window": FixedWindow,
    "sliding window": SlidingWindow,
}


def simulate(gateway: Gateway, most: int = 64, seed: int = 1) -> Simulation:
    return Simulation(Pace(most), gateway, seed)


@pytest.mark.parametrize("retry_after", [None, 1.0], ids=["bare", "Retry-After"])
@pytest.mark.parametrize("rate", [5, 50, 200])
@pytest.mark.parametrize("limit", LIMITS)
def test_nearly_all_of_a_rate_limit_is_used_and_little_is_refused(
    limit: str, rate: int, retry_after: float | None
) -> None:
    gateway = Gateway(LIMITS[limit](rate), 0.05, retry_after=retry_after)
    run = simulate(gateway).until(60.0)
    assert run.per_second(10.0, 60.0) >= 0.92 * rate
    assert run.refused_share() <= 0.05


@pytest.mark.parametrize(
    "retry_after",
    [None, in_whole_seconds, as_a_date, 0.0],
    ids=["bare", "whole seconds", "date", "zero"],
)
@pytest.mark.parametrize(("rate", "burst"), [(50, 10), (200, 20), (20, 1)])
def test_a_run_reaches_nearly_all_of_a_bucket_its_start_included(
    rate: int, burst: int, retry_after: Callable[[float, float], float] | float | None
) -> None:
    """Pausing for each Retry-After of a whole second would cost a tenth and more."""
    limit = TokenBucket(rate, burst)
    gateway = Gateway(limit, 0.08, 0.1, refusal_latency=0.08, retry_after=retry_after)
    simulation = simulate(gateway)
    for seconds, share in ((30.0, 0.93), (100.0, 0.96)):
        run = simulation.until(seconds)
        assert run.per_second(0.0, seconds) >= share * rate
        assert run.refused_share() <= 0.02


@pytest.mark.parametrize(
    ("rate", "burst", "most"), [(5, 1, 7), (5, 5, 10), (5, 10, 15), (20, 20, 20)]
)
def test_the_search_for_a_low_rate_costs_few_refusals(rate: int, burst: int, most: int) -> None:
    gateway = Gateway(TokenBucket(rate, burst), 0.08, 0.1, refusal_latency=0.08)
    for seed in (1, 2, 3):
        run = simulate(gateway, 224, seed).until(30.0)
        assert run.per_second(0.0, 30.0) >= 0.9 * rate
        assert len(run.refused) <= most
        gateway = replace(gateway, rule=TokenBucket(rate, burst))


@pytest.mark.parametrize(("rate", "burst"), [(20, 10), (50, 10), (200, 20)])
def test_a_503_that_limits_the_rate_stops_those_that_wait_only_until_another_is_accepted(
    rate: int, burst: int
) -> None:
    gateway = Gateway(
        TokenBucket(rate, burst),
        0.08,
        0.1,
        refusal_latency=0.08,
        retry_after=in_whole_seconds,
        is_out=True,
    )
    run = simulate(gateway).until(60.0)
    assert run.per_second(0.0, 60.0) >= 0.95 * rate
    assert run.refused_share() <= 0.03


@pytest.mark.parametrize(("rate", "burst"), [(50, 10), (200, 20)])
def test_a_burst_allowance_makes_up_for_threads_that_wake_up_late(rate: int, burst: int) -> None:
    found = []
    for seed in (1, 2, 3):
        gateway = Gateway(TokenBucket(rate, burst), 0.08, 0.1, refusal_latency=0.08)
        run = Simulation(Pace(64), gateway, seed, jitter=0.005, stalled=1 / 3).until(30.0)
        found.append(run.per_second(0.0, 30.0))
        assert run.refused_share() <= 0.02
    assert statistics.mean(found) >= 0.95 * rate


@pytest.mark.parametrize("retry_after", [None, in_whole_seconds], ids=["bare", "Retry-After"])
@pytest.mark.parametrize("limit", [FixedWindow, SlidingWindow])
def test_a_limit_by_the_minute_is_spread_over_it_once_it_is_known(
    limit: Callable[[int, float], Rule],
    retry_after: Callable[[float, float], float] | None,
) -> None:
    gateway = Gateway(limit(600, 60.0), 0.08, 0.1, retry_after=retry_after)
    simulation = simulate(gateway)
    sent = len(simulation.until(70.0).sent)
    refused = len(simulation.run.refused)
    run = simulation.until(310.0)
    assert run.per_second(70.0, 310.0) >= 0.9 * 10
    assert len(run.refused) - refused <= 0.03 * (len(run.sent) - sent)


@pytest.mark.parametrize("limit", [FixedWindow, SlidingWindow])
def test_a_long_retry_after_tells_how_long_a_window_is(limit: Callable[[int, float], Rule]) -> None:
    """What is under way at the first refusal is refused; there is no such crowd at the second."""
    rule = limit(300, 60.0)
    gateway = Gateway(rule, 0.08, 0.1, refusal_latency=0.08, retry_after=in_whole_seconds)
    run = simulate(gateway, 224).until(130.0)
    assert len(run.good) >= 2 * 300
    assert len(run.refused) <= 224 + 15


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_refusals_that_no_lower_rate_avoids_are_endured(seed: int) -> None:
    """Another user's request in the last 20 ms has ours refused, at whatever rate it comes."""
    limit = Shared(TokenBucket(50, 1), lambda _: 15.0, seed)
    run = simulate(Gateway(limit, 0.08, 0.1, refusal_latency=0.08), seed=seed).until(200.0)
    assert run.per_second(50.0, 200.0) >= 0.6 * 35
    assert run.refused_share() <= 0.4


@pytest.mark.parametrize(("share", "reached"), [(0.01, 0.75), (0.05, 0.6)])
@pytest.mark.parametrize(("rule", "rate"), [(Anything(), 64 / 0.162), (TokenBucket(50, 10), 50.0)])
def test_tasks_that_are_refused_for_their_own_sake_slow_the_others_little(
    share: float, reached: float, rule: Rule, rate: float
) -> None:
    """They are refused again, though others get through meanwhile."""
    found = []
    for seed in (1, 2, 3):
        gateway = Gateway(
            replace(rule) if isinstance(rule, TokenBucket) else rule,
            0.16,
            0.1,
            refusal_latency=0.16,
            stubborn=share,
        )
        run = simulate(gateway, seed=seed).until(60.0)
        found.append(run.per_second(0.0, 60.0))
    # Each of them is asked for five times.
    assert statistics.mean(found) >= reached * rate / (1.0 + 5.0 * share)


@pytest.mark.parametrize(("rate", "burst"), [(50, 10), (20, 1)])
@pytest.mark.parametrize("share", [0.05, 0.2])
def test_beside_a_limit_they_are_not_taken_for_leave_to_exceed_it(
    rate: int, burst: int, share: float
) -> None:
    """Each of them is asked for five times, and refused; hardly more than that is."""
    found = []
    for seed in range(1, 13):
        limit = TokenBucket(rate, burst)
        gateway = Gateway(limit, 0.08, 0.1, refusal_latency=0.08, stubborn=share)
        run = simulate(gateway, 224, seed).until(60.0)
        found.append(run.per_second(0.0, 60.0) / rate * (1.0 + 4.0 * share) / (1.0 - share))
        assert run.refused_share() <= 5.0 * share / (1.0 + 4.0 * share) + 0.15
    assert statistics.mean(found) >= 0.35


@pytest.mark.parametrize("share", [0.002, 0.01, 0.02])
def test_refusals_by_chance_slow_a_client_little(share: float) -> None:
    for seed in (1, 2, 3):
        gateway = Gateway(Anything(), 0.16, 0.1, refusal_latency=0.16, flaky=share)
        run = simulate(gateway, seed=seed).until(60.0)
        assert run.per_second(0.0, 60.0) >= 0.85 * 64 / 0.162


def test_a_limit_just_below_what_is_possible_is_not_taken_for_chance() -> None:
    for seed in (1, 2, 3):
        gateway = Gateway(TokenBucket(367, 20), 0.16, 0.1, refusal_latency=0.16)
        run = simulate(gateway, seed=seed).until(60.0)
        assert run.per_second(0.0, 60.0) >= 0.93 * 367
        assert run.refused_share() <= 0.01


def test_a_gateway_that_accepts_one_a_second_is_not_taken_for_one_that_accepts_one_a_minute() -> (
    None
):
    for seed in (1, 2, 3):
        gateway = Gateway(TokenBucket(1, 1), 0.08, 0.1, refusal_latency=0.08)
        run = Simulation(Pace(64), gateway, seed, jitter=0.0005, stalled=1.0).until(100.0)
        assert len(run.good) >= 85
        assert len(run.refused) <= 15


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_others_leave_of_a_shared_limit_is_used(seed: int) -> None:
    limit = Shared(TokenBucket(100, 20), lambda now: 30.0 + 25.0 * math.sin(now / 7.0), seed)
    run = simulate(Gateway(limit, 0.08, 0.1, refusal_latency=0.08), seed=seed).until(100.0)
    assert len(run.good) >= 0.8 * (100 * 100 - limit.given)
    assert run.refused_share() <= 0.04


@pytest.mark.parametrize(("is_out", "pause"), [(True, 1.0), (False, 2.5)])
def test_a_gateway_that_is_out_stops_all(is_out: bool, pause: float) -> None:
    pace = Pace(64)
    pace.answered(1.0, pace.sent(0.9), Sample("refused", 0.1, pause, is_out=is_out))
    assert pace.wait(1.0) == pause


@pytest.mark.parametrize("before", [0, 1, 3])
@pytest.mark.parametrize("refused", [2, 5])
def test_a_gateway_that_is_out_at_the_start_is_not_taken_for_one_of_tiny_windows(
    before: int, refused: int
) -> None:
    """What it accepted until then measures nothing."""
    numbers = count(1)
    run = simulate(Gateway(lambda *_: not before < next(numbers) <= before + refused)).until(15.0)
    assert run.per_second(5.0, 15.0) >= 100.0


@pytest.mark.parametrize("most", [1, 2])
def test_a_window_of_one_or_two_is_found_with_few_refusals(most: int) -> None:
    run = simulate(Gateway(FixedWindow(most, 10.0))).until(600.0)
    assert len(run.good) >= 0.9 * 60 * most
    assert len(run.refused) <= 30


def test_a_refusal_with_a_short_retry_after_stops_no_other_request() -> None:
    """It may be a hundredth of a second, rounded up; the client holds back the refused request."""
    pace = Pace(64)
    for number in range(20):
        pace.answered(number / 20 + 0.05, pace.sent(number / 20), GOOD)
    pace.answered(1.1, pace.sent(1.0), Sample("refused", 0.1, 1.0))
    assert 0.0 < pace.wait(1.1) < 0.2


def announcing(window: FixedWindow) -> Callable[[float], Announced]:
    """What a gateway with such a window says, in whole seconds."""

    def says(now: float) -> Announced:
        left = float(max(0, window.most - window.taken))
        return Announced(None, left, math.ceil(window.wait(now)))

    return says


@pytest.mark.parametrize("travel_jitter", [0.0, 0.03])
def test_an_announced_limit_by_the_minute_is_used_and_obeyed(travel_jitter: float) -> None:
    """Answers that overtake each other are no lies."""
    runs = []
    for seed in (1, 2, 3):
        window = FixedWindow(600, 60.0)
        says = announcing(window)
        gateway = Gateway(window, 0.08, 0.1, travel_jitter=travel_jitter, announces=says)
        runs.append(simulate(gateway, seed=seed).until(200.0))
    # Each window begins with one request, and a few are left unsent where answers overtake.
    assert statistics.mean(len(run.good) for run in runs) >= 0.94 * 4 * 600
    assert statistics.mean(run.refused_share() for run in runs) <= 0.02


def test_an_announced_window_smaller_than_what_may_be_under_way_begins_with_one_request() -> None:
    window = FixedWindow(60, 60.0)
    run = simulate(Gateway(window, 0.08, 0.1, announces=announcing(window)), 224).until(300.0)
    assert len(run.good) >= 0.95 * 5 * 60
    assert run.refused_share() <= 0.03


def test_an_announced_rate_is_begun_with() -> None:
    limit = TokenBucket(50, 10)
    gateway = Gateway(limit, 0.08, 0.1, announces=lambda _: Announced(50.0, limit.level, 1.0))
    run = simulate(gateway).until(30.0)
    assert run.per_second(0.0, 30.0) >= 0.97 * 50
    assert run.refused_share() <= 0.01


@pytest.mark.parametrize(
    "lie",
    [
        Announced(None, 0.0, 60.0),
        Announced(0.001, 0.0, 1.0),
        Announced(1e9, 1e9, 1.0),
        Announced(1e9, 1e9, 1e9),
    ],
    ids=["always empty", "hardly a rate", "endless rate", "endless"],
)
def test_what_is_accepted_and_refused_counts_more_than_what_is_announced(lie: Announced) -> None:
    gateway = Gateway(TokenBucket(50, 10), 0.08, 0.1, announces=lambda _: lie)
    run = simulate(gateway).until(60.0)
    assert run.per_second(20.0, 60.0) >= 0.93 * 50
    assert run.refused_share() <= 0.02


@pytest.mark.parametrize(("rate", "burst", "share"), [(50, 1, 0.85), (200, 10, 0.92)])
def test_threads_that_wake_up_late_cost_little(rate: int, burst: int, share: float) -> None:
    """What is late makes the next one early, which a gateway without a burst refuses."""
    gateway = Gateway(TokenBucket(rate, burst), 0.05)
    run = Simulation(Pace(64), gateway, jitter=0.002).until(60.0)
    assert run.per_second(10.0, 60.0) >= share * rate
    assert run.refused_share() <= 0.05


@pytest.mark.parametrize("pause", [2.5, 7.0])
def test_no_request_starts_before_a_long_retry_after_ends(pause: float) -> None:
    gateway = Gateway(SlidingWindow(20), 0.1, refusal_latency=0.1, retry_after=pause)
    run = simulate(gateway).until(120.0)
    assert len(run.refused) > 3
    for refused in run.refused:
        assert not [sent for sent in run.sent if refused < sent < refused + pause - 1e-9]


def test_a_pause_much_longer_than_needed_is_paid_off_by_a_longer_climb() -> None:
    gateway = Gateway(SlidingWindow(20), 0.1, retry_after=10.0)
    run = simulate(gateway).until(600.0)
    assert run.per_second(60.0, 600.0) >= 0.85 * 20


@pytest.mark.parametrize(("latency", "within"), [(0.001, 0.1), (0.02, 0.3), (0.2, 2.0)])
def test_without_a_limit_all_of_the_concurrency_is_soon_used(latency: float, within: float) -> None:
    run = simulate(Gateway(Anything(), latency)).until(within)
    assert max(run.reached) == 64


@pytest.mark.parametrize("spread", [0.0, 0.3, 0.8])
def test_without_a_limit_nothing_is_lost_to_latency_that_varies_by_chance(spread: float) -> None:
    run = simulate(Gateway(Anything(), 0.05, spread)).until(4.0)
    assert run.per_second(2.0, 4.0) == pytest.approx(64 / 0.052, rel=0.05)


@pytest.mark.parametrize("retry_after", [None, 1.0], ids=["bare", "Retry-After"])
@pytest.mark.parametrize("most", [1, 2, 10, 40])
def test_a_cap_on_requests_in_flight_is_found(most: int, retry_after: float | None) -> None:
    run = simulate(Gateway(AtMost(most), 0.2, retry_after=retry_after)).until(60.0)
    assert run.per_second(10.0, 60.0) >= 0.75 * most / 0.202
    assert run.refused_share() <= 0.06


@pytest.mark.parametrize("servers", [1, 4, 16])
def test_requests_do_not_pile_up_in_a_gateway_that_queues(servers: int) -> None:
    gateway = Gateway(Anything(), 0.05, servers=servers)
    settled = []
    for seed in (1, 2, 3):
        run = simulate(gateway, seed=seed).until(15.0)
        assert run.per_second(5.0, 15.0) >= 0.85 * servers / 0.05
        settled += run.latencies[len(run.latencies) // 2 :]
    assert statistics.mean(settled) <= 3 * 0.05  # 64 / servers times as long, if all were let go


def test_a_cut_that_makes_answers_faster_than_5_ms_is_kept() -> None:
    """Below that all is alike when the latency rises, but not when a cut is judged."""
    knee, numbers = Knee(224), count(1)

    def answer(in_flight: int, latency: float, now: float) -> None:
        request = Request(next(numbers), now, in_flight, in_flight)
        knee.reached(request)
        knee.answered(request, Sample("good", latency), request.number, now)

    while knee.limit < 224:
        answer(110, 0.001, now=0.0)
    for now in [*[0.1] * 500, 1.0]:
        answer(110, 0.008, now)
    cut = knee.limit
    assert cut == pytest.approx(110 * 5 / 8)
    for now in [*[1.1] * 70, 2.0]:
        answer(50, 0.002, now)
    assert knee.limit == cut


def test_a_gateway_that_gets_slower_on_its_own_keeps_its_concurrency() -> None:
    """A cut does not make it faster, and is undone."""
    pace = Pace(64)
    simulation = Simulation(pace, Gateway(Anything(), 0.05))
    simulation.until(3.0)
    simulation._gateway = Gateway(Anything(), 0.2)
    simulation.until(12.0)
    assert pace.concurrency(12.0) == 64


@pytest.mark.parametrize("first", [1, 100])
def test_requests_that_hang_hold_up_no_others(first: int) -> None:
    """Eight of them, at once or later: they are more than the requests in flight to begin with."""
    gateway = Gateway(Anything(), 0.05, hangs=range(first, first + 8), timeout=30.0)
    run = simulate(gateway, most=16).until(29.0)
    assert run.per_second(10.0, 29.0) >= 0.95 * (16 - 8) / 0.052


def test_requests_that_hang_now_and_then_cost_their_own_places_only() -> None:
    gateway = Gateway(Anything(), 0.05, hangs=range(0, 10**6, 2_000), timeout=30.0)
    run = simulate(gateway).until(60.0)
    # About 16 of 64 hang at any time.
    assert run.per_second(30.0, 60.0) >= 0.9 * (64 - 16) / 0.052


@pytest.mark.parametrize("latency", [2.0, 10.0])
def test_a_gateway_that_gets_slow_for_all_is_not_taken_for_requests_that_hang(
    latency: float,
) -> None:
    """Making room for others would make it slower yet."""
    pace = Pace(64)
    simulation = Simulation(pace, Gateway(Anything(), 0.05, servers=8))
    simulation.until(10.0)
    before = pace.in_flight
    simulation._gateway = Gateway(Anything(), latency, servers=8)
    most = 0
    for now in range(11, 40):
        simulation.until(float(now))
        most = max(most, pace.in_flight)
    # One more in each second without an answer, until the first ones show how slow it is.
    assert most <= before + latency + 4


@pytest.mark.parametrize(("first", "then", "within"), [(200, 50, 10), (50, 200, 40), (50, 0, 40)])
def test_a_limit_that_changes_is_found_again(first: int, then: int, within: int) -> None:
    after = TokenBucket(then, then) if then else Anything()
    rule = Changing(TokenBucket(first, first), after, at=30.0)
    run = simulate(Gateway(rule, 0.1)).until(32.0 + within)
    # Without a limit there are 64 in flight, for 0.1 s each.
    assert run.per_second(30.0 + within, 32.0 + within) >= 0.8 * (then or 600)
    assert run.refused_share() <= 0.05


def test_a_rate_limit_is_not_taken_for_a_cap_on_requests_in_flight() -> None:
    pace = Pace(64)
    Simulation(pace, Gateway(TokenBucket(50, 50), 0.3)).until(60.0)
    assert pace.concurrency(60.0) > 0.3 * 50


def test_the_ceilings_hold_against_a_gateway_without_limits() -> None:
    run = Simulation(Pace(3, requests_per_second=20.0), Gateway(Anything(), 0.05)).until(10.0)
    assert max(run.reached) <= 3
    assert len(run.sent) == pytest.approx(200, abs=2)
    assert Rate(20.0).at(0.0) == 20.0


def test_one_refusal_and_many_at_once_teach_the_same() -> None:
    """What was under way when the first was refused says nothing new."""
    rates = []
    for refusals in (1, 10):
        pace = Pace(64)
        requests = [pace.sent(number / 20) for number in range(20)]
        for request in requests[10 : 10 + refusals]:
            pace.answered(1.0, request, Sample("refused", 0.1))
        rates.append(pace.rate(2.0))
    assert rates[0] == rates[1] < 64


def test_failures_lower_the_concurrency_only_when_they_are_many() -> None:
    limits = []
    for every in (20, 2):
        pace, now = Pace(64), 0.0
        for number in range(2_000):
            now += 0.01
            failed = number % every == 0
            pace.answered(now, pace.sent(now), Sample("failed" if failed else "good", 0.1))
        limits.append(pace.concurrency(now))
    assert limits[0] >= 2
    assert limits[1] == 1


def test_the_state_tells_what_holds() -> None:
    now = [100.0]
    throttle = Throttle(64, clock=lambda: now[0])
    stop = threading.Event()
    assert throttle.acquire(stop)
    state = throttle.state()
    assert (state.in_flight, state.concurrency, state.rate, state.paused_until) == (
        1,
        2,
        None,
        None,
    )
    throttle.release(Sample("refused", 0.1, retry_after=30.0))
    state = throttle.state()
    assert (state.in_flight, state.paused_until) == (0, 130.0)
    assert state.rate is not None
    now[0] = 131.0
    assert throttle.state().paused_until is None


def test_memory_does_not_grow_with_the_requests() -> None:
    throttle, sizes = Throttle(8), []
    tracemalloc.start()
    try:
        for _ in range(2):
            for _ in range(5_000):
                request = throttle.begin()
                assert not isinstance(request, float)
                throttle.end(request, GOOD)
            sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert sizes[1] - sizes[0] < 50_000


def test_a_thread_cannot_release_what_it_did_not_acquire() -> None:
    with pytest.raises(RuntimeError, match="without acquire"):
        Throttle(1).release(GOOD)


def test_all_threads_stop_waiting_soon_after_stop_whoever_else_waits() -> None:
    """Batches share a throttle, and each has its own `stop`."""
    throttle = Throttle(64)
    stops = [threading.Event(), threading.Event()]
    assert throttle.acquire(stops[0])
    throttle.release(Sample("refused", 0.1, retry_after=600.0))
    ended: list[tuple[int, bool]] = []
    threads = [
        threading.Thread(target=lambda n=n: ended.append((n, throttle.acquire(stops[n % 2]))))
        for n in range(16)
    ]
    for thread in threads:
        thread.start()
    stops[1].set()
    for thread in threads[1::2]:
        thread.join(5.0)
    assert sorted(ended) == [(n, False) for n in range(1, 16, 2)]
    stops[0].set()
    for thread in threads:
        thread.join(5.0)
    assert len(ended) == 16


@contextmanager
def limited_server(rule: Rule, retry_after: str | None = None) -> Iterator[tuple[int, list[int]]]:
    """A real server that answers 429 to what the rule refuses; its port, and all statuses sent."""
    statuses: list[int] = []
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            with lock:
                status = 200 if rule(time.monotonic(), 0) else 429
                statuses.append(status)
            time.sleep(0.02)
            self.send_response(status)
            if status == 429 and retry_after is not None:
                self.send_header("Retry-After", retry_after)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.server_port, statuses
        finally:
            server.shutdown()
            thread.join()


def ask(port: int, throttle: Throttle, stop: threading.Event) -> None:
    """Keep asking, as one of many threads does."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10.0)
    while throttle.acquire(stop):
        started = time.monotonic()
        connection.request("GET", "/")
        reply = connection.getresponse()
        reply.read()
        seconds = time.monotonic() - started
        retry_after = reply.getheader("Retry-After")
        throttle.release(
            Sample(
                "good" if reply.status == 200 else "refused",
                seconds,
                float(retry_after) if retry_after else None,
            )
        )
    connection.close()


def test_threads_share_what_a_real_server_allows() -> None:
    """Without a throttle nearly all of what 32 threads ask for would be refused."""
    throttle, stop = Throttle(32), threading.Event()
    with limited_server(SlidingWindow(50)) as (port, statuses):
        threads = [threading.Thread(target=ask, args=(port, throttle, stop)) for _ in range(32)]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + 120.0
        while statuses.count(200) < 250 and time.monotonic() < deadline:
            time.sleep(0.05)
        stop.set()
        for thread in threads:
            thread.join(60.0)
    assert not any(thread.is_alive() for thread in threads)
    assert statuses.count(200) >= 250
    assert statuses.count(429) <= 0.2 * len(statuses)
    assert throttle.state().in_flight == 0


def test_requests_start_as_far_apart_as_the_rate_says_by_the_clock_that_is_given() -> None:
    ticks = count()
    throttle = Throttle(8, requests_per_second=50.0, clock=lambda: next(ticks) / 200)
    stop, started = threading.Event(), []
    for _ in range(12):
        assert throttle.acquire(stop)
        started.append(next(ticks) / 200)
        throttle.release(GOOD)
    gaps = [then - before for before, then in pairwise(started)]
    assert min(gaps) >= 0.02 - 1e-9
    assert max(gaps) <= 0.04  # nobody waits longer than until the next look at the clock
