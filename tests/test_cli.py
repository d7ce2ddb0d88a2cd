"""The command line, as a person meets it: over a real gateway, in an empty folder."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from builders import answer, ingest
from conftest import DOCUMENTED_ID, KEY, read_terminal

from connector.sandbox import task_ids

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import CommandLine

    from connector.sandbox import Sandbox


def test_the_documented_example_by_the_command_line(cli: CommandLine, tmp_path: Path) -> None:
    done = cli("ingest", "-", stdin=DOCUMENTED_ID)
    assert done.returncode == 0, done.stderr
    (row,) = pd.read_parquet(tmp_path / "warehouse/generations").itertuples()
    assert (row.task_id, row.id) == (DOCUMENTED_ID, "32ec5549-7b7a-4111-a43b-445b3a89c8ef")
    assert (row.video_width, row.video_height) == (752, 1360)
    assert row.created_at == pd.Timestamp("2024-10-15 08:56:19.325+00:00")
    assert row.video_raw_url.endswith("_video05a8efbcf1ba2498bb02aa9dcefab47f8.mp4")
    assert (row.download_url_signed_at - row.created_at).total_seconds() == pytest.approx(33.675)
    assert (row.download_url_expires_at - row.download_url_signed_at).total_seconds() == 3600


def test_a_run_then_the_unfinished_then_nothing(
    cli: CommandLine, sandbox: Sandbox, tmp_path: Path
) -> None:
    ids = task_ids(200)
    (tmp_path / "ids.txt").write_text("# mine\n" + "\n".join(ids) + "\n\n" + ids[0])
    first = json.loads(cli("ingest", "ids.txt", "--json").stdout)
    assert (first["given"], first["blank"], first["duplicate"]) == (202, 1, 1)
    assert first["fetched"] == 200
    assert first["unfinished"] > 0
    unfinished = first["unfinished"]
    while unfinished:
        sandbox.change()
        again = json.loads(cli("ingest", "ids.txt", "--json").stdout)
        assert again["requests"] == unfinished
        unfinished = again["unfinished"]
    before = sandbox.stats()["requests"]
    last = cli("ingest", "ids.txt")
    assert sandbox.stats()["requests"] == before
    assert "Nothing to fetch" in last.stdout
    rows = pd.read_parquet(tmp_path / "warehouse/generations")
    assert sorted(rows.task_id) == sorted(ids)
    assert set(rows.status) == {"completed", "failed"}


def test_the_summary_tells_what_came_and_how_to_read_it(cli: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("\n".join([*task_ids(30), "bad-not-found-1"]))
    done = cli("ingest", "ids.txt")
    assert "30 generations" in done.stdout
    assert "1 not_found" in done.stdout
    code = "\n".join(re.findall(r"^(?:import|generations).*", done.stdout, re.MULTILINE))
    shown = subprocess.run(
        [sys.executable, "-c", code.replace("generations[", "print(generations[") + ")"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "status" in shown.stdout


def test_json_is_all_there_is_on_standard_output(cli: CommandLine) -> None:
    done = cli("ingest", "-", "--json", stdin="\n".join(task_ids(3)))
    assert json.loads(done.stdout)["fetched"] == 3
    assert done.stdout.count("\n") == 1


def test_a_dry_run_asks_nothing_and_makes_nothing(
    cli: CommandLine, sandbox: Sandbox, tmp_path: Path
) -> None:
    done = cli("ingest", "-", "--dry-run", "--json", stdin="a\nb\na\n")
    assert json.loads(done.stdout)["would_ask_for"] == 2
    assert sandbox.stats()["requests"] == 0
    assert not (tmp_path / "warehouse").exists()


def test_limit_and_refresh(cli: CommandLine) -> None:
    ids = "\n".join(task_ids(10, seed=4))
    assert (
        json.loads(cli("ingest", "-", "--limit", 4, "--json", stdin=ids).stdout)["not_reached"] == 6
    )
    assert json.loads(cli("ingest", "-", "--json", stdin=ids).stdout)["given"] == 10
    refreshed = json.loads(cli("ingest", "-", "--refresh", "--json", stdin=ids).stdout)
    assert (refreshed["fetched"], refreshed["already_terminal"]) == (10, 0)


def test_final_rejects_are_asked_again_only_on_request(cli: CommandLine) -> None:
    ids = f"bad-not-found-1\nbad-forbidden-1\n{DOCUMENTED_ID}"
    assert json.loads(cli("ingest", "-", "--json", stdin=ids).stdout)["rejected"] == 2
    again = json.loads(cli("ingest", "-", "--json", stdin=ids).stdout)
    assert (again["already_terminal"], again["requests"]) == (3, 0)
    asked = json.loads(cli("ingest", "-", "--retry-rejected", "--json", stdin=ids).stdout)
    assert asked["rejected"] == 2


@pytest.mark.parametrize(
    ("arguments", "variables", "message"),
    [
        (["ingest", "missing.txt"], {}, "missing.txt"),
        (["ingest", "-"], {}, "no task ID"),
        (["ingest"], {}, "no source of task IDs"),
        (["ingest", "-", "--nope"], {}, "--nope"),
        (["ingest", "-", "--limit", "many"], {}, "--limit"),
        (["ingest", "-"], {"LUMAAI_API_KEY": ""}, "LUMAAI_API_KEY"),
        (["ingest", "-"], {"LUMA_BASE_URL": "ftp://x"}, "base URL"),
        (["ingest", "-"], {"LUMA_BASE_URL": "http://gateway.example"}, "unencrypted"),
        (["ingest", "-"], {"LUMA_MAX_ATTEMPTS": "0"}, "max_attempts"),
        (["ingest", "x", "--keep", "[x"], {}, "--keep must be a JSON list of names"),
        (["show"], {}, "no warehouse"),
        (["show", "nowhere"], {}, "show takes no 'nowhere'"),
        (["ingest", KEY], {}, "There is no file [key]"),
        (["ingest", "".join(f"%{code:02x}" for code in KEY.encode())], {}, "no file [key]"),
        (["show", "7chars!"], {"LUMAAI_API_KEY": "7chars!"}, "show takes no '[key]'"),
        (["ingest", "x"], {"LUMAAI_API_KEY": "key"}, "the key has fewer than 8 characters"),
        (
            ["ingest", KEY],
            {"LUMAAI_API_KEY": "", "MINE": KEY, "LUMA_KEY_VARIABLE": "MINE"},
            "[key]",
        ),
        (["ingest", "-", "--limit", KEY], {}, "'[key]' is not a whole number"),
        (["ingest", "-", "--api-key", KEY], {}, "set LUMAAI_API_KEY in the environment"),
        (
            ["ingest", "-", "--base-url", f"http://me:{KEY}@gateway.example"],
            {},
            "http://gateway.ex",
        ),
        (
            ["check", "--base-url", f"https://me:{KEY}@gateway.example"],
            {},
            "https://***@gateway.ex",
        ),
        (
            ["check", "--base-url", f"https://me:a@{KEY}@gateway.example"],
            {},
            "https://***@gateway.ex",
        ),
    ],
)
def test_wrong_use_is_told_in_a_line_and_exits_with_2(
    cli: CommandLine, arguments: list[str], variables: dict[str, str], message: str
) -> None:
    done = cli(*arguments, **variables)
    assert done.returncode == 2, done.stdout + done.stderr
    assert message in done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    assert KEY not in done.stderr + done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["missing.txt"],
        ["*.missing"],
        ["sqlite:///ids.db"],
        ["-"],
        ["blank.txt"],
        ["ids.csv", "--column", "nope"],
        ["ids.csv", "--keep", "nope"],
        ["ids.json"],
    ],
)
def test_a_source_that_cannot_be_read_leaves_no_warehouse(
    cli: CommandLine, tmp_path: Path, arguments: list[str]
) -> None:
    (tmp_path / "blank.txt").write_text("\n" * 10_000 + "# none\n")
    (tmp_path / "ids.csv").write_text(f"task_id,prompt\n{DOCUMENTED_ID},x\n")
    (tmp_path / "ids.json").write_text("[1, ")
    assert cli("ingest", *arguments, "--warehouse", str(tmp_path / "none")).returncode == 2
    assert not (tmp_path / "none").exists()


def test_without_a_command_the_help_is_shown(cli: CommandLine) -> None:
    done = cli()
    assert done.returncode == 0, done.stderr
    assert "Commands" in done.stdout


def test_duckdb_lists_nothing_on_standard_error(cli: CommandLine) -> None:
    """It reports each object that Python leaves at the end of the process."""
    pytest.importorskip("duckdb", reason="DuckDB is not installed (extra bi)")
    assert cli("ingest", DOCUMENTED_ID).returncode == 0
    done = cli("duckdb")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_refused_key_exits_with_3_and_keeps_what_came(
    cli: CommandLine, sandbox: Sandbox, tmp_path: Path
) -> None:
    good = task_ids(5, seed=9)
    cli("ingest", "-", stdin="\n".join(good))
    done = cli("ingest", "-", stdin="\n".join(task_ids(50, seed=10)), LUMAAI_API_KEY="wrong-key")
    assert done.returncode == 3
    assert "LUMAAI_API_KEY" in done.stdout + done.stderr
    assert "wrong-key" not in done.stdout + done.stderr
    assert sorted(pd.read_parquet(tmp_path / "warehouse/generations").task_id) == sorted(good)
    assert sandbox.stats()["requests"] < 50


def test_a_run_over_nothing_says_what_it_could_be_given(cli: CommandLine) -> None:
    done = cli("ingest")
    assert done.returncode == 2
    assert done.stderr.startswith("error: no source of task IDs: name a file")


@pytest.mark.parametrize(
    ("signal_number", "exit_code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
)
def test_a_signal_ends_the_run_and_the_next_one_goes_on(
    cli: CommandLine,
    sandbox: Sandbox,
    environment: dict[str, str],
    tmp_path: Path,
    signal_number: int,
    exit_code: int,
) -> None:
    ids = task_ids(2000, seed=signal_number)
    (tmp_path / "ids.txt").write_text("\n".join(ids))
    sandbox.change(latency=0.2)
    command = [sys.executable, "-m", "connector", "ingest", "ids.txt", "--json"]
    # Under `nohup` it would be ignored, in the child too.
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
    ) as run:
        signal.signal(signal.SIGHUP, before)
        deadline = time.monotonic() + 60
        while sandbox.stats()["requests"] < 100 and time.monotonic() < deadline:
            time.sleep(0.05)
        run.send_signal(signal_number)
        stdout, _ = run.communicate(timeout=60)
    sandbox.change(latency=0)
    assert run.returncode == exit_code
    summary = json.loads(stdout)
    assert summary["outcome"] == "stopped"
    assert 100 <= summary["fetched"] < 2000
    assert len(pd.read_parquet(tmp_path / "warehouse/generations")) == summary["fetched"]
    rest = json.loads(cli("ingest", "ids.txt", "--json").stdout)
    assert rest["fetched"] == 2000 - summary["fetched"] + summary["unfinished"]
    assert len(pd.read_parquet(tmp_path / "warehouse/generations")) == 2000


def test_a_terminal_shows_a_bar(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("\n".join(task_ids(300, seed=3)))
    controller, terminal = pty.openpty()
    run = subprocess.Popen(
        [sys.executable, "-m", "connector", "ingest", "ids.txt"],
        cwd=tmp_path,
        env=environment | {"TERM": "xterm"},
        stdout=subprocess.DEVNULL,
        stderr=terminal,
    )
    os.close(terminal)
    seen = read_terminal(controller)
    assert run.wait(60) == 0
    assert b"fetching" in seen
    assert b"/300" in seen


def test_hostile_text_cannot_move_the_cursor(cli: CommandLine) -> None:
    done = cli("ingest", "-", stdin="bad-control-characters-1")
    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    assert "\\x1b" in done.stdout


def test_help_is_quick_and_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['luma-to-parquet', 'ingest', '--help']\n"
        "from connector.cli.app import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'pandas', 'pyarrow', 'prefect', 'pydantic', 'requests'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--retry-rejected" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [["ingst"], ["ingest", "--nope"], ["ingest"], ["ingest", "x", "--limit", "y"], ["ingest", "x"]],
)
def test_an_error_of_usage_is_quick_and_imports_nothing_heavy(
    arguments: list[str], environment: dict[str, str], tmp_path: Path
) -> None:
    code = (
        f"import sys; sys.argv = ['luma-to-parquet', *{arguments}]\n"
        "from connector.cli.app import main\n"
        "try: main()\n"
        "except SystemExit as end: assert end.code == 2, end.code\n"
        "heavy = {'pandas', 'pyarrow', 'prefect'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)\n"
    )
    without_key = {**environment, "LUMAAI_API_KEY": ""}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=without_key,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_ingest_imports_neither_pandas_nor_prefect(
    environment: dict[str, str], tmp_path: Path
) -> None:
    code = (
        "import sys; sys.argv = ['luma-to-parquet', 'ingest', '-', '--json']\n"
        "from connector.cli.app import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "print({'pandas', 'prefect'} & set(sys.modules) or 'neither', file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input="\n".join(task_ids(3)),
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr.strip() == "neither"


def test_a_run_with_nothing_new_imports_no_more_than_it_needs_and_changes_no_file(
    cli: CommandLine, environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "ids.txt").write_text(DOCUMENTED_ID)
    assert cli("ingest", "ids.txt").returncode == 0
    before = times(tmp_path / "warehouse")
    # The client and its HTTP, the marts, the judge of answers, a bar: there is nothing to do.
    idle = (
        "pandas prefect requests urllib3 httptools sqlalchemy dotenv tomllib rensa"
        " connector.gateway.client connector.gateway.listing connector.record.judge"
        " connector.marts.prompts connector.marts.curves connector.warehouse.crew rich.progress"
    )
    code = (
        "import sys; sys.argv = ['luma-to-parquet', 'ingest', 'ids.txt']\n"
        "from connector.cli.app import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        f"print(*{{*{idle.split()}}} & sys.modules.keys(), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr.strip() == ""
    assert "Nothing to fetch: 1 task ID settled before" in done.stdout
    assert times(tmp_path / "warehouse") == before


def times(folder: Path) -> dict[Path, tuple[int, int]]:
    """Number and time of change of all files, except for the lock's own."""
    return {
        path: (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".lock")
    }


