"""`--wait`: unfinished generations are asked for again until they are finished."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from conftest import KEY

import connector
from connector.errors import SettingsError
from connector.record.answer import Answer, Outcome, usual_concern
from connector.record.judge import judge
from connector.run.poll import GROWTH, Polls, Until, due
from connector.run.watcher import Watcher
from connector.sandbox import task_ids
from connector.settings import load

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import CommandLine

    from connector.sandbox import Sandbox

QUICK = {"LUMA_POLL_FIRST": "0.05", "LUMA_POLL_LONGEST": "0.2"}


def answer(state: str | Outcome, task_id: str = "a") -> Answer:
    outcome = state if isinstance(state, Outcome) else Outcome.GENERATION
    body = json.dumps({"id": task_id, "state": str(state)}).encode()
    word = judge(200, body).status if outcome is Outcome.GENERATION else None
    now = datetime.now(UTC)
    return Answer(
        task_id, outcome, 200, 1, 0.1, now, body, status=word, concerns=usual_concern(outcome)
    )


def polled_at(polls: Polls, until: float) -> list[float]:
    """Times at which one task ID is asked for, if each answer comes at once and says `dreaming`."""
    times: list[float] = []
    polls.note(answer("dreaming"), 0.0)
    while (due := polls.next_at) is not None and due <= until:
        times.append(due)
        assert polls.take(due) == ["a"]
        polls.note(answer("dreaming"), due)
    return times


def test_intervals_grow_and_have_an_upper_bound() -> None:
    assert polled_at(Polls(4.0, 60.0), 20.0) == [4.0, 9.0, 15.25]  # 4, 5 and 6.25 seconds apart
    assert polled_at(Polls(4.0, 5.0), 20.0) == [4.0, 9.0, 14.0, 19.0]
    assert polled_at(Polls(4.0, 2.0), 5.0) == [2.0, 4.0]


def test_a_finish_is_known_to_within_the_first_interval_and_a_quarter_of_the_time_waited() -> None:
    times = [0.0, *polled_at(Polls(5.0, 1e9), 10_000.0)]
    for before, then in pairwise(times):
        assert then - before == pytest.approx(5.0 + (GROWTH - 1.0) * before)


@pytest.mark.parametrize("end", ["completed", "failed", Outcome.NOT_FOUND])
def test_what_is_finished_or_finally_rejected_is_asked_for_no_more(end: str | Outcome) -> None:
    polls = Polls(1.0, 9.0)
    polls.note(answer("queued"), 0.0)
    assert (len(polls), polls.take(0.5), polls.take(1.0)) == (1, [], ["a"])
    polls.note(answer(end), 1.0)
    assert (len(polls), polls.next_at) == (0, None)


def test_a_failure_that_may_pass_does_not_end_the_wait_and_begins_none() -> None:
    polls = Polls(1.0, 9.0)
    polls.note(answer(Outcome.TIMEOUT, "never seen"), 0.0)
    assert polls.next_at is None
    polls.note(answer("queued"), 0.0)
    polls.take(1.0)
    polls.note(answer(Outcome.TIMEOUT), 1.0)
    assert (polls.next_at, polls.end_of("a")) == (1.0 + GROWTH, "timeout")


def test_each_task_id_has_an_interval_of_its_own_and_what_is_due_together_goes_together() -> None:
    polls = Polls(1.0, 9.0)
    for task_id, now in (("a", 0.0), ("b", 0.05), ("c", 0.5)):
        polls.note(answer("queued", task_id), now)
    assert polls.take(1.0) == ["a", "b"]
    assert polls.next_at == 1.5


def test_the_wait_ends_where_no_poll_is_due_before_the_deadline() -> None:
    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            now[0] += timeout or 0.0
            return False

    now, asked, told = [100.0], [], []
    polls = Polls(4.0, 60.0)
    polls.note(answer("queued"), 100.0)

    class Listener(Watcher):
        def waiting(self, unfinished: int, seconds: float) -> None:
            told.append((unfinished, seconds))

    for names in due(polls, 16.0, Listener(Stop()), clock=lambda: now[0]):
        asked.append(now[0])
        polls.note(answer("queued", *names), now[0])
    assert asked == [104.0, 109.0, 115.25]
    assert told == [(1, 4.0), (1, 5.0), (1, 6.25)]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("90s", 90),
        ("30m", 1800),
        ("1.5 h", 5400),
        ("1h30m", 5400),
        ("2 Hours 5 minutes", 7500),
        ("1hr 10 secs", 3610),
        ("7d", 604_800),
        ("PT2M", 120),
    ],
)
def test_a_length_of_time_is_written_as_people_do(text: str, seconds: float) -> None:
    settings = load(wait=text, give_up_after=text, max_wait=text, lock_timeout=text)
    assert settings.wait == settings.give_up_after == timedelta(seconds=seconds)
    assert settings.max_wait == settings.lock_timeout == seconds


@pytest.mark.parametrize(
    "text", ["soon", "2 months", "1h30", "30m1h", "500ms", "-5m", "-PT5M", "P", ""]
)
def test_what_is_no_length_of_time_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="settings: wait: "):
        load(wait=text)


def log_of(warehouse: Path) -> Any:
    return pd.read_parquet(warehouse / "answers")


def test_it_polls_until_all_are_finished_and_each_poll_is_an_answer(
    cli: CommandLine, sandbox: Sandbox, tmp_path: Path
) -> None:
    sandbox.change(unfinished=0.5, polls=4)
    given = [*task_ids(40), "bad-not-found-1"]
    (tmp_path / "ids.txt").write_text("\n".join(given))
    done = cli("ingest", "ids.txt", "--wait", "PT2M", "--json", **QUICK)
    assert done.returncode == 0, done.stderr
    account = json.loads(done.stdout)
    log = log_of(tmp_path / "warehouse")
    assert (account["fetched"], account["rejected"], account["unfinished"]) == (40, 1, 0)
    assert (account["new"], account["updated"]) == (40, 0)
    assert account["polls"] == len(log) - len(given) > 0
    assert account["requests"] == len(log) == sandbox.stats()["requests"]
    rows = pd.read_parquet(tmp_path / "warehouse/generations").set_index("task_id")
    polls = Counter(log.task_id)
    assert rows.fetches.to_dict() == {task_id: polls[task_id] for task_id in rows.index}
    waited = rows[rows.fetches > 1]
    assert (waited.last_unfinished_at < waited.first_finished_at).all()
    again = cli("ingest", "ids.txt", "--wait", "PT2M", **QUICK)
    assert again.stdout.startswith("Nothing to fetch")
    assert sandbox.stats()["requests"] == len(log)


def test_the_deadline_ends_the_wait_and_the_rest_is_left_to_the_next_run(
    cli: CommandLine, sandbox: Sandbox, tmp_path: Path
) -> None:
    sandbox.change(unfinished=1.0, finish_after=1e6)
    (tmp_path / "ids.txt").write_text("\n".join(task_ids(5)))
    done = cli("ingest", "ids.txt", "--wait", "PT1S", "--json", **QUICK)
    account = json.loads(done.stdout)
    assert (done.returncode, account["outcome"], account["unfinished"]) == (0, "done", 5)
    assert account["polls"] >= 5
    assert set(pd.read_parquet(tmp_path / "warehouse/generations").fetches) != {1}


def test_a_pause_that_the_gateway_asks_for_ends_with_the_wait(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five requests in 100 seconds: all polls are refused."""
    sandbox.change(unfinished=1.0, finish_after=1e6, window=100.0, rate_limit=0.05)
    monkeypatch.setattr("connector.run.pipeline.LAST", 0.2)
    settings: dict[str, Any] = {"base_url": sandbox.base_url, "poll_first": 0.05, "wait": "1s"}
    began = time.monotonic()
    done = connector.ingest(task_ids(5), key=KEY, warehouse=tmp_path / "w", **settings)
    assert time.monotonic() - began < 30
    assert (done.outcome, done.fetched, done.unfinished, done.polls) == ("done", 5, 5, 0)


