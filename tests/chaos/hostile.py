"""All bad answers of the sandbox at once, among good ones, through the command line.

Each must end as a row, or as a reject with the reason declared here, in bounded memory and without
delaying the others.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import pyarrow.parquet as pq
from chaos.checks import read_all

from connector.sandbox import Sandbox, SandboxSettings, task_ids
from connector.sandbox.faults import KINDS

if TYPE_CHECKING:
    from pathlib import Path

KEY: Final = "luma-chaos-key"
MOST_MIB: Final = 300
ROW: Final = "row"
STOP: Final = "stop"

ENDS: Final = {
    ROW: (
        "redirect-same-host utf8-bom nan lone-surrogate duplicate-keys gzip-ok deflate-ok"
        " unknown-encoding json-as-html no-content-type envelope slow chunked-ok"
        " content-length-nonsense until-close http-1.0 closes-after continue-first good"
        " unknown-state uppercase-state empty-state number-state missing-state never-finishes"
        " failed-bare completed-bare missing-everything-but-id missing-id id-mismatch number-id"
        " wrong-shapes many-extra-keys prompt-in-request url-broken url-unparsable liked-true"
        " queue-state-object huge-number negative-numbers zero-size float-size text-size bool-size"
        " zero-time epoch-seconds epoch-milliseconds epoch-text nanoseconds offset-time"
        " no-offset-time leap-second no-time impossible-date far-future beyond-time missing-time"
        " empty-prompt blank-prompt null-prompt missing-prompt nul-character control-characters"
        " script-prompt markup-prompt formula-prompt quotes-prompt lines-prompt"
        " right-to-left-prompt combined-prompt array-200 envelope-twice"
        " envelope-text"
    ),
    "not_found": "not-found not-found-400 not-found-html gone success-false-200",
    "not_ready": "no-content",
    "bad_request": "bad-request bad-request-400",
    "forbidden": "forbidden",
    "not_json": (
        "html-200 empty-200 blank-200 truncated-json trailing-text not-utf8 latin1-body"
        " utf16-body many-digits deep-nesting gzip-undeclared wrong-content-length-short"
    ),
    "not_a_generation": (
        "not-modified odd-status redirect-nowhere null-200 object-200 string-200 number-200"
    ),
    "too_large": (
        "gzip-bomb gzip-bomb-twice too-large huge-prompt endless-chunked endless-plain"
        " too-large-chunked"
    ),
    "redirected": "redirect-other-host redirect-loop redirect-nonsense",
    "rate_limited": (
        "rate-limited rate-limited-date rate-limited-bare rate-limited-nonsense"
        " rate-limited-negative"
    ),
    "server_error": (
        "code-null-200 server-error server-error-empty bad-gateway unavailable unavailable-later"
        " gateway-timeout"
    ),
    "timeout": "request-timeout hang hang-in-body drip drip-head wrong-content-length-long",
    "network": (
        "gzip-broken gzip-truncated gzip-declared chunked-broken chunked-cut cut cut-in-head closed"
        " reset reset-in-body no-status-line header-flood header-line"
    ),
    STOP: "unauthorized rate-limited-forever",
}
# The expected end of each kind: a row, a reject with this reason, or a stopped run.
EXPECTED: Final = {kind: end for end, kinds in ENDS.items() for kind in kinds.split()}

IMPATIENT: Final = {
    "LUMA_READ_TIMEOUT": "4",
    "LUMA_TOTAL_TIMEOUT": "5",
    "LUMA_MAX_ATTEMPTS": "2",
}
PATIENT: Final = {
    "LUMA_READ_TIMEOUT": "600",
    "LUMA_TOTAL_TIMEOUT": "600",
    "LUMA_MAX_ATTEMPTS": "1",
}
# Not `wait4`: its peak memory includes the parent's at the time of the fork.
_MEASURED: Final = """\
import atexit, pathlib
atexit.register(lambda: pathlib.Path("status").write_bytes(
    pathlib.Path("/proc/self/status").read_bytes()))