def test_show_tells_what_is_there(cli: CommandLine, tmp_path: Path) -> None:
    cli("ingest", "-", stdin="\n".join([*task_ids(20), "bad-not-found-1"]))
    shown = cli("show")
    assert "20 generations and 1 reject in" in shown.stdout
    assert "completed" in shown.stdout
    assert "not_found" in shown.stdout
    assert "Turnaround: half within at most " in shown.stdout
    assert "what stands out" not in shown.stdout
    told = json.loads(cli("show", "--json").stdout)
    assert told["generations"] == 20
    assert told["turnaround"]["count"] > 0
    assert told["facts"][0].startswith("Failed: ")
    assert told["stands_out"] == []
    timings = pd.read_parquet(tmp_path / "warehouse/timings")
    measured = timings[timings.basis.isin(["reported", "observed", "signed"])]
    assert told["turnaround"]["typical"] == {
        "lower": measured.seconds_lower.median(),
        "upper": measured.seconds_upper.median(),
    }


def test_show_tells_what_the_gateway_reports(cli: CommandLine, tmp_path: Path) -> None:
    submitted = 1_760_000_000
    answers = [
        answer(
            f"t{number}",
            {
                "state": "completed" if number < 3 else "failed",
                "submit_time": submitted,
                "start_time": submitted + waited,
                "finish_time": submitted + waited + 100 * (number + 1),
                "fail_reason": reason,
            },
        )
        for number, (waited, reason) in enumerate(
            [(1, None), (3, None), (5, None), (7, "content moderation"), (9, "credit exhausted")]
        )
    ]
    ingest(tmp_path / "warehouse", *answers)
    shown = cli("show").stdout
    assert re.search(r"waiting +5 s \(median\), nine in ten within 8\.2 s +5 generations", shown)
    assert re.search(r"working +5 min \(median\), nine in ten within 7\.7 min", shown)
    assert re.search(r"moderation +1 ", shown)
    told = json.loads(cli("show", "--json").stdout)
    assert told["queue"] == {"count": 5, "typical": 5.0, "slow": 8.2}
    assert told["work"] == {"count": 5, "typical": 300.0, "slow": 460.0}
    assert told["failures"] == {"moderation": 1, "quota": 1}


def test_show_is_silent_on_stages_that_nobody_reports(cli: CommandLine, tmp_path: Path) -> None:
    ingest(tmp_path / "warehouse", answer())
    assert "waiting" not in cli("show").stdout
    told = json.loads(cli("show", "--json").stdout)
    assert (told["queue"], told["work"], told["failures"]) == (None, None, {})
