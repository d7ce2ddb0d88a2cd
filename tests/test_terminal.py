"""What a person and a machine see: a bar of any width, a log in JSON, and output that never stops.

Everything runs as users run it; a terminal is a real pseudo-terminal of the given width.
"""

from __future__ import annotations

import fcntl
import io
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from datetime import datetime
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from conftest import read_terminal
from rich.console import Console

from connector.cli.bar import Bar
from connector.sandbox import task_ids

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import CommandLine

    from connector.sandbox import Sandbox

IDS = task_ids(60, seed=5)
CSI = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")
ALL_FULL = ">/dev/full 2>/dev/full"


@pytest.fixture
def ids(tmp_path: Path) -> list[str]:
    """A list of task IDs in a file; one answer has control characters."""
    ids = [*IDS, "bad-control-characters-1"]
    (tmp_path / "ids.txt").write_text("\n".join(ids))
    (tmp_path / "refused.txt").write_text("bad-unauthorized-1")
    (tmp_path / "missing.txt").write_text("bad-not-found-1")
    return ids


def shell(
    command: str, environment: dict[str, str], folder: Path, **more: str
) -> subprocess.CompletedProcess[str]:
    script = f'set -o pipefail; luma() {{ "{sys.executable}" -m connector "$@"; }}; {command}'
    return subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env={**environment, **more},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("width", [20, 21, 30, 40, 55, 72, 80, 100, 140, 300])
def test_the_bar_is_one_line_at_any_width(width: int) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=width)
    bar = Bar(console=console)
    states = "12,345 completed, 1,234 failed, 123 queued, 12 rejected"
    bar.add_task("fetching", total=123_456, completed=100_000, rate="1,234", states=states)
    for description, said in (("fetching", states), ("waiting", ""), ("fetching", "x" * 400)):
        bar.update(bar.tasks[0].id, description=description, states=said)
        (line, *others) = console.render_lines(bar.get_renderable(), pad=False)
        assert not others
        text = "".join(segment.text for segment in line)
        assert len(text.rstrip()) <= width
        assert "100,000/123,456" in text
        assert (description in text) == (width >= 30)
        assert (states in text) == (said == states and width >= 100)


@pytest.mark.parametrize("width", [20, 120])
def test_a_terminal_of_any_width_gets_lines_that_fit(
    environment: dict[str, str], sandbox: Sandbox, tmp_path: Path, ids: list[str], width: int
) -> None:
    sandbox.change(latency=0.3)
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    without = {name: value for name, value in environment.items() if name != "COLUMNS"}
    with subprocess.Popen(
        [sys.executable, "-m", "connector", "ingest", "ids.txt", "--max-concurrency", "4"],
        cwd=tmp_path,
        env={**without, "TERM": "xterm"},
        stdout=subprocess.DEVNULL,
        stderr=terminal,
    ) as run:
        os.close(terminal)
        seen = read_terminal(controller)
    assert run.returncode == 0
    lines = re.split(r"[\r\n]+", CSI.sub(b"", seen).decode())
    assert max(map(len, lines)) <= width
    assert any(f"/{len(ids)}" in line for line in lines)
    # A line that does not fit would be drawn below itself, again and again.
    assert seen.count(b"\n") <= 2


def test_what_is_piped_is_not_wrapped(
    cli: CommandLine, environment: dict[str, str], tmp_path: Path
) -> None:
    narrow = {"COLUMNS": "20"}
    done = cli(
        "ingest", *IDS[:3], "--warehouse", "a-folder-with-a-rather-long-name-of-its-own", **narrow
    )
    assert 'read_parquet("a-folder-with-a-rather-long-name-of-its-own/generations")' in done.stdout
    wrong = cli("ingest", "x", LUMA_BASE_URL="http://gateway.example", **narrow)
    assert len(wrong.stderr.splitlines()) == 1
    assert environment["COLUMNS"] == "100"
    assert tmp_path.is_dir()


