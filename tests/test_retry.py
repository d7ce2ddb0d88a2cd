"""Backoff, Retry-After and streaks of failures, with numbers worked out by hand."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from connector.gateway.retry import LONGEST_RETRY_AFTER, Backoff, FailureStreak, parse_retry_after

NOW = datetime(1994, 11, 6, 8, 49, 7, tzinfo=UTC)


@pytest.mark.parametrize(("attempt", "seconds"), [(1, 0.25), (2, 0.5), (3, 1.0), (4, 2.0)])
def test_the_wait_doubles_with_each_attempt(attempt: int, seconds: float) -> None:
    assert Backoff(0.5, 30.0, 5, lambda: 0.5).delay(attempt) == seconds


def test_jitter_is_full_from_nothing_to_the_whole_bound() -> None:
    assert Backoff(0.5, 30.0, 5, lambda: 0.0).delay(3) == 0.0
    assert Backoff(0.5, 30.0, 5, lambda: 0.999).delay(3) == pytest.approx(1.998)


def test_the_wait_is_capped_however_many_attempts_there_are() -> None:
    patient = Backoff(0.5, 30.0, 10**6, lambda: 0.5)
    assert patient.delay(7) == 15.0  # 0.5 * 2 ** 6 = 32, capped to 30
    assert patient.delay(10**5) == 15.0


def test_the_last_attempt_has_no_wait_after_it() -> None:
    assert Backoff(0.5, 30.0, 5, lambda: 0.5).delay(5) is None
    assert Backoff(0.5, 30.0, 1, lambda: 0.5).delay(1, retry_after=3.0) is None


def test_jitter_comes_on_top_of_retry_after_which_the_cap_does_not_shorten() -> None:
    assert Backoff(0.5, 30.0, 5, lambda: 0.5).delay(2, retry_after=100.0) == 100.5


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        (" 7 ", 7.0),
        ("1.5", 1.5),
        ("0", 0.0),
        ("-5", 0.0),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 30.0),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 30.0),
        ("Sun Nov  6 08:49:37 1994", 30.0),
        ("Sun, 06 Nov 1994 09:49:37 +0100", 30.0),
        ("Sun, 06 Nov 1994 08:00:00 GMT", 0.0),
        ("9" * 400, LONGEST_RETRY_AFTER),
        ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_RETRY_AFTER),
    ],
)
def test_retry_after_is_read_as_seconds_from_now(value: str, seconds: float) -> None:
    assert parse_retry_after(value, NOW) == seconds


@pytest.mark.parametrize(
    "value",
    [None, "", "soon", "1e3", "nan", "inf", "0x10", "٣", "5 s", "Sun, 32 Nov 1994 08:49:37 GMT"],
)
def test_garbage_counts_as_no_retry_after(value: str | None) -> None:
    assert parse_retry_after(value, NOW) is None


def test_a_streak_counts_failures_in_a_row_and_their_seconds() -> None:
    streak = FailureStreak()
    assert (streak.length, streak.seconds(now=9.0)) == (0, 0.0)
    streak.add(failed=True, now=10.0)
    streak.add(failed=True, now=13.0)
    assert (streak.length, streak.seconds(now=15.0)) == (2, 5.0)


def test_one_success_ends_a_streak() -> None:
    streak = FailureStreak()
    streak.add(failed=True, now=10.0)
    streak.add(failed=False, now=11.0)
    assert (streak.length, streak.seconds(now=12.0)) == (0, 0.0)
    streak.add(failed=True, now=20.0)
    assert (streak.length, streak.seconds(now=21.0)) == (1, 1.0)
