"""The report: figures worked out by hand, and the page as a real browser shows it."""

from __future__ import annotations

import json
import re
import socket
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import pytest
from browser import Page, chromium
from builders import NOON, answer, example, pending

from connector.errors import UsageError, WarehouseError
from connector.marts.turnaround import Stage
from connector.record.answer import Answer, Outcome
from connector.report import prompts as top
from connector.report import write_report
from connector.report.charts.outcomes import interval
from connector.report.contents import contents
from connector.report.counts import Outcomes
from connector.report.figures import Figures, read_figures
from connector.warehouse import refresh as marts
from connector.warehouse.warehouse import Warehouse
from connector.words import at_least, at_most, between, percent, plain

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
            found.record_run(run_row(**run))
        if build_marts:
            marts.rebuild(found.storage, found.generations.files().values())
    return root


def figures(root: Path) -> Figures:
    return read_figures(root, NOON)


# Figures.


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
    counts = figures(root).counts
    assert counts.days == {
        date(2025, 12, 31): {"completed": 1, "failed": 1, "running": 1},
        date(2026, 1, 1): {"completed": 2},
    }
    assert (counts.undated, counts.total) == (2, 7)
    assert counts.statuses == {
        "completed": 5,
        "failed": 1,
        "running": 1,
        "queued": 0,
        "unknown": 0,
    }


def test_outcomes_by_model_reason_size_and_length(tmp_path: Path) -> None:
    found = figures(
        warehouse(
            tmp_path,
            made("a", model="ray-2", prompt="x" * 50, video={"width": 752, "height": 1360}),
            made("b", "failed", model="ray-2", prompt="x" * 51, failure_reason=" moderation "),
            made("c", "failed", failure_reason="moderation"),
            made("d", "failed", prompt="x" * 801),
            made("e", "queued", model="ray-2", request={"resolution": "720p"}),
        )
    )
    assert found.counts.models == [Outcomes("ray-2", 1, 1, 1), Outcomes(None, 0, 2, 0)]
    assert found.counts.reasons == {"moderation": 2, None: 1}
    assert found.counts.lengths == [
        Outcomes(0, 0, 1, 1),
        Outcomes(1, 1, 0, 0),
        Outcomes(2, 0, 1, 0),
        Outcomes(6, 0, 1, 0),
    ]
    assert {one.name: one.total for one in found.sizes} == {
        "752 × 1360": 1,
        "720p (requested)": 1,
        "unknown": 3,
    }


def seen(task_id: str, seconds: float) -> tuple[Answer, Answer]:
    """A generation seen unfinished an hour after its creation, and finished so much later."""
    early = made(task_id, "dreaming", created_at="2026-01-02T11:00:00Z")
    late = made(task_id, created_at="2026-01-02T11:00:00Z", minutes=seconds / 60)
    return early, late


def test_turnaround_is_told_of_measured_generations_only_and_between_bounds(tmp_path: Path) -> None:
    answers = (*seen("a", 10), *seen("b", 20), *seen("c", 90), made("long finished"), pending("d"))
    found = figures(warehouse(tmp_path, *answers)).turnaround
    assert found.bases == {"observed": 3, "backfilled": 1, "unfinished": 1}
    assert found.all is not None
    assert found.all.count == 3
    lower, upper = found.all.typical
    # The middle one: unfinished after an hour, finished 20 seconds later.
    assert lower <= 3600
    assert 3620 <= upper < 3690
    assert [spread.name for spread in found.hours] == [11]
    assert all(bounds.lower <= bounds.upper for bounds in found.shares.values())


def reported(task_id: str, waited: int, worked: int, state: str = "completed") -> Answer:
    """A generation whose gateway tells its times, in seconds since 1970."""
    begun = int(NOON.timestamp()) - 3600 + waited
    return made(
        task_id,
        state,
        created_at="2026-01-02T11:00:00Z",
        submit_time=begun - waited,
        start_time=begun,
        finish_time=begun + worked if state == "completed" else 0,
    )


def test_reported_times_are_measured_and_told_in_stages(tmp_path: Path) -> None:
    answers = [reported(f"r{n}", n, 10 * n) for n in range(11)]
    running = reported("running", 100, 0, "processing")
    found = figures(warehouse(tmp_path, *answers, running, made("long finished"))).turnaround
    assert found.bases == {"reported": 11, "unfinished": 1, "backfilled": 1}
    # Waited 0 to 10 and 100 s: the middle two are 5 and 6, the 90% lies at 9.9 of 11 steps.
    assert found.queue == Stage(12, 5.5, 9.9)
    assert found.work == Stage(11, 50, 90)
    assert found.all is not None
    # The middle one took 55 s, by a clock that counts seconds at either end.
    assert (found.all.count, found.all.typical) == (11, (54, 56))