@pytest.mark.parametrize(
    "redirection",
    [
        *(ALL_FULL, ">&-", "2>&-", "<&- >&- 2>&-", "| head -1"),
        *("2>&1 | true", "--log-format json 2>/dev/full"),
    ],
)
def test_output_never_stops_a_run(
    environment: dict[str, str], tmp_path: Path, ids: list[str], redirection: str
) -> None:
    loud = {"LUMA_LOG_LEVEL": "DEBUG"}
    done = shell(f"luma ingest ids.txt {redirection}", environment, tmp_path, **loud)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    # Nor does output get into a file: a closed number is not that of the next one opened.
    found = pd.read_parquet(tmp_path / "warehouse/generations")
    assert sorted(found.task_id) == sorted(ids)
    for path in (tmp_path / "warehouse").rglob("*.parquet"):
        pd.read_parquet(path)


@pytest.mark.parametrize("redirection", ["2>&-", ALL_FULL, "2>&1 | true"])
def test_the_exit_code_is_that_of_the_run(
    environment: dict[str, str], tmp_path: Path, ids: list[str], redirection: str
) -> None:
    assert ids
    refused = shell(f"luma ingest refused.txt {redirection}", environment, tmp_path)
    wrong = shell(f"luma ingest x --limit many {redirection}", environment, tmp_path)
    shown = shell(f"luma show --warehouse none {redirection}", environment, tmp_path)
    helped = shell(f"luma ingest --help {redirection}", environment, tmp_path)
    codes = [done.returncode for done in (refused, wrong, shown, helped)]
    assert codes == [3, 2, 2, 0]


@pytest.mark.parametrize(
    "more",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
)
def test_text_that_the_terminal_lacks_is_written_in_other_letters(
    cli: CommandLine, tmp_path: Path, more: dict[str, str]
) -> None:
    (tmp_path / "ids-é.txt").write_text("\n".join(IDS))
    # One prompt in a few has letters beyond ASCII.
    done = cli("ingest", "ids-é.txt", "--warehouse", "wärehouse", **more)
    assert done.returncode == 0, done.stderr
    shown = cli("show", "--warehouse", "wärehouse", **more)
    assert shown.returncode == 0, shown.stderr
    assert "completed" in shown.stdout
    assert "##" in shown.stdout
    missing = cli("ingest", "nowhere-日本.txt", **more)
    assert missing.returncode == 2
    assert "There is no file nowhere-" in missing.stderr


def test_the_log_is_one_json_object_per_line(
    cli: CommandLine, sandbox: Sandbox, tmp_path: Path, ids: list[str]
) -> None:
    sandbox.change(latency=0.1)
    runs = [
        cli("ingest", "ids.txt", "--log-format", "json", "--json"),
        cli("ingest", "ids.txt", "--log-format=json", LUMA_WAREHOUS="typo"),
        cli("rebuild", LUMA_LOG_FORMAT="json"),
        cli("ingest", "refused.txt", "--log-format", "json"),
        cli("ingest", "--limit", "many", "--log-format", "json"),
        cli("show", "--warehouse", "none", "--log-format", "json"),
        cli("ingest", "missing.txt", "--rejects-allowed", "0", "--log-format", "json"),
    ]
    assert [run.returncode for run in runs] == [0, 0, 0, 3, 2, 2, 4]
    logs = [[json.loads(line) for line in run.stderr.splitlines()] for run in runs]
    for log in logs:
        assert log
        for line in log:
            assert set(line) == {"time", "level", "message", "fields"}
            assert datetime.fromisoformat(line["time"]).utcoffset() is not None
            assert line["level"] in {"debug", "info", "warning", "error", "critical"}
    first, misspelt, rebuilt, refused, usage, missing, rejected = logs
    assert first[0]["message"] == "fetching"
    assert first[0]["fields"]["task_ids"] == len(ids)
    # The account is the same on both streams.
    account = json.loads(runs[0].stdout)
    assert first[-1]["fields"] | account | {"exit_code": 0} == first[-1]["fields"]
    assert rebuilt[-1]["fields"]["generations"] == len(ids)
    assert misspelt[0]["level"] == "warning"
    assert refused[-1]["level"] == "error"
    assert refused[-1]["fields"]["exit_code"] == 3
    assert [line[-1]["fields"]["exit_code"] for line in (usage, missing)] == [2, 2]
    assert "many" in usage[-1]["message"]
    assert "rejected, more than" in str(rejected)
    assert (tmp_path / "warehouse").is_dir()


