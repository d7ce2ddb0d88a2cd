"""The report: figures worked out by hand, and the page as a real browser shows it."""

from __future__ import annotations

import json
import re
import socket
from base64 import b64decode
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from browser import Page, chromium
from builders import NOON, answer, example

from connector.errors import UsageError, WarehouseError
from connector.export.catalogue import write_catalogue
from connector.record.answer import Answer, Outcome
from connector.report import prompts as top
from connector.report import tasks, write_report
from connector.report.contents import page_contents
from connector.report.figures import read_figures
from connector.warehouse import refresh as marts
from connector.warehouse.runs import record_run
from connector.warehouse.warehouse import Warehouse
from connector.words import at_least, at_most, between, estimate, percent, plain

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MEGABYTE = 1_000_000

HOSTILE = (
    "</script><script>window.ran = 1</script>",
    '<img src="x" onerror="window.ran = 1">',
    "<!-- <script> --> <svg onload=window.ran=1>",
    "{{constructor.constructor('window.ran = 1')()}} ${window.ran = 1} @failed <!-- data -->",
    "\"'`&amp;&lt;b&gt; \\u003cscript\\u003e",
)


def made(task_id: str, state: str = "completed", *, minutes: float = 0, **fields: Any) -> Answer:
    body = {"state": state, "created_at": "2025-12-31T08:00:00Z", **fields}
    return answer(task_id, body, minutes=minutes)


def run_row(**more: Any) -> dict[str, Any]:
    counts = (
        "given blank duplicate invalid already_terminal fetched rejected not_reached "
        "completed failed unfinished requests retries mixed_up"
    )
    times = {"started_at": NOON, "finished_at": NOON, "elapsed_seconds": 61.2}
    row = {"run_id": "20260102T120000Z-0", "outcome": "done", "message": None, "version": "1"}
    return {**row, **times, **dict.fromkeys(counts.split(), 1), "given": 7, **more}


def warehouse(root: Path, *answers: Answer, build_marts: bool = True, **run: Any) -> Path:
    """A warehouse after these answers, as a run leaves it."""
    with Warehouse.writing(root) as found:
        if answers:
            found.save("batch", answers, "run")
            found.commit()
            record_run(found.storage, run_row(**run))
        if build_marts:
            marts.rebuild(found.storage, found.generations.files().values())
    return root


def shown(root: Path, **options: Any) -> dict[str, Any]:
    """What the page's scripts get."""
    return json.loads(json.dumps(page_contents(read_figures(root, NOON, **options))))