def test_an_event_until_a_moment_is_set_by_either() -> None:
    stop, now = threading.Event(), [0.0]
    until = Until(stop, 9.0, lambda: now[0])
    assert (until.is_set(), until.wait(0.0)) == (False, False)
    now[0] = 9.0
    assert (until.is_set(), until.wait()) == (True, True)
    stop.set()
    assert Until(stop, 99.0, lambda: now[0]).wait()


def test_rows_are_there_while_it_waits_and_a_signal_ends_it(
    environment: dict[str, str], sandbox: Sandbox, tmp_path: Path
) -> None:
    sandbox.change(unfinished=1.0, finish_after=1e6)
    (tmp_path / "ids.txt").write_text("\n".join(task_ids(5)))
    process = subprocess.Popen(
        [sys.executable, "-m", "connector", "ingest", "ids.txt", "--wait", "PT1H", "--json"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    deadline = time.monotonic() + 60
    files = (tmp_path / "warehouse/generations").glob
    while sum(pq.read_metadata(path).num_rows for path in files("*/*.parquet")) < 5:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    account = json.loads(process.communicate(timeout=60)[0])
    assert process.returncode == 130
    assert (account["fetched"], account["unfinished"], account["not_reached"]) == (5, 5, 0)


def test_what_is_given_up_is_counted_apart_everywhere(
    cli: CommandLine, sandbox: Sandbox, tmp_path: Path
) -> None:
    """Five too old to be asked for again; then five that are not, beside them."""
    young, old = task_ids(5), task_ids(5, seed=7)
    now = datetime.now(UTC)
    sandbox.change(unfinished=1.0, polls=9, now=now - timedelta(days=30))
    metrics = ("--metrics-file", "luma.prom")
    first = json.loads(cli("ingest", *old, "--json", *metrics).stdout)
    counts = ("fetched", "unfinished", "given_up", "given_up_before", "already_terminal")
    assert [first[name] for name in counts] == [5, 0, 5, 0, 0]
    assert 'luma_run_task_ids{end="given_up"} 5.0' in (tmp_path / "luma.prom").read_text()
    sandbox.change(now=now)
    both = cli("ingest", *young, *old, *metrics).stdout
    lines = [" ".join(line.split()) for line in both.splitlines()]
    assert lines[1:5] == [
        "count outcome",
        "5 unfinished the next run asks for them again",
        "5 given up unfinished for longer than --give-up-after; --retry-rejected asks again",
        "10 given 5 requests",
    ]
    figures = (tmp_path / "luma.prom").read_text()
    assert 'luma_run_task_ids{end="given_up"} 5.0' in figures
    assert 'luma_run_task_ids{end="already_terminal"} 0.0' in figures
    runs = pd.read_parquet(tmp_path / "warehouse/runs").sort_values("run_id")
    assert runs[list(counts)].to_numpy().tolist() == [[5, 0, 5, 0, 0], [5, 5, 0, 5, 5]]
    assert json.loads(cli("show", "--json").stdout)["given_up"] == 5
    nothing = cli("ingest", *old).stdout
    assert nothing.startswith("Nothing to fetch: 5 task IDs settled before, 5 of them given up")