def test_a_signal_is_logged_as_json_too(
    environment: dict[str, str], sandbox: Sandbox, tmp_path: Path
) -> None:
    sandbox.change(latency=1.0)
    with subprocess.Popen(
        [sys.executable, "-m", "connector", "ingest", *IDS, "--log-format", "json"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as run:
        assert run.stderr
        first = run.stderr.readline()
        run.send_signal(signal.SIGINT)
        log = [json.loads(line) for line in [first, *run.stderr]]
    assert run.returncode == 130
    assert any("stopping: saving results" in line["message"] for line in log)
    assert log[-1]["fields"]["exit_code"] == 130


def test_quiet_says_only_what_is_wrong(cli: CommandLine, ids: list[str]) -> None:
    quiet = [
        cli("ingest", "ids.txt", "--quiet"),
        cli("--quiet", "--log-format", "json", "ingest", "ids.txt"),
        *(cli(name, "--quiet") for name in ("rebuild", "compact", "report", "check", "show")),
    ]
    assert [(run.returncode, run.stdout, run.stderr) for run in quiet] == [(0, "", "")] * 7
    told = json.loads(cli("ingest", "ids.txt", "--quiet", "--json").stdout)
    assert told["given"] == len(ids)
    refused = cli("ingest", "refused.txt", "--quiet")
    assert (refused.returncode, refused.stdout) == (3, "")
    assert "Set LUMAAI_API_KEY to a valid one" in refused.stderr
    unreachable = cli("check", "--quiet", "--base-url", "http://127.0.0.1:9")
    assert (unreachable.returncode, unreachable.stdout) == (4, "")
    assert unreachable.stderr.startswith("gateway   failed")


def test_show_counts_while_files_come_and_go(cli: CommandLine, tmp_path: Path) -> None:
    cli("ingest", *IDS)
    stop = threading.Event()

    def churn() -> None:
        folder = tmp_path / "warehouse/.tmp"
        while not stop.is_set():
            for number in range(50):
                (folder / f"d{number}").mkdir(parents=True, exist_ok=True)
                (folder / f"d{number}/f").write_text("x")
            for number in range(50):
                (folder / f"d{number}/f").unlink()
                (folder / f"d{number}").rmdir()

    moving = threading.Thread(target=churn)
    moving.start()
    try:
        from connector.storage.local import LocalStorage  # noqa: PLC0415  beside its use

        storage, end = LocalStorage(tmp_path / "warehouse"), time.monotonic() + 2
        sizes = [storage.size() for _ in iter(lambda: time.monotonic() < end, False)]
        assert json.loads(cli("show", "--json").stdout)["generations"] == len(IDS)
    finally:
        stop.set()
        moving.join()
    assert min(sizes) > 1_000


def test_completion_for_each_shell(
    cli: CommandLine, environment: dict[str, str], tmp_path: Path
) -> None:
    for name in ("bash", "zsh", "fish"):
        done = cli("--install-completion", "--shell", name, "--output", tmp_path / name)
        assert done.returncode == 0, done.stderr
        script = (tmp_path / name).read_text()
        assert "retry-rejected" in script
    line = "luma-to-parquet ingest --max-c"
    lines = (
        f"source {tmp_path}/bash",
        f"COMP_WORDS=({line}) COMP_CWORD=2 COMP_LINE='{line}' COMP_POINT={len(line)}",
        "complete=$(complete -p luma-to-parquet | sed -E 's/.* -F ([^ ]+).*/\\1/')",
        "$complete luma-to-parquet --max-c ingest",
        'echo "${COMPREPLY[@]}"',
    )
    done = shell("\n".join(lines), environment, tmp_path)
    assert done.stdout.split() == ["--max-concurrency"], done.stderr