def cells(page: dict[str, Any], dimension: str) -> dict[tuple[str, str], int]:
    """Counts by a value's name and status, over all other filters."""
    sizes, found = page["cube"]["sizes"], {}
    names = page["values"].get(dimension)
    for key, value, count in zip(*page["cube"]["cells"][dimension], strict=True):
        status = page["statuses"][key // sizes["by"] % sizes["statuses"]]
        at = (names[value] if names else value, status)
        found[at] = found.get(at, 0) + count
    return found


# What the scripts get.


def test_generations_are_counted_by_day_and_status(tmp_path: Path) -> None:
    root = warehouse(
        tmp_path,
        made("a"),
        made("b", "failed"),
        made("c", created_at="2026-01-01T23:59:59.999Z"),
        made("d", created_at="2026-01-01T23:59:59+02:00"),
        made("e", "dreaming"),
        made("f", created_at="0001-01-01T00:00:00Z"),
        made("g", created_at="9999-01-01T00:00:00Z"),
    )
    page = shown(root)
    assert cells(page, "day") == {
        (0, "completed"): 2,
        (1, "completed"): 1,
        (1, "failed"): 1,
        (1, "running"): 1,
    }
    assert sum(cells(page, "all").values()) == 7
    assert sum(page["cube"]["cells"]["month"][2]) == 5
    # Two have no usable time: they are in no period but all.
    ages = [key // (len(page["statuses"]) * 1) for key in page["cube"]["cells"]["all"][0]]
    assert set(ages) == {0, page["cube"]["sizes"]["ages"] - 1}


def test_outcomes_by_model_reason_size_and_length(tmp_path: Path) -> None:
    stored = {"url": "https://storage/lit_v2/a/video.mp4"}
    page = shown(
        warehouse(
            tmp_path,
            made("a", model="ray-2", prompt="x" * 50, video={"width": 752, "height": 1360}),
            made("b", "failed", model="ray-2", prompt="x" * 51, failure_reason=" moderation "),
            made("c", "failed", failure_reason="moderation"),
            made("d", "failed", prompt="x" * 801),
            made("e", "queued", model="ray-2", request={"resolution": "720p"}),
            made("f", video=stored),
        )
    )
    assert cells(page, "model") == {
        ("ray-2", "completed"): 1,
        ("ray-2", "failed"): 1,
        ("ray-2", "queued"): 1,
        ("unknown model", "failed"): 2,
        ("lit_v2", "completed"): 1,
    }
    # Failures name no model from a storage path: its share of failures is not compared.
    sources = dict(zip(page["values"]["model"], page["values"]["model_source"], strict=True))
    assert sources == {"ray-2": "requested", "unknown model": "", "lit_v2": "storage"}
    assert cells(page, "reason") == {("moderation", "failed"): 2, ("no reason given", "failed"): 1}
    assert cells(page, "category") == {("Moderation", "failed"): 2, ("Other", "failed"): 1}
    lengths = {name for name, _ in cells(page, "length")}
    assert lengths == {"no prompt", "1–50", "51–100", "over 800"}
    assert cells(page, "size") == {
        ("752 × 1360", "completed"): 1,
        ("720p (requested)", "queued"): 1,
        ("unknown", "failed"): 3,
        ("unknown", "completed"): 1,
    }


def seen(task_id: str, seconds: float) -> tuple[Answer, Answer]:
    """A generation seen unfinished an hour after its creation, and finished so much later."""
    early = made(task_id, "dreaming", created_at="2026-01-02T11:00:00Z")
    late = made(task_id, created_at="2026-01-02T11:00:00Z", minutes=seconds / 60)
    return early, late


def test_an_upper_bound_is_never_shown_as_the_value(tmp_path: Path) -> None:
    page = shown(warehouse(tmp_path, *(answer(f"a{n}", example("completed")) for n in range(40))))
    half = next(card for card in page["cards"] if card["label"] == "Half within")
    assert half["value"].startswith("at most ")
    assert page["facts"][-1].startswith("Turnaround: half within at most ")
    curve = page["spans"]["curves"]["-1|-1|-1"]
    assert curve["p50"] is None
    assert curve["p50_upper"] > 0


def test_reported_times_are_estimates_with_a_band(tmp_path: Path) -> None:
    def reported(number: int) -> Answer:
        begun = int(NOON.timestamp()) - 3600 + number
        times = {"submit_time": begun - number, "start_time": begun}
        ends = {"finish_time": begun + 10 * number}
        return made(f"r{number}", created_at="2026-01-02T11:00:00Z", **times, **ends)

    page = shown(warehouse(tmp_path, *(reported(n) for n in range(1, 31))))
    curve = page["spans"]["curves"]["-1|-1|-1"]
    # Each took 11 times its number: the middle one is between 165 and 176 s.
    assert curve["p50_lower"] < 165 <= curve["p50"] * 1.02
    assert curve["p50"] < 178 < curve["p50_upper"]
    assert sum(page["cube"]["cells"]["queue"][2]) == 30
    assert page["spans"]["hours"]["-1|-1"][11][1] == 30


def test_what_is_in_the_page_does_not_grow_with_the_generations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "EACH", 3)
    answers = [
        made(f"t{n:02}", ("completed", "failed")[n % 2], created_at=f"2026-01-01T10:{n:02}:00Z")
        for n in range(60)
    ]
    found = shown(warehouse(tmp_path, *answers))["tasks"]
    # The newest three of each outcome, newest first.
    assert found["ids"] == ["t59", "t58", "t57", "t56", "t55", "t54"]
    monkeypatch.setattr(tasks, "MOST", 4)
    assert len(shown(tmp_path)["tasks"]["ids"]) == 4


def test_links_lead_to_files_that_are_still_there(tmp_path: Path) -> None:
    def signed(days: int) -> str:
        moment = NOON + timedelta(days=days)
        return f"https://s/x?X-Amz-Date={moment:%Y%m%dT%H%M%SZ}&X-Amz-Expires=60&X-Amz-Signature=0123456789abc"

    cases = {
        "public": {"url": "https://s/lit/video.mp4"},
        "valid": {"download_url": signed(1)},
        "expired": {"download_url": signed(-1)},
        "secret": {"url": signed(-1)},
        "script": {"url": "javascript:alert(1)"},
    }
    page = shown(warehouse(tmp_path, *(made(name, video=video) for name, video in cases.items())))
    found = page["tasks"]
    links = {found["ids"][int(row)]: url for row, url in found["links"].items()}
    assert set(links) == {"public", "valid"}
    expires = {found["ids"][int(row)]: at for row, at in found["expires"].items()}
    assert expires == {"valid": int(NOON.timestamp()) + 86_400 + 60}


def test_one_more_thing_to_cut_by(tmp_path: Path) -> None:
    root = warehouse(tmp_path, made("a", liked=True), made("b", "failed", liked=False), made("c"))
    page = shown(root, by="campaign", values={"a": "spring", "c": "spring"})
    assert cells(page, "by") == {
        ("spring", "completed"): 2,
        ("unknown", "failed"): 1,
    }
    assert (page["by"], page["by_column"]) == ("campaign", None)
    page = shown(root, by="liked")
    assert cells(page, "by")["true", "completed"] == 1
    assert page["by_column"] == "liked"
    with pytest.raises(UsageError, match="did you mean model"):
        shown(root, by="modle")


def test_a_column_that_came_with_the_task_ids_cuts_the_report(tmp_path: Path) -> None:
    warehouse(tmp_path / "w", made("a"), made("b", "failed"), made("c"))
    rows = [{"task_id": "a", "campaign": "spring"}, {"task_id": "b", "campaign": "</script>"}]
    (tmp_path / "w/given").mkdir(exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "w/given/given.parquet")
    for name in ("campaign", "Campaign", "given_campaign"):
        assert cells(shown(tmp_path / "w", by=name), "by") == {
            ("spring", "completed"): 1,
            ("</script>", "failed"): 1,
            ("unknown", "completed"): 1,
        }


def test_marts_that_are_missing_or_stale_are_worked_out(tmp_path: Path) -> None:
    answers = [made("a", prompt="fox", video={"width": 752, "height": 1360}), *seen("b", 10)]
    without = shown(warehouse(tmp_path / "w", *answers, build_marts=False))
    with Warehouse.writing(tmp_path / "w") as found:
        marts.rebuild(found.storage, found.generations.files().values())
    assert shown(tmp_path / "w") == without
    with Warehouse.writing(tmp_path / "w") as found:
        found.save("later", [made("c", prompt="fox", minutes=9)], "run")
        found.commit()
    assert [row[1] for row in shown(tmp_path / "w")["prompts"]] == [2]


def test_terms_and_families_count_their_uses(tmp_path: Path) -> None:
    texts = [f"a red fox in the rain at noon, take {n}" for n in range(6)]
    answers = [
        made(f"{n}-{use}", ("completed", "failed")[use], prompt=text)
        for n, text in enumerate(texts)
        for use in range(2)
    ]
    page = shown(warehouse(tmp_path, *answers, made("other", prompt="foxes, red")))
    (family,) = page["families"]
    assert family["prompts"] == 6
    assert cells(page, "family") == {(texts[0], "completed"): 6, (texts[0], "failed"): 6}
    terms = {name: count for (name, status), count in cells(page, "term").items()}
    assert set(terms.values()) == {6}
    assert "a red fox" in terms


def test_the_most_used_and_most_failing_prompts_are_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(top, "MOST_USED", 2)
    monkeypatch.setattr(top, "MOST_FAILING", 1)
    texts = ["often"] * 3 + ["twice"] * 2 + ["once", "bad", "x" * 5_000_000]
    states = ["completed"] * 6 + ["failed", "completed"]
    pairs = enumerate(zip(texts, states, strict=True))
    answers = [made(f"t{n}", state, prompt=text) for n, (text, state) in pairs]
    page = shown(warehouse(tmp_path, *answers))
    assert page["prompt_count"] == 5
    assert [row[0] for row in page["prompts"]] == ["often", "twice", "bad"]


def test_rejects_and_runs_are_shown(tmp_path: Path) -> None:
    # Only a gateway that gives generations is believed that it has no other.
    lost = answer("gone", {}, outcome=Outcome.NOT_FOUND, status=404)
    late = answer("slow", {}, outcome=Outcome.TIMEOUT, status=None)
    page = shown(warehouse(tmp_path, made("a"), lost, late, message="the gateway is down"))
    found = {row["reason"]: (row["count"], row["again"], row["tasks"]) for row in page["rejects"]}
    assert found == {
        "not_found": (1, "only on request", [["gone", "2026-01-02 12:00"]]),
        "timeout": (1, "by the next run", [["slow", "2026-01-02 12:00"]]),
    }
    assert [run["message"] for run in page["runs"]] == ["the gateway is down"]


def test_there_is_no_report_without_a_warehouse(tmp_path: Path) -> None:
    with pytest.raises(WarehouseError, match="no warehouse"):
        write_report(tmp_path / "none", tmp_path / "report.html")


# Words.


@pytest.mark.parametrize(
    ("seconds", "low", "high"),
    [
        (0, "0 s", "0 s"),
        (3.44, "3.4 s", "3.5 s"),
        (34.675, "34 s", "35 s"),
        (59.5, "59 s", "1 min"),
        (60, "1 min", "1 min"),
        (150, "2.5 min", "2.5 min"),
        (86_399, "23 h", "1 d"),
        (9e6, "104 d", "105 d"),
    ],
)
def test_bounds_are_rounded_so_that_they_stay_true(seconds: float, low: str, high: str) -> None:
    assert (at_least(seconds), at_most(seconds)) == (low, high)


def test_an_interval_names_its_unit_once() -> None:
    assert between(12.3, 57.2) == "12–58 s"
    assert between(0, 120) == "at most 2 min"
    assert between(50, 120) == "50 s–2 min"
    assert between(60, 60) == "1 min"


def test_an_estimate_has_its_band_and_a_bound_says_so() -> None:
    assert estimate(56, 54, 58.2) == "about 56 s (54–59 s)"
    assert estimate(None, 0, 54.5) == estimate(None, None, 54.5) == "at most 55 s"
    assert estimate(None, 70, 140) == "1.1–2.4 min"
    assert estimate(None, 70, None) == "at least 1.1 min"
    assert estimate(None, None, None) == "not known"


def test_a_share_is_never_none_or_all_unless_it_is() -> None:
    shares = [percent(part, 10_000) for part in (0, 1, 100, 9_999, 10_000)]
    assert shares == ["0.0%", "<0.1%", "1.0%", ">99.9%", "100.0%"]
    assert percent(0, 0) == "–"


def test_texts_become_one_line_without_characters_that_deceive() -> None:
    assert plain(" a\n\tb\x00c\x1b[31m ", 80) == "a b\\x00c\\x1b[31m"
    assert plain("photo\u202egnp.exe", 80) == "photo\\u202egnp.exe"
    assert plain("👩‍👩‍👧 نص", 80) == "👩‍👩‍👧 نص"
    assert plain("abcdef", 4) == "abc…"
    assert plain("x" * 5_000_000, 300) == "x" * 299 + "…"


# The page as text.


def test_the_page_stays_small_however_many_prompts_there_are(tmp_path: Path) -> None:
    answers = [made(f"t{n}", "failed", prompt=f"{n}" + "<" * 400) for n in range(2_500)]
    report = write_report(warehouse(tmp_path / "w", *answers), tmp_path / "report.html")
    assert report.size == report.path.stat().st_size < 6 * MEGABYTE
    assert report.generations == 2_500


def test_nothing_in_the_data_can_end_their_block(tmp_path: Path) -> None:
    answers = [made(f"t{n}", prompt=text) for n, text in enumerate(HOSTILE)]
    report = write_report(warehouse(tmp_path / "w", *answers), tmp_path / "report.html")
    page = report.path.read_text(encoding="utf-8")
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert data
    assert not set(data[1]) & set("<>&\u2028\u2029")
    assert {row[0] for row in json.loads(data[1])["prompts"]} == set(HOSTILE)


def test_the_same_warehouse_gives_the_same_page(tmp_path: Path) -> None:
    root = warehouse(tmp_path / "w", made("a", prompt="fox"), made("b", "failed", prompt="owl"))
    pages = [write_report(root, tmp_path / name, now=NOON).path for name in ("one", "two")]
    assert pages[0].read_bytes() == pages[1].read_bytes()


def test_an_old_report_is_replaced_whole_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    root = warehouse(tmp_path / "w")
    folder = tmp_path / "new" / "folder"
    write_report(root, folder / "report.html")
    write_report(root, folder / "report.html")
    assert [path.name for path in folder.iterdir()] == ["report.html"]


def test_a_page_that_cannot_be_written_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    root = warehouse(tmp_path / "w")
    with pytest.raises(UsageError, match="cannot write"):
        write_report(root, tmp_path / "file" / "report.html")


def test_nothing_of_this_machine_is_in_the_page(tmp_path: Path) -> None:
    report = write_report(warehouse(tmp_path / "w", made("a")), tmp_path / "report.html")
    assert str(tmp_path) not in report.path.read_text(encoding="utf-8")


# The page in a browser.


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with chromium(tmp_path_factory.mktemp("profile")) as page:
        yield page


def stages(number: int) -> dict[str, Any]:
    """Times that every other generation is told."""
    if number % 2:
        return {}
    created = datetime(2025, 1 + number % 12, 1 + number % 28, number % 24, tzinfo=UTC).timestamp()
    begun = int(created) + number % 17
    return {"start_time": begun, "finish_time": begun + 20 + number % 61}


@pytest.fixture(scope="module")
def rich(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page on a warehouse that has something of everything."""
    folder = tmp_path_factory.mktemp("rich")
    shapes = [(752, 1360), (1280, 720), (1080, 1080)]
    answers = [
        made(
            f"t{n}",
            ("completed", "completed", "failed")[n % 3],
            created_at=datetime(2025, 1 + n % 12, 1 + n % 28, n % 24, tzinfo=UTC).isoformat(),
            prompt=f"{'fox' if n % 2 else 'owl'} in the rain, take {n % 40}",
            model=f"ray-{n % 15}",
            failure_reason=f"reason {n % 5}",
            video={
                **dict(zip(("width", "height"), shapes[n % 3], strict=True)),
                "duration": (5.04, 9)[n % 2],
            },
            request={"duration": ("5s", "9s", "10s")[n % 3]},
            **stages(n),
        )
        for n in range(300)
    ]
    old = made("old", "failed", created_at="2023-05-05T05:05:05Z", prompt="Étude in blue")
    lost = answer("gone", {}, outcome=Outcome.NOT_FOUND, status=404)
    root = warehouse(folder / "w", *answers, *seen("s1", 30), *seen("s2", 70), old, lost)
    return write_report(root, folder / "report.html", now=NOON).path


@pytest.fixture
def page(browser: Page, rich: Path) -> Page:
    """That page, opened anew."""
    browser.emulate(width=1280, scheme="light")
    browser.open(rich)
    return browser


def test_everything_is_drawn_without_a_word_on_the_console(page: Page, rich: Path) -> None:
    page.draw()
    assert page.count("[data-chart]") == page.count(".chart svg") == 17
    assert page.count(".empty") == 0
    assert page.text(".figure .value") == "74"  # of the last 90 days, which are shown first
    assert "Unknown to the gateway" in page.text("[data-chart=rejects]")
    assert page.complaints() == []
    # Nor has it asked for anything but itself.
    assert page.requests() == [rich.as_uri()]
    assert page.run("return performance.getEntriesByType('resource').length") == 0


def choose(page: Page, label: str, text: str) -> None:
    """Set a filter as a reader does, and wait until all charts are drawn."""
    page.run(
        "const select = document.querySelector(`select[aria-label='${arguments[0]}']`);"
        "const options = [...select.options];"
        "select.value = options.find(one => one.text.startsWith(arguments[1])).value;"
        "select.dispatchEvent(new Event('change'))",
        label,
        text,
    )
    page.draw()


def test_filters_act_on_figures_and_charts(page: Page) -> None:
    page.draw()
    everything = page.text("[data-chart=reasons] .chart")
    choose(page, "Model", "ray-2")
    assert page.text(".figure .value") == "5"
    assert page.text("[data-chart=reasons] .chart") != everything
    assert "ray-4" not in page.text("[data-chart=models] .chart")
    assert page.text("#cards .figure:nth-child(2) .value") == "0.0%"  # each third fails
    choose(page, "Status", "completed")
    assert page.text(".figure .value") == "0"
    choose(page, "Model", "All")
    choose(page, "Status", "All")
    choose(page, "Period", "All of the time")
    assert page.text(".figure .value") == "303"
    assert page.complaints() == []


def ids(page: Page) -> list[str]:
    return page.run("return [...document.querySelectorAll('#tasks li code')].map(e => e.innerText)")


def test_a_click_on_a_bar_lists_its_task_ids(page: Page, rich: Path) -> None:
    choose(page, "Period", "All of the time")
    page.click("[data-chart=reasons] .mark-rect path")
    assert page.text("#tasks h2") == "reason 0"
    assert page.text("#tasks .hint").startswith("20 task IDs: all of them")
    found = ids(page)
    assert len(found) == 20
    assert all(int(one[1:]) % 5 == 0 and int(one[1:]) % 3 == 2 for one in found)
    page.click("#tasks .copy")
    page.wait("return document.querySelector('#tasks .copy').textContent === 'Copied'")
    page.click("#tasks .close")
    page.click("[data-chart=rejects] .mark-rect path")
    assert ids(page) == ["gone"]
    page.click("#tasks .close")
    assert page.complaints() == []
    assert page.requests()[-1] == rich.as_uri()


def test_the_query_for_the_rest_finds_them(browser: Page, tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb", reason="DuckDB is not installed (extra bi)")
    answers = [
        made(
            f"t{n}",
            ("completed", "failed", "queued")[n % 3],
            created_at=datetime(2025, 12, 1 + n % 28, n % 24, tzinfo=UTC).isoformat(),
            prompt=f"it's a fox, take {n % 4}",
            failure_reason=("it's bad", None)[n % 2],
            request={"resolution": "720p", "aspect_ratio": "9:16", "model": "ray-2"},
            video={"width": 752, "height": 1360, "duration": 5.04} if n % 3 == 0 else None,
        )
        for n in range(60)
    ]
    root = warehouse(tmp_path / "w", *answers)
    write_catalogue(root, tmp_path / "w.duckdb")
    browser.open(write_report(root, tmp_path / "report.html").path)
    browser.draw()
    asked = browser.run(
        "const found = [];"
        "for (const dimension of Object.keys(Data.cube.cells))"
        "  for (const [value] of Cube.counts(dimension))"
        "    for (const outcome of [undefined, 'completed', 'failed', 'unfinished'])"
        "      found.push(Tasks.about({dimension, value, outcome}));"
        "return found"
    )
    with duckdb.connect(tmp_path / "w.duckdb", read_only=True) as connection:
        for count, listed, query in asked:
            if query and "basis" not in query:
                found = {row[0] for row in connection.execute(query).fetchall()}
                assert (len(found), set(listed)) == (count, found), query
    assert sum(count for count, *_ in asked) > 1_000


def test_lists_of_task_ids_are_bounded_and_say_how_to_get_the_rest(
    browser: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "EACH", 5)
    answers = [made(f"=t{n}", "failed", failure_reason="bad") for n in range(40)]
    browser.open(write_report(warehouse(tmp_path / "w", *answers), tmp_path / "r.html").path)
    browser.draw()
    browser.click("[data-chart=reasons] .mark-rect path")
    assert browser.text("#tasks .hint").startswith("40 task IDs: ")
    assert "failure_reason" in browser.text("#tasks .rest code")
    assert browser.run("return Tasks.csv().split('\\r\\n')[1]").startswith("'=t")


def test_thumbnails_load_only_if_they_are_wanted(browser: Page, tmp_path: Path) -> None:
    picture = {"url": "https://storage.invalid/lit/thumb.jpg", "width": 8, "height": 8}
    root = warehouse(tmp_path / "w", made("a", thumbnail=picture))
    for wanted, images in ((False, 0), (True, 1)):
        path = write_report(root, tmp_path / f"{wanted}.html", thumbnails=wanted).path
        assert ("storage.invalid" in path.read_text(encoding="utf-8")) is wanted
        browser.open(path)
        browser.draw()
        assert browser.count("img") == 0
        browser.click("#cards .ids")
        assert browser.count("#tasks img") == images
    browser.complaints()


def test_the_page_prints_on_few_sheets(page: Page) -> None:
    page.draw()
    made_ = page.driver.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})["data"]
    assert 1 < len(re.findall(rb"/Type\s*/Page[^s]", b64decode(made_))) <= 5


def test_no_box_is_stretched(page: Page) -> None:
    """What is in a card ends where the card does."""
    page.draw()
    gaps = page.run(
        "return [...document.querySelectorAll('.card')].map(card => {"
        "  const last = [...card.children].filter(one => one.offsetHeight).at(-1);"
        "  return card.getBoundingClientRect().bottom - last.getBoundingClientRect().bottom })"
    )
    assert max(gaps) < 30


def test_cards_that_are_not_needed_are_left_out(browser: Page, tmp_path: Path) -> None:
    browser.open(write_report(warehouse(tmp_path / "w", made("a")), tmp_path / "r.html").path)
    browser.draw()
    assert browser.count("[data-chart=stages], [data-chart=durations], [data-chart=by]") == 0
    assert browser.count("#stands-out") == 0
    assert "No generation has failed" in browser.text("[data-chart=reasons]")
    assert browser.complaints() == []


def test_the_page_reaches_no_one_even_if_something_in_it_tried(page: Page) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.5)
        page.run(
            "const url = arguments[0]; new Image().src = url; fetch(url).catch(() => 0);"
            "navigator.sendBeacon(url)",
            f"http://127.0.0.1:{server.getsockname()[1]}/",
        )
        with pytest.raises(TimeoutError):
            server.accept()
    assert page.complaints() != []  # the browser tells that the policy barred it


def test_markup_and_scripts_have_no_way_in(page: Page) -> None:
    for attempt in (
        "document.body.innerHTML = '<img>'",
        "document.body.append(Object.assign(document.createElement('script'), {text: 'ran = 1'}))",
        "setTimeout('window.ran = 1')",
    ):
        page.run(f"try {{ {attempt} }} catch {{}}")
    assert page.run("return window.ran ?? null") is None
    assert page.count("img") == 0
    page.complaints()


def test_hostile_texts_stay_texts(browser: Page, tmp_path: Path) -> None:
    answers = [
        made(f"{n}-{use}", "failed", prompt=text, model=text, failure_reason=text)
        for n, text in enumerate(HOSTILE)
        for use in range(2)
    ]
    root = warehouse(tmp_path / HOSTILE[1].replace("/", ""), *answers, message=HOSTILE[0])
    browser.open(write_report(root, tmp_path / "report.html").path)
    browser.draw()
    texts = browser.run(
        "return [...document.querySelectorAll('#prompt-table .text')].map(e => e.textContent)"
    )
    assert set(texts) == set(HOSTILE)
    # A bar's label is cut, so look at its data.
    for place in ("models", "reasons", "most_used"):
        names = browser.run(
            "return Charts[arguments[0]]().views[0].spec.data.values.map(r => r.name)", place
        )
        assert {text[:60] for text in HOSTILE} == {name[:60] for name in names}
    assert "</script><script>window.ran = 1" in browser.text("#runs")
    browser.click("[data-chart=models] .mark-rect path")
    assert browser.text("#tasks h2").partition(",")[0] in " ".join(HOSTILE)
    assert browser.run("return window.ran ?? null") is None
    assert browser.count("img, svg[onload]") == 0
    assert browser.complaints() == []


def test_the_search_finds_prompts_by_their_words(page: Page) -> None:
    page.write("#search", "RAIN fox")
    assert page.text("#found") == "20 of 41 prompts"
    rows = page.run(
        "return [...document.querySelectorAll('#prompt-table .text')].map(e => e.textContent)"
    )
    assert len(rows) == 20
    assert all(row.startswith("fox in the rain") for row in rows)
    assert page.text("#prompt-table mark") == "fox"
    page.write("#search", "etude")
    assert page.text("#found") == "1 of 41 prompts"
    page.write("#search", "nowhere")
    assert (page.text("#found"), page.count("#prompt-table tbody tr")) == ("0 of 41 prompts", 0)


def test_the_table_of_prompts_is_sorted_and_grows_on_demand(page: Page) -> None:
    assert page.count("#prompt-table tbody tr") == 25
    page.click("#more")
    assert page.count("#prompt-table tbody tr") == 41
    page.click("#prompt-table th:nth-child(4) button")
    failed = page.run(
        "return [...document.querySelectorAll('#prompt-table td:nth-child(4)')]"
        ".map(cell => Number(cell.textContent))"
    )
    assert failed == sorted(failed, reverse=True)
    assert failed[0] > failed[-1]
    assert page.count("th[aria-sort=descending]") == 1


def test_light_and_dark_follow_the_system_until_one_is_chosen(page: Page, rich: Path) -> None:
    def look() -> tuple[str, str, str]:
        page.wait("return document.querySelector('[data-chart=models] svg text') !== null")
        label = "document.querySelector('[data-chart=models] svg .role-mark text')"
        found: list[str] = page.run(
            "return [document.documentElement.dataset.theme,"
            f"getComputedStyle(document.body).backgroundColor, {label}.getAttribute('fill')]"
        )
        return found[0], found[1], found[2]

    light = look()
    page.emulate(width=1280, scheme="dark")
    page.wait("return document.documentElement.dataset.theme === 'dark'")
    page.wait(
        "return document.querySelector('[data-chart=models] svg .role-mark text')"
        f"?.getAttribute('fill') !== '{light[2]}'"
    )
    dark = look()
    assert light[0] == "light"
    assert all(one != other for one, other in zip(light, dark, strict=True))
    page.click("#theme")
    assert page.run("return document.documentElement.dataset.theme") == "light"
    page.open(rich)
    assert look() == light
    page.run("localStorage.clear()")


def test_the_pointer_over_a_mark_tells_its_figures(page: Page) -> None:
    page.draw()
    page.hover(
        "[data-chart=reasons] .mark-rect path",
        until="return !document.getElementById('tooltip').hidden",
    )
    shown_ = page.text("#tooltip").split("\n")
    assert shown_ == ["reason 0", "count", "5", "share", "20.0%"]


def test_a_click_on_the_legend_picks_a_status_out(page: Page) -> None:
    def opacities() -> set[str]:
        return set(
            page.run(
                "return [...document.querySelectorAll('[data-chart=activity] .mark-rect path')]"
                ".map(bar => bar.getAttribute('opacity'))"
            )
        )

    page.draw()
    assert opacities() == {"1"}
    page.click("[data-chart=activity] .role-legend-label text")
    page.wait(
        "return document.querySelectorAll("
        "'[data-chart=activity] .mark-rect path[opacity=\"0.12\"]').length > 0"
    )
    assert opacities() == {"1", "0.12"}


def test_weeks_and_months_follow_the_period(page: Page) -> None:
    page.draw()
    assert "Generations per day" in page.text("[data-chart=activity] .chart")
    choose(page, "Period", "Last 365 days")
    assert "Generations per week" in page.text("[data-chart=activity] .chart")
    choose(page, "Period", "All of the time")
    assert "Generations per month" in page.text("[data-chart=activity] .chart")
    assert "2023" in page.text("[data-chart=activity] .chart")
    assert page.complaints() == []


@pytest.mark.parametrize("width", [375, 768])
def test_the_page_fits_a_phone_and_a_tablet(browser: Page, rich: Path, width: int) -> None:
    browser.emulate(width=width, scheme="dark")
    browser.open(rich)
    browser.draw()
    assert browser.run("return document.documentElement.scrollWidth") <= width
    sizes = browser.run(
        "return [...document.querySelectorAll('.chart')].map(chart =>"
        "[chart.clientWidth, chart.firstChild.getBoundingClientRect().width])"
    )
    assert all(drawn <= place + 1 for place, drawn in sizes)
    assert browser.complaints() == []


def test_a_warehouse_without_anything_has_a_page(browser: Page, tmp_path: Path) -> None:
    browser.emulate(width=1280, scheme="light")
    browser.open(write_report(warehouse(tmp_path / "w"), tmp_path / "report.html").path)
    browser.draw()
    assert browser.count(".chart svg") == 0
    assert browser.count(".empty") == browser.count("[data-chart]") + 2
    assert "No generation with a creation time" in browser.text("[data-chart=activity]")
    assert "none finished" in browser.text("#cards")
    assert browser.complaints() == []


def test_times_of_any_year_are_no_trouble(browser: Page, tmp_path: Path) -> None:
    """They are kept as they came, and count for no day, no hour and no turnaround."""
    years = ("0002-01-01", "1200-02-03", "1970-01-01", "9999-12-31", "2025-12-30", "2025-12-31")
    root = warehouse(
        tmp_path / "w",
        *(made(year, created_at=f"{year}T00:00:00Z", prompt=year) for year in years),
        made("soon", "dreaming", started_at="9999-12-31T23:59:59Z"),
    )
    found = shown(root)
    assert found["about"]["span"] == "30 Dec 2025 – 31 Dec 2025"
    trend = next(card for card in found["cards"] if card["label"] == "Failure trend")
    assert trend["note"] == "0.0% in the last day, 0.0% before"
    browser.open(write_report(root, tmp_path / "report.html").path)
    browser.draw()
    assert "4 generations without a usable creation time" in browser.text("[data-chart=activity]")
    assert browser.complaints() == []


def test_one_generation_has_a_page(browser: Page, tmp_path: Path) -> None:
    root = warehouse(tmp_path / "w", answer("asked", example("completed")))
    browser.open(write_report(root, tmp_path / "report.html").path)
    browser.draw()
    assert browser.text("[data-about=span]") == "15 Oct 2024"
    assert "752 × 1360" in browser.text("[data-chart=sizes]")
    assert "No task ID was rejected" in browser.text("[data-chart=rejects]")
    assert "No generation has failed" in browser.text("[data-chart=reasons]")
    assert "Half within: not known yet; of 1 generation" in browser.text("[data-chart=spread]")
    assert browser.complaints() == []
