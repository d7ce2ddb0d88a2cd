"""The flow, over a real Prefect server and a real gateway."""

from __future__ import annotations

import logging
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from uuid import UUID

import cloudpickle
import pandas as pd
import pytest
import requests
from builders import answer
from conftest import DOCUMENTED_ID, KEY
from prefect import flow
from prefect.blocks.system import Secret
from prefect.client.schemas.objects import StateType
from prefect.exceptions import ParameterTypeError
from prefect.states import Failed
from pydantic import SecretStr
from raw_server import RawServer, always, reply
from test_metrics import collector, counts, metrics_in

from connector import ingest
from connector.gateway.pace.throttle import Throttle
from connector.run.run import Run
from connector.run.selection import Selection
from connector.sandbox import task_ids
from connector.settings import Settings, load
from connector.summary import Summary
from connector.warehouse.warehouse import Warehouse
from flows import turn as turns
from flows.access import Access, share_gateway
from flows.assets import key_of
from flows.batches import fetch_batch
from flows.ingest import ingest_generations
from flows.run_log import SaidLast
from flows.turn import limit_name, turn

if TYPE_CHECKING:
    from collections.abc import Callable

    from prefect import State
    from prefect_harness import Prefect

    from connector.gateway.pace.request import Request
    from connector.gateway.pace.throttle import Sample
    from connector.sandbox import Sandbox

pytestmark = [pytest.mark.prefect, pytest.mark.usefixtures("prefect")]

IDS = task_ids(120)

# What differs from run to run.
LINEAGE = [
    "first_seen_at",
    "fetched_at",
    "last_unfinished_at",
    "first_finished_at",
    "run_id",
    "sequence",
]


@pytest.fixture
def run(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., State[Any]]:
    """Run the flow in batches of 50; return the state that it ends in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LUMAAI_API_KEY", KEY)

    def run(task_ids: str | list[str], **parameters: Any) -> State[Any]:
        given = {"warehouse": "warehouse", "base_url": sandbox.base_url, "batch_size": 50}
        return ingest_generations(task_ids, **{**given, **parameters}, return_state=True)

    return run


def flow_run_id(state: State[Any]) -> str:
    return str(state.state_details.flow_run_id)


def wait_for(condition: Callable[[], Any], seconds: float = 120) -> Any:
    """Wait until something is so, and return it."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


def logged(prefect: Prefect, text: str) -> bool:
    """Whether any run has logged this, and the server has got it."""
    lines = prefect.ask("POST", "logs/filter", {"sort": "TIMESTAMP_DESC"})
    return any(text in line["message"] for line in lines)


def generations(warehouse: str = "warehouse") -> pd.DataFrame:
    return pd.read_parquet(f"{warehouse}/generations").sort_values("task_id", ignore_index=True)


def test_tables_are_those_of_the_pipeline(run: Callable[..., State[Any]], sandbox: Sandbox) -> None:
    """Three batches, some IDs rejected: the same rows as from `connector.ingest`."""
    given = [*IDS, "bad-not-found-1", "bad-html-200-1"]
    state = run(given)
    assert state.is_completed(), state
    sandbox.reset()
    ingest(given, warehouse="other", base_url=sandbox.base_url, key=KEY)

    expected = generations("other").drop(columns=LINEAGE)
    assert len(expected) == len(IDS)
    pd.testing.assert_frame_equal(generations().drop(columns=LINEAGE), expected)
    rejects = pd.read_parquet("warehouse/rejects").set_index("task_id")["reason"]
    assert dict(rejects) == {"bad-not-found-1": "not_found", "bad-html-200-1": "not_json"}


def test_many_are_asked_for_in_one_request(
    run: Callable[..., State[Any]], sandbox: Sandbox
) -> None:
    """In each batch of the flow, and what is left out singly; `requests` counts both."""
    sandbox.change(batch_hidden_prefix="hidden-")
    state = run([*IDS, "hidden-1"], ids_per_request=25)
    assert state.is_completed(), state
    summary = state.result()
    assert (summary.fetched, summary.requests) == (121, sandbox.stats()["requests"])
    assert summary.requests < 12
    batches = sorted(path.stem[-12:] for path in Path("warehouse/answers").glob("*/*Z-*.parquet"))
    assert batches == ["b000001-0001", "b000002-0001", "b000003-0001"]