from connector.cli.app import main
main()
"""

THREADS: Final = 16
HANGING: Final = 8
GOOD_MEANWHILE: Final = 200
# Seconds after which the other answers count as delayed.
LONGEST_HANG: Final = 120.0


@dataclass(slots=True)
class Attack:
    """Result of an attack.

    Attributes:
        peak_mib: Peak memory of the process.
        wrong: A sentence for each task ID with an unexpected end.
    """

    seconds: float
    peak_mib: float
    wrong: list[str] = field(default_factory=list)


def undeclared() -> list[str]:
    """Kinds without a declared end, and declared ends without a kind."""
    return sorted(set(KINDS) ^ set(EXPECTED))


def attack(folder: Path, good: int) -> Attack:
    """Request every kind that does not stop the run, spread among good task IDs."""
    bad = [f"bad-{kind}-1" for kind, end in EXPECTED.items() if end != STOP]
    others = task_ids(good)
    step = len(others) // len(bad)
    given = []
    for number, task_id in enumerate(bad):
        given += [task_id, *others[number * step : (number + 1) * step]]
    given += others[len(bad) * step :]
    done, peak_mib = _ingest(folder, given)
    found = Attack(done["elapsed_seconds"], peak_mib)
    expected = {task_id: EXPECTED[KINDS_OF[task_id]] for task_id in bad}
    expected |= dict.fromkeys(others, ROW)
    found.wrong = _differences(ends_in(folder / "warehouse"), expected)
    if done["fetched"] + done["rejected"] != len(given):
        found.wrong.append(f"the account does not add up: {done}")
    return found


KINDS_OF: Final = {f"bad-{kind}-1": kind for kind in EXPECTED}


def ends_in(warehouse: Path) -> dict[str, list[str]]:
    """The ends of each task ID: as a row, as a reject with its reason."""
    ends: dict[str, list[str]] = {}
    tables = read_all(warehouse)
    if "generations" in tables:
        for task_id in tables["generations"]["task_id"].to_pylist():
            ends.setdefault(task_id, []).append(ROW)
    if "rejects" in tables:
        for reject in tables["rejects"].to_pylist():
            ends.setdefault(reject["task_id"], []).append(reject["reason"])
    return ends


def _differences(found: dict[str, list[str]], expected: dict[str, str]) -> list[str]:
    return [
        f"{task_id} ended as {found.get(task_id)}, not as {expected.get(task_id)}"
        for task_id in {**found, **expected}
        if found.get(task_id) != [expected.get(task_id)]
    ]


def hang(folder: Path, good: int) -> tuple[int, dict[str, Any]]:
    """Let half of the threads hang on IDs without an answer; the others must continue.

    The gateway stays until all other IDs have an answer, or for a long time, so nothing depends on
    the speed of the machine.

    Returns:
        Good answers while the others hung, and the run's summary.
    """
    hanging = [f"bad-hang-{number}" for number in range(HANGING)]
    with Sandbox(SandboxSettings(key=KEY)) as sandbox:
        running = _start(folder, [*hanging, *task_ids(good)], sandbox.base_url, PATIENT)
        end = time.monotonic() + LONGEST_HANG
        while (meanwhile := _answered(sandbox)) < good and time.monotonic() < end:
            time.sleep(0.1)
    done, _, exit_code = _end(running, folder)
    if exit_code:
        raise RuntimeError(f"the run ended with {exit_code}: {done['message']}")
    return meanwhile, done


def _answered(sandbox: Sandbox) -> int:
    """A lower bound of the good answers sent."""
    stats = sandbox.stats()
    return int(stats["by_status"].get("200", 0)) - max(0, int(stats["in_flight"]) - HANGING)


def stop_run(folder: Path, kind: str) -> tuple[int, str, int]:
    """Request a kind that stops the run, after good ones.

    Returns:
        Exit code, message, and number of rows kept.
    """
    good = task_ids(40)
    done, _, exit_code = _run(folder, [*good, f"bad-{kind}-1", *task_ids(400, seed=2)])
    rows = pq.read_table(folder / "warehouse/generations", columns=["task_id"])
    return exit_code, done["message"], len(rows)


def _ingest(folder: Path, given: list[str]) -> tuple[dict[str, Any], float]:
    done, peak_mib, exit_code = _run(folder, given)
    if exit_code:
        raise RuntimeError(f"the run ended with {exit_code}: {done['message']}")
    return done, peak_mib


def _run(folder: Path, given: list[str]) -> tuple[dict[str, Any], float, int]:
    """Run the command line in its own process; return its summary, peak MiB and exit code."""
    with Sandbox(SandboxSettings(key=KEY, slow_seconds=0.2, drip_seconds=0.1)) as sandbox:
        return _end(_start(folder, given, sandbox.base_url, IMPATIENT), folder)


def _start(
    folder: Path, given: list[str], base_url: str, patience: dict[str, str]
) -> subprocess.Popen[str]:
    folder.mkdir(parents=True)
    (folder / "ids.txt").write_text("\n".join(given))
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("LUMA")},
        **patience,
        "LUMAAI_API_KEY": KEY,
        "LUMA_BASE_URL": base_url,
        "LUMA_MAX_CONCURRENCY": str(THREADS),
    }
    return subprocess.Popen(
        [sys.executable, "-c", _MEASURED, "ingest", "ids.txt", "--json"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _end(running: subprocess.Popen[str], folder: Path) -> tuple[dict[str, Any], float, int]:
    stdout, stderr = running.communicate()
    if not stdout:
        raise RuntimeError(stderr)
    peak_kib = re.search(r"VmHWM:\s+(\d+) kB", (folder / "status").read_text())
    assert peak_kib
    return json.loads(stdout), int(peak_kib[1]) / 1024, running.returncode