def test_no_stages_are_told_where_none_is_reported(tmp_path: Path) -> None:
    found = figures(warehouse(tmp_path, *seen("a", 10)))
    assert (found.turnaround.queue, found.turnaround.work) == (None, None)
    told = contents(found)
    assert (told["charts"]["stages"], told["remarks"]["stages"]) == ([], "")


def test_failures_are_told_by_category_with_their_top_reasons(tmp_path: Path) -> None:
    reasons = {"moderation": 3, "flagged as nsfw": 2, "unsafe": 1, "violence": 1}
    answers = [
        made(f"{reason}-{n}", "failed", failure_reason=reason)
        for reason, uses in reasons.items()
        for n in range(uses)
    ]
    late = made("late", "failed", failure_code="timeout")
    fine = made("fine", failure_reason="moderation")
    found = figures(warehouse(tmp_path, *answers, late, fine))
    assert found.counts.reasons == {**reasons, None: 1}
    top, other = contents(found)["failures"]
    assert (top["text"], top["count"], top["part"]) == ("Moderation", "7 · 87.5%", 1)
    assert top["note"] == "moderation (3) · flagged as nsfw (2) · unsafe (1) · 1 other reason"
    assert (other["text"], other["count"]) == ("Gateway error", "1 · 12.5%")
    assert other["note"] == "no reason given (1)"


def test_lengths_of_videos_are_told_as_they_are_and_as_they_were_asked_for(tmp_path: Path) -> None:
    def long(task_id: str, delivered: Any, requested: Any) -> Answer:
        asked = {"duration": requested}
        return made(task_id, video={"duration": delivered}, request=asked)

    found = figures(
        warehouse(
            tmp_path,
            long("a", 5.041667, "5s"),
            long("b", 5.5, "5s"),  # half a second is near, and rounds to the even number
            long("c", 5.51, "5s"),
            long("d", 9, None),
            long("e", None, "9s"),
            long("f", 0, "9s"),
            long("g", -3, None),
            long("h", 1e300, None),
            long("i", 0.4, None),
        )
    )
    lengths = found.counts.durations
    assert lengths.delivered == {6: 2, 0: 1, 1_000_000_000: 1, 5: 1, 9: 1}
    assert lengths.requested == {5: 3, 9: 2}
    assert (lengths.both, lengths.near) == (3, 2)
    told = contents(found)
    assert [view["label"] for view in told["charts"]["durations"]] == ["Delivered", "Requested"]
    assert told["remarks"]["durations"].startswith("66.7% of 3 videos")


def test_marts_that_are_missing_or_stale_are_worked_out_anew(tmp_path: Path) -> None:
    answers = [made("a", prompt="fox", video={"width": 752, "height": 1360}), *seen("b", 10)]
    without = figures(warehouse(tmp_path / "w", *answers, build_marts=False))
    with Warehouse.writing(tmp_path / "w") as found:
        marts.rebuild(found.storage, found.generations.files().values())
    built = figures(tmp_path / "w")
    for name in ("sizes", "formats", "turnaround", "prompts"):
        assert getattr(built, name) == getattr(without, name)
    with Warehouse.writing(tmp_path / "w") as found:
        found.save("later", [made("c", prompt="fox", minutes=9)], "run")
        found.commit()
    assert [row["uses"] for row in figures(tmp_path / "w").prompts.most_used] == [2]


def test_the_most_used_and_most_failing_prompts_are_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(top, "MOST_USED", 2)
    monkeypatch.setattr(top, "MOST_FAILING", 1)
    texts = ["often"] * 3 + ["twice"] * 2 + ["once", "bad", "x" * 5_000_000]
    states = ["completed"] * 6 + ["failed", "completed"]
    pairs = enumerate(zip(texts, states, strict=True))
    answers = [made(f"t{n}", state, prompt=text) for n, (text, state) in pairs]
    found = figures(warehouse(tmp_path, *answers)).prompts
    assert found.distinct == 5
    assert [row["prompt"] for row in found.most_used] == ["often", "twice"]
    assert [row["prompt"] for row in found.most_failing] == ["bad"]