def test_a_second_run_asks_for_nothing_but_what_was_unfinished(
    run: Callable[..., State[Any]], sandbox: Sandbox
) -> None:
    run(IDS)
    unfinished = set(generations().query("status in ('queued', 'running')")["task_id"])
    asked = sandbox.stats()["requests"]
    assert run(IDS).is_completed()
    assert sandbox.stats()["requests"] - asked == len(unfinished) > 0
    before = {path: path.stat().st_mtime_ns for path in Path("warehouse/generations").rglob("*")}
    state = run(IDS)
    assert state.message == "Nothing to fetch: 120 task IDs settled before"
    assert sandbox.stats()["requests"] - asked == len(unfinished)
    assert before == {
        path: path.stat().st_mtime_ns for path in Path("warehouse/generations").rglob("*")
    }


def test_batches_share_one_throttle_and_its_limit_of_requests_in_flight(
    run: Callable[..., State[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    throttles: list[Watched] = []

    class Watched(Throttle):
        """Counts no more requests in flight than there are."""

        def __init__(self, *limits: Any) -> None:
            super().__init__(*limits)
            self.counting, self.now, self.most, self.all = threading.Lock(), 0, 0, 0
            throttles.append(self)

        def acquire(self, stop: threading.Event) -> bool:
            may_start = super().acquire(stop)
            self.count(may_start)
            return may_start

        def begin(self) -> Request | float:
            begun = super().begin()
            self.count(not isinstance(begun, float))
            return begun

        def end(self, request: Request, sample: Sample) -> None:
            with self.counting:
                self.now -= 1
            super().end(request, sample)

        def count(self, has_started: bool) -> None:
            with self.counting:
                self.now += has_started
                self.all += has_started
                self.most = max(self.most, self.now)

    monkeypatch.setattr("connector.gateway.pace.throttle.Throttle", Watched)
    run(IDS, max_concurrency=3)
    [throttle] = throttles
    assert throttle.all == len(IDS)
    assert 1 <= throttle.most <= 3  # four batches of three would be twelve


def test_it_waits_for_unfinished_ones_if_asked(
    run: Callable[..., State[Any]], sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LUMA_POLL_FIRST", "0.05")
    sandbox.change(unfinished=0.5, polls=3)
    state = run(IDS, wait=120)
    account = state.result()
    assert (account.fetched, account.unfinished, account.retries) == (len(IDS), 0, 0)
    assert account.polls == generations().fetches.sum() - len(IDS) > 0
    assert account.requests == len(pd.read_parquet("warehouse/answers"))


def test_it_takes_in_what_the_gateway_lists(
    run: Callable[..., State[Any]], sandbox: Sandbox
) -> None:
    sandbox.change(listing=IDS, unfinished=0)
    account = run("luma:list").result()
    assert (account.given, account.fetched, account.requests) == (len(IDS), len(IDS), 2)
    again = run("luma:list").result()
    assert (again.already_terminal, again.fetched, again.requests) == (100, 0, 1)
    with RawServer(always(reply(b"", "404 Not Found"))) as server:
        state = run("luma:list", base_url=server.base_url)
    assert "no list of generations" in (state.message or "")


def test_a_refused_key_fails_the_run_and_keeps_what_had_come(
    run: Callable[..., State[Any]], prefect: Prefect
) -> None:
    state = run([*IDS, "bad-unauthorized-1"])
    assert (state.name, state.type) == ("StoppedEarly", StateType.FAILED)
    assert "refused the key (HTTP 401" in (state.message or "")
    kept = len(generations())
    account = pd.read_parquet("warehouse/runs").iloc[0]
    assert account["outcome"] == "stopped"
    assert account["fetched"] == kept > 0
    assert account["not_reached"] == len(IDS) + 1 - kept
    *before, (level, last) = prefect.leveled_log(flow_run_id(state))
    assert last.startswith("StoppedEarly: ")
    assert level == logging.ERROR
    assert "refused the key" in last
    assert not [line for _, line in before if "refused the key" in line], "said once"


def test_what_it_shows_in_prefect(
    run: Callable[..., State[Any]], prefect: Prefect, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = run([*IDS, "bad-not-found-1", ""])
    name = prefect.flow_run(flow_run_id(state))["name"]
    assert name.startswith("122 task IDs, 20")
    assert (state.name, state.message) == (
        "Completed",
        "120 generations: 120 new, 0 updated; 1 rejected",
    )
    shown = prefect.artifacts(flow_run_id(state))
    assert set(shown) == {"progress", "ingest-account", "ingest-report"}
    assert shown["progress"]["data"] == 100
    assert '"122", "outcome": "given"' in shown["ingest-account"]["data"]
    assert "| 1 | rejected | 1 not_found |" in shown["ingest-report"]["data"]
    assert 'pd.read_parquet("warehouse/generations")' in shown["ingest-report"]["data"]
    assert (
        f"The report is in `{Path('warehouse/report.html').resolve()}`"
        in shown["ingest-report"]["data"]
    )
    assert "![Generations by day of creation" in shown["ingest-report"]["data"]
    assert "<html" in Path("warehouse/report.html").read_text()
    events = {"filter": {"event": {"name": ["prefect.asset.materialization.succeeded"]}}}
    (announced,) = wait_for(
        lambda: [
            event["payload"]
            for event in prefect.ask("POST", "events/filter", events)["events"]
            if event["resource"]["prefect.resource.id"] == key_of("warehouse", "generations")
        ]
    )
    assert (announced["new"], announced["updated"]) == (120, 0)
    assert "Since the last run" not in shown["ingest-report"]["data"]

    monkeypatch.setenv("LUMA_REPORT_URL", "https://reports.example/luma/")
    again = run([*IDS, "bad-not-found-1", "bad-not-found-2"], retry_rejected=True)
    assert "rejected again" in prefect.flow_run(flow_run_id(again))["name"]
    assert again.name == "CompletedWithRejects"
    assert again.is_completed()
    asked = again.result().asked
    assert f"{2 / asked:.1%} rejected, more than the 5% allowed" in (again.message or "")
    shown = prefect.artifacts(flow_run_id(again))
    assert "(https://reports.example/luma/report.html)" in shown["ingest-page"]["data"]
    report = shown["ingest-report"]["data"]
    assert "The report is in" not in report
    assert "### Since the last run" in report
    assert "| rejected | 2 | 1 | +1 |" in report
    assert f"| fetched | {asked - 2} | 120 | {asked - 2 - 120} |" in report


def test_a_run_with_nothing_new_shows_nothing_unless_it_ends_the_work_of_a_dead_one(
    run: Callable[..., State[Any]], prefect: Prefect
) -> None:
    run([DOCUMENTED_ID])
    page = Path("warehouse/report.html")
    written = page.stat().st_mtime_ns
    again = run([DOCUMENTED_ID])
    assert (again.name, again.message) == (
        "Completed",
        "Nothing to fetch: 1 task ID settled before",
    )
    assert not prefect.artifacts(flow_run_id(again))
    assert page.stat().st_mtime_ns == written
    assert any(line.startswith("1 task ID given, 0 to") for line in prefect.log(flow_run_id(again)))

    with Warehouse.writing("warehouse") as warehouse:
        warehouse.save("dead", [answer("left", {"id": "left", "state": "completed"})], "dead")
    after = run([DOCUMENTED_ID])
    assert set(prefect.artifacts(flow_run_id(after))) == {"ingest-account", "ingest-report"}
    assert page.stat().st_mtime_ns > written


def test_the_log_has_a_line_a_batch_and_none_a_task_id(
    run: Callable[..., State[Any]], prefect: Prefect
) -> None:
    log = prefect.log(flow_run_id(run(IDS)))
    assert sum("answers: " in line and "completed" in line for line in log) == 3
    assert any(line.startswith("answers committed: 120 (120 new") for line in log), (
        "the connector's own"
    )
    assert not [line for line in log if any(task_id in line for task_id in IDS)]


def test_the_log_says_which_task_ids_are_invalid(
    run: Callable[..., State[Any]], prefect: Prefect
) -> None:
    state = run([IDS[0], "..", "x" * 300])
    line = next(line for line in prefect.log(flow_run_id(state)) if "invalid" in line)
    assert re.match(r"2 invalid and left out: '\.\.': .+; 'x+'…: .+", line)


def test_runs_side_by_side_have_a_log_each(
    run: Callable[..., State[Any]],
    prefect: Prefect,
    sandbox: Sandbox,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Of threads of one process: two flow runs, and a call of the connector that is of neither."""
    sandbox.change(latency=1.0, batch_hidden=1.0)
    root = logging.getLogger("connector")
    earlier = root.level, root.propagate, [*root.handlers]
    many, few, others = task_ids(119, seed=1), task_ids(61, seed=2), task_ids(118, seed=3)
    of_all: dict[str, Any] = {"base_url": sandbox.base_url, "max_concurrency": 2}
    with ThreadPoolExecutor() as threads:
        asking_for_many = partial(run, many, warehouse="a", ids_per_request=17, **of_all)
        first = threads.submit(copy_context().run, asking_for_many)
        second = threads.submit(copy_context().run, partial(run, few, warehouse="b", **of_all))
        wait_for(lambda: first.done() or logged(prefect, "119 task IDs given"))
        wait_for(lambda: second.done() or logged(prefect, "61 task IDs given"))
        third = threads.submit(ingest, others, warehouse="c", ids_per_request=17, **of_all)
        wait_for(lambda: third.done() or Path("c").exists())
        assert not first.done()
        assert not second.done()
        sandbox.change(latency=0.0)
    assert third.result().fetched == len(others)
    assert (root.level, root.propagate, root.handlers) == earlier
    logs = [prefect.log(flow_run_id(state.result())) for state in (first, second)]
    for ids, warnings, log in zip((many, few), (1, 0), logs, strict=True):
        assert sum(line.startswith("rebuilt the marts") for line in log) == 1, log
        assert [line for line in log if line.startswith("answers committed")] == [
            f"answers committed: {len(ids)} ({len(ids)} new, 0 updated)"
        ]
        assert sum("knew none" in line for line in log) == warnings, log
    warned = {one.name for one in caplog.records if "knew none" in one.message}
    assert warned == {"connector.gateway.batch", "prefect.flow_runs"}, "the third is of no flow"


def test_a_run_that_stopped_leaves_other_flows_their_last_line(
    run: Callable[..., State[Any]], prefect: Prefect
) -> None:
    @flow
    def another() -> State[None]:
        return Failed(message="for a reason of its own")

    own, others = run("nowhere.txt"), another(return_state=True)
    assert own.name == others.name == "Failed"
    assert not [line for line in prefect.log(flow_run_id(own)) if line.startswith("Finished")]
    last = prefect.log(flow_run_id(others))[-1]
    assert last == "Finished in state Failed('for a reason of its own')"


def test_a_process_that_lives_long_forgets_the_last_lines_of_old_runs() -> None:
    said_last = SaidLast()
    line = logging.makeLogRecord({"msg": "Finished in state Failed('x')", "flow_run_id": "first"})
    said_last.add("first", "Failed")
    assert not said_last.filter(line)
    for number in range(1_000):
        said_last.add(str(number), "Failed")
    assert said_last.filter(line)


def test_the_key_of_a_secret_block_is_used_and_stays_there(
    run: Callable[..., State[Any]],
    prefect: Prefect,
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    Secret(value=SecretStr(KEY)).save("test-key")
    monkeypatch.setenv("LUMAAI_API_KEY", "another-key")
    state = run([*IDS, "bad-not-found-1"], key_block="test-key")
    assert state.is_completed()
    refused = run(["bad-unauthorized-1"], key_block="test-key")
    assert "Set the Secret block 'test-key' to a valid one" in (refused.message or "")
    assert sandbox.stats()["by_status"]["200"] == len(IDS)
    prefect.log(flow_run_id(state))
    written = [path for path in prefect.home.rglob("*") if path.is_file()]
    assert any(path.name == "prefect.db" for path in written)
    for path in [*written, *Path("warehouse").rglob("*.parquet")]:
        assert KEY.encode() not in path.read_bytes(), path
    assert KEY not in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"key_block": f"luma-{UUID(int=7)}"}, "block named as the parameter key_block says"),
        ({"key_block": "no-such-key"}, "there is no Prefect Secret block named 'no-such-key'"),
        ({"task_ids": "no-such-file.csv"}, "no-such-file.csv"),
        pytest.param(
            {"runner": "processes", "processes": 10_000},
            "processes: 10,000 are too many",
            marks=pytest.mark.skipif(not find_spec("dask"), reason="needs Dask: extra [dask]"),
        ),
        ({"base_url": "http://gateway.example"}, "would carry the key unencrypted"),
        ({"base_url": "https://bob:hunter2@gateway.example"}, "without user, query or fragment"),
        ({"key_block": "two-lines"}, "set the Secret block 'two-lines'"),
        ({"task_ids": "-"}, "a flow reads no standard input"),
        ({"task_ids": "mysql://bob:hunter2@host/jobs", "query": "select 1"}, "install its driver"),
        ({"task_ids": "nocol.csv"}, "Name the one that holds the task IDs with `column`"),
        ({"task_ids": [""]}, "There is no task ID in what was given"),
    ],
)
def test_a_run_that_cannot_start_fails_with_the_reason(
    run: Callable[..., State[Any]], prefect: Prefect, parameters: dict[str, Any], message: str
) -> None:
    Path("nocol.csv").write_text("name,state\na,done\n")
    Secret(value="luma-of-two\nlines").save("two-lines", overwrite=True)
    state = run(**{"task_ids": IDS, **parameters})
    assert state.is_failed()
    assert message in (state.message or "")
    assert str(UUID(int=7)) not in (state.message or "")
    log = prefect.log(flow_run_id(state))
    assert log[-1] == f"Failed: {state.message}"
    assert "hunter2" not in "".join(log)
    if "runner" not in parameters:
        assert not Path("warehouse").exists()
    assert "60 to request" not in "".join(log)


@pytest.mark.parametrize("name", ["~no-such-user/w", "lines\nand#fragments?", "x" * 300])
def test_any_name_of_a_warehouse_works_or_is_refused_in_words(
    run: Callable[..., State[Any]], prefect: Prefect, name: str
) -> None:
    state = run(IDS[:1], warehouse=name)
    assert state.is_completed() or "File name too long. What was" in (state.message or "")
    assert not any("Traceback" in line for line in prefect.log(flow_run_id(state)))


def test_without_any_key_the_run_says_how_to_give_one(
    run: Callable[..., State[Any]], monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox
) -> None:
    monkeypatch.delenv("LUMAAI_API_KEY")
    state = run(IDS)
    assert state.is_failed()
    assert "Secret block named 'luma-api-key', or set LUMAAI_API_KEY" in (state.message or "")
    assert sandbox.stats()["requests"] == 0


def test_its_figures_go_to_prometheus_too(
    run: Callable[..., State[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LUMA_METRICS_FILE", "luma.prom")
    assert run([*IDS, "bad-not-found-1"]).is_completed()
    figures = Path("luma.prom").read_text()
    assert f'luma_run_requests{{outcome="generation"}} {len(IDS):.1f}' in figures
    assert 'luma_run_requests{outcome="not_found"} 1.0' in figures


def test_a_run_waits_for_another_one_or_leaves_the_work_to_it(
    run: Callable[..., State[Any]], prefect: Prefect, sandbox: Sandbox
) -> None:
    """Two runs by Prefect's limit; a writer that Prefect does not know by the warehouse's lock."""
    sandbox.change(latency=1.0)
    with ThreadPoolExecutor() as threads:
        # The server's address is in the context; the latency makes it last until it is changed.
        first = threads.submit(copy_context().run, partial(run, IDS, max_concurrency=2))
        limit = f"v2/concurrency_limits/{quote(limit_name('warehouse'))}"
        wait_for(lambda: sandbox.stats()["requests"])
        assert prefect.ask("GET", limit)["active_slots"] == 1
        refused = run(IDS)
        assert (refused.name, refused.type) == ("WarehouseBusy", StateType.CANCELLED)
        assert "another flow run is writing to warehouse" in (refused.message or "")
        second = threads.submit(copy_context().run, partial(run, IDS, lock_timeout=600))
        wait_for(lambda: logged(prefect, "waiting for 10 min at most"))
        sandbox.change(latency=0.0)
        assert first.result().is_completed()
    unfinished = first.result().result().unfinished
    assert second.result().result().asked == unfinished
    assert sandbox.stats()["requests"] == len(IDS) + unfinished
    assert "it has ended: continuing" in prefect.log(flow_run_id(second.result()))

    with Warehouse.writing("warehouse"):
        state = run(IDS)
    assert state.name == "WarehouseBusy"
    assert "another run is writing" in (state.message or "")


def test_a_limit_of_none_stops_runs_and_a_limit_that_is_off_lets_them_go_on(
    run: Callable[..., State[Any]], prefect: Prefect
) -> None:
    """By which users stop all runs of a warehouse for a while."""
    assert run(IDS[:1]).is_completed()
    limit = f"{prefect.api_url}/v2/concurrency_limits/{quote(limit_name('warehouse'))}"
    for change, name in (({"limit": 0}, "WarehouseBusy"), ({"active": False}, "Completed")):
        requests.patch(limit, json=change, timeout=90).raise_for_status()
        assert run(IDS[:1]).name == name
    assert requests.get(limit, timeout=90).json()["limit"] == 0


def test_a_turn_that_the_server_forgets_ends_no_run(
    prefect: Prefect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after its restart; the warehouse's own lock still holds."""
    leases: list[Any] = []
    take = turns._take
    monkeypatch.setattr(turns, "_take", lambda *given: leases.append(take(*given)) or leases[-1])
    monkeypatch.setattr(turns, "_RENEW_SECONDS", 0.1)
    limit = f"v2/concurrency_limits/{quote(limit_name(tmp_path))}"
    said = "did not renew this run's turn"

    @flow
    def work() -> None:
        with turn(tmp_path, 0):
            time.sleep(1)
            assert prefect.ask("GET", limit)["active_slots"] == 1
            requests.post(
                f"{prefect.api_url}/v2/concurrency_limits/decrement-with-lease",
                json={"lease_id": str(leases[0])},
                timeout=90,
            ).raise_for_status()
            wait_for(lambda: logged(prefect, said))

    state = work(return_state=True)
    assert state.is_completed()
    assert sum(said in line for line in prefect.log(flow_run_id(state))) == 1
    assert prefect.ask("GET", limit)["active_slots"] == 0


def test_called_directly_it_returns_its_account(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LUMAAI_API_KEY", KEY)
    summary = ingest_generations(IDS[:3], str(tmp_path / "warehouse"), sandbox.base_url)
    assert isinstance(summary, Summary)
    assert summary.fetched == 3


def test_sigterm_commits_what_has_come(
    prefect: Prefect, sandbox: Sandbox, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """As when a worker ends, or a machine shuts down."""
    program = textwrap.dedent(f"""
        from flows.ingest import ingest_generations
        from connector.sandbox import task_ids
        ingest_generations(task_ids(1000), "warehouse", "{sandbox.base_url}", batch_size=50)
    """)
    sandbox.change(latency=0.2)
    try:
        process = subprocess.Popen(
            [sys.executable, "-c", program],
            cwd=tmp_path,
            env=prefect.environment(LUMAAI_API_KEY=KEY),
        )
        while sandbox.stats()["requests"] < 60:
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == -signal.SIGTERM
    finally:
        sandbox.change(latency=0.0)

    account = pd.read_parquet(tmp_path / "warehouse/runs").iloc[0]
    assert account["outcome"] == "stopped"
    assert account["fetched"] == len(generations(str(tmp_path / "warehouse"))) >= 60 - 16
    assert not list((tmp_path / "warehouse/inbox").rglob("*.parquet"))
    # Not one that a deployment has scheduled for later.
    started = {"flow_runs": {"start_time": {"is_null_": False}}}
    runs = prefect.ask(
        "POST", "flow_runs/filter", {**started, "sort": "START_TIME_DESC", "limit": 1}
    )
    assert runs[0]["state"]["type"] == "CRASHED"
    # The process may end before Prefect has sent its last lines.
    console = capfd.readouterr().err
    kept, left = account["fetched"], account["not_reached"]
    assert (
        "interrupted; the next run goes on from here"
        f" ({kept} generations: {kept} new, 0 updated; 0 rejected; {left} not reached)"
    ) in console


def test_a_batch_repeated_replaces_its_own_files(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So does a batch that ran on a machine that died, and is run again on another."""
    monkeypatch.setenv("LUMAAI_API_KEY", KEY)
    settings = load(warehouse=tmp_path / "warehouse", base_url=sandbox.base_url)
    access = Access("a-run", settings, key_block=None)
    with Warehouse.writing(settings.warehouse) as warehouse:
        run = Run(Selection([IDS[:5]]).open(settings), settings, warehouse)
        with share_gateway(access, run):
            for _ in range(2):
                assert fetch_batch.fn(7, IDS[:5], access).is_completed()
        inbox = list((tmp_path / "warehouse/inbox").rglob("*.parquet"))
        assert [path.name for path in inbox] == ["a-run-b000007-0001.parquet"]
        assert warehouse.commit().new == 5


def test_a_batch_repeated_counts_the_requests_of_the_attempt_before(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One for many task IDs, and those for what it left out."""
    monkeypatch.setenv("LUMAAI_API_KEY", KEY)
    sandbox.change(batch_hidden_prefix="hidden-")
    settings = load(warehouse=tmp_path / "warehouse", base_url=sandbox.base_url, ids_per_request=20)
    access, given = Access("a-run", settings, key_block=None), [*IDS[:40], "hidden-1"]
    with Warehouse.writing(settings.warehouse) as warehouse:
        run = Run(Selection([given]).open(settings), settings, warehouse)
        with share_gateway(access, run):
            tallies = [fetch_batch.fn(7, given, access).data.tally for _ in range(2)]
    assert [tally.requests for tally in tallies] == [sandbox.stats()["requests"]] * 2 == [3, 3]


def test_what_a_batch_learns_of_the_gateway_the_next_one_knows(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In another process, where it has a client of its own."""
    monkeypatch.setenv("LUMAAI_API_KEY", KEY)
    sandbox.change(batch_most=10)
    settings = load(warehouse=tmp_path / "warehouse", base_url=sandbox.base_url, ids_per_request=40)
    access, requests = Access("a-run", settings, key_block=None), []
    with Warehouse.writing(settings.warehouse) as warehouse:
        run = Run(Selection([IDS[:80]]).open(settings), settings, warehouse)
        for number in range(2):
            with share_gateway(access, run):
                received = fetch_batch.fn(number, IDS[40 * number :][:40], access).data
            access = access.asking_for(received.ids_per_request)
            requests.append(received.tally.requests)
    assert received.ids_per_request == 10
    assert requests[0] > requests[1] == 4


def test_a_batch_that_the_storage_did_not_take_is_saved_again(
    run: Callable[..., State[Any]], prefect: Prefect, sandbox: Sandbox
) -> None:
    """Without asking the gateway again."""
    inbox = Path("warehouse/inbox")
    inbox.parent.mkdir()
    with Warehouse.writing("warehouse"):
        pass
    # A file system that takes no file: unlike a full disk, that may pass.
    inbox.symlink_to("/proc/tty")
    with ThreadPoolExecutor() as threads:
        going_on = threads.submit(copy_context().run, run, IDS[:5])
        wait_for(lambda: sandbox.stats()["requests"] == 5)
        time.sleep(1.0)  # the batch has been tried once by now, and will be again
        inbox.unlink()
        state = going_on.result()
    assert state.message == "5 generations: 5 new, 0 updated; 0 rejected"
    assert sandbox.stats()["requests"] == 5
    log = prefect.log(flow_run_id(state))
    assert [line for line in log if "cannot" in line and "trying again in 2 s" in line], log


def test_the_flow_can_be_sent_to_another_process() -> None:
    """As `serve` does: what its parameters' types need must travel along."""
    sent = cloudpickle.loads(cloudpickle.dumps(ingest_generations))
    assert sent.validate_parameters({"task_ids": "ids.txt"})["batch_size"] == 2_000


def test_each_parameter_is_described_in_the_form() -> None:
    properties = ingest_generations.parameters.properties
    assert [name for name, one in properties.items() if not one.get("description")] == []
    titles = {name: one["title"] for name, one in properties.items()}
    assert titles["max_wait"] == "Longest wait for the gateway, seconds"
    assert not titles.keys() & set(titles.values()), "titles are words, not names"
    order = sorted(properties, key=lambda name: properties[name]["position"])
    assert order[:3] == ["task_ids", "warehouse", "base_url"]
    text, array = properties["task_ids"]["anyOf"]
    assert (text["type"], array["type"], array["maxItems"]) == ("string", "array", 10_000)


def test_only_the_batch_size_has_a_default_of_its_own() -> None:
    """So that a variable or a profile counts; here a batch is a task run's, there a file's."""
    form = ingest_generations.parameters.properties
    own = {name for name in form.keys() & Settings.model_fields if form[name]["default"]}
    assert own == {"batch_size"}


@pytest.mark.parametrize(
    "parameters",
    [
        {"limit": 0},
        {"batch_size": 5},
        {"max_wait": -1},
        {"task_ids": 7},
        {"task_ids": ["a"] * 10_001},
        {"task_ids": "ids\0.txt"},
        {"warehouse": "ware\ud800house"},
        {"config": "a\0b"},
    ],
)
def test_senseless_parameters_are_refused(parameters: dict[str, Any]) -> None:
    with pytest.raises(ParameterTypeError, match=next(iter(parameters))):
        ingest_generations.validate_parameters({"task_ids": ["a"], **parameters})


def test_an_emptied_field_is_one_that_was_left_alone() -> None:
    """Of the form in Prefect's UI: its descriptions say what an empty one means."""
    form = ingest_generations.parameters.properties
    names = [name for name in form if "Empty:" in form[name].get("description", "")]
    texts = {name for name in names if {"type": "string"} in form[name].get("anyOf", [])}
    assert texts >= {"warehouse", "base_url", "keep", "config", "profile", "dask_scheduler"}
    given = {"task_ids": "ids.txt", **dict.fromkeys(texts, " ")}
    found = ingest_generations.validate_parameters(given)
    assert {name: found[name] for name in texts} == dict.fromkeys(texts)


def test_a_collector_hears_of_a_flow_to_its_end(
    run: Callable[..., State[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last figures go out when the flow's run ends: those of all batches, and of the run."""
    with collector() as (endpoint, received):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        state = run([*IDS, "bad-not-found-1"])
    assert state.is_completed(), state
    found = metrics_in(received[-1])
    assert counts(found["luma.requests"]) == {"generation": len(IDS), "not_found": 1}
    points = found["luma.request.duration"].histogram.data_points
    assert sum(point.count for point in points) == len(IDS) + 1
    assert counts(found["luma.rows.committed"]) == {"new": len(IDS)}
    assert counts(found["luma.runs"]) == {"done": 1}