def test_rejects_and_runs_are_told(tmp_path: Path) -> None:
    # Only a gateway that gives generations is believed that it has no other.
    lost = answer("gone", {}, outcome=Outcome.NOT_FOUND, status=404)
    late = answer("slow", {}, outcome=Outcome.TIMEOUT, status=None)
    found = figures(warehouse(tmp_path, made("a"), lost, late, message="the gateway is down"))
    assert found.rejects == {("not_found", True): 1, ("timeout", False): 1}
    assert [run["message"] for run in found.runs] == ["the gateway is down"]


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
    assert between(0, 120) == "0–2 min"
    assert between(50, 120) == "50 s–2 min"
    assert between(60, 60) == "1 min"


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


def test_the_uncertainty_of_a_share_shrinks_with_numbers() -> None:
    assert interval(0, 0) == (0, 1)
    low, high = interval(1, 10)  # worked out with Wilson's formula: 0.0179 and 0.4042
    assert (round(low, 3), round(high, 3)) == (0.018, 0.404)


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
    assert page.count("[data-chart]") == page.count(".chart svg") == 12
    assert page.count(".empty") == 0
    assert page.text(".figure .value") == "303"
    assert "Unknown to the gateway" in page.text("[data-chart=rejects]")
    assert page.complaints() == []
    # Nor has it asked for anything but itself.
    assert page.requests() == [rich.as_uri()]
    assert page.run("return performance.getEntriesByType('resource').length") == 0


def test_bounds_that_are_one_point_can_be_seen(browser: Page, tmp_path: Path) -> None:
    exact = made("a", created_at="2026-01-02T08:00:00.5Z", finished_at="2026-01-02T08:01:00.5Z")
    far = made("b", created_at="2026-01-02T09:00:00.5Z", finished_at="2026-01-02T11:00:00.5Z")
    browser.emulate(width=1280, scheme="light")
    browser.open(write_report(warehouse(tmp_path / "w", exact, far), tmp_path / "r.html").path)
    browser.draw()
    strokes = browser.run(
        "return [...document.querySelectorAll("
        "':is([data-chart=hours], [data-chart=turnaround_models]) .mark-rect path')]"
        ".map(bar => [bar.getAttribute('stroke'), Number(bar.getAttribute('stroke-width'))])"
    )
    colour = browser.run("return Theme.colour('range')")
    assert strokes == [[colour, 3]] * 3
    assert browser.complaints() == []


def test_stages_and_kinds_of_failure_are_shown_where_there_are_any(
    page: Page, browser: Page, tmp_path: Path
) -> None:
    page.draw()
    assert "9 in 10 within" in page.text("[data-chart=stages]")
    assert "Waiting: 150 generations." in page.text("[data-chart=stages]")
    assert "reason 0 (20)" in page.text("[data-list=failures]")
    page.click("[data-chart=durations] .tabs button:nth-child(2)")
    page.wait(
        "return document.querySelector('[data-chart=durations] .chart').textContent"
        ".includes('10 s')"
    )
    browser.open(write_report(warehouse(tmp_path / "w", made("a")), tmp_path / "r.html").path)
    assert browser.count("[data-chart=stages], [data-chart=durations]") == 0
    assert "No generation has failed" in browser.text("[data-list=failures]")
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
    for place in ("[data-list=most_used]", "[data-chart=models]", "[data-chart=reasons]", "#runs"):
        assert "</script><script>window.ran = 1" in browser.text(place)
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
    assert page.text("#tooltip").split("\n") == ["reason 0", "count", "20", "share", "19.8%"]


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


def test_the_months_of_all_years_are_one_click_away(page: Page) -> None:
    assert "2023" not in page.text("[data-chart=activity] .chart")
    page.click("[data-chart=activity] .tabs button:nth-child(2)")
    page.wait(
        "return document.querySelector('[data-chart=activity] .chart').textContent.includes('2023')"
    )
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
    assert browser.count(".chart") == 0
    assert browser.count(".empty") == 16
    assert "No generation with a creation time yet" in browser.text("[data-chart=activity]")
    assert "none finished" in browser.text("#cards")
    assert browser.complaints() == []


def test_one_generation_has_a_page(browser: Page, tmp_path: Path) -> None:
    root = warehouse(tmp_path / "w", answer("asked", example("completed")))
    browser.open(write_report(root, tmp_path / "report.html").path)
    browser.draw()
    assert browser.text("[data-about=span]") == "15 Oct 2024"
    assert "752 × 1360" in browser.text("[data-chart=sizes]")
    assert "No task ID was rejected" in browser.text("[data-chart=rejects]")
    assert "No generation has failed" in browser.text("[data-chart=reasons]")
    assert "The one measured generation took 0–35 s." in browser.text("[data-chart=spread]")
    assert browser.complaints() == []


def test_what_the_page_tells_is_plain_data() -> None:
    json.dumps(contents(Figures("warehouse", NOON)))
