"""`python -m connector.sandbox`: the sandbox's command line."""

# ruff: noqa: T201 -- a command line prints
from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import shlex
import signal
import sys
import threading
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from connector.sandbox.addresses import ROOT
from connector.sandbox.faults import KINDS
from connector.sandbox.server import serve
from connector.sandbox.settings import GROUPS, SandboxSettings, encode_fixtures, knobs
from connector.sandbox.tasks import task_ids

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from dataclasses import Field

_WELCOME = """\
A Dream Machine gateway to test against: {url}

    curl -H {header} {url}{root}/{task_id}

In another terminal:

    export LUMA_BASE_URL={url} LUMAAI_API_KEY={key}
    luma-to-parquet sandbox --write-task-ids 1000 > ids.txt
    luma-to-parquet ingest ids.txt

Every task ID has a generation.
Requests so far:                          {host}/_sandbox/stats
IDs that get errors (bad-not-found-1, …): {host}/_sandbox/kinds
Stop:                                     Ctrl-C
"""
# Long enough for the connector, which refuses a key that is a mere placeholder.
_ANY_KEY = "any-key-of-yours"
_METAVARS = {str: "TEXT", int: "N", float: "NUMBER", datetime: "TIME"}
_EPILOG = """\
While it runs, POST a JSON object of these knobs, such as {"refusal": "none"}, to
/_sandbox/settings to change them; POST to /_sandbox/reset to undo that and forget what was
asked; GET /_sandbox/stats and /_sandbox/truth/TASK_ID to see what was asked and what is true.
In JSON, names have underscores.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the sandbox as the command line says; return the exit code."""
    parser = make_parser()
    options = parser.parse_args(arguments)
    try:
        settings = _settings(options)
    except (OSError, TypeError, ValueError) as exc:
        parser.error(str(exc))
    if options.write_task_ids is not None:
        if options.write_task_ids < 0:
            parser.error(f"--write-task-ids takes a number from 0 on, not {options.write_task_ids}")
        _print_lines(task_ids(options.write_task_ids, settings.seed))
        return 0
    if options.kinds:
        _print_lines(f"{kind.name:28}{kind.about}" for kind in KINDS.values())
        return 0
    try:
        asyncio.run(_run(settings, announces=options.announce))
    except OSError as exc:
        print(f"cannot listen: {exc}", file=sys.stderr)
        return 2
    return 0


def make_parser() -> argparse.ArgumentParser:
    """The options, made from the declared knobs; docs/cli.md shows them too."""
    parser = argparse.ArgumentParser(
        prog="luma-to-parquet sandbox",
        usage="%(prog)s [options]",
        description="A gateway on loopback with the documented API and faults on demand.",
        epilog=_EPILOG,
    )
    add = parser.add_argument
    add("--kinds", action="store_true", help="print the kinds of bad answers and exit")
    add("--write-task-ids", type=int, metavar="N", help="print N task IDs and exit")
    add("--settings", metavar="FILE", help="read settings from JSON; - reads one line of stdin")
    add("--listing", metavar="FILE", help="task IDs for the listing, one per line")
    add(
        "--fixture",
        action="append",
        default=[],
        metavar="ID=FILE",
        help="answer requests for the ID with the file, byte for byte",
    )
    add(
        "--announce",
        action="store_true",
        help="for programs: print only the URL; stop when stdin closes",
    )
    group: argparse._ActionsContainer = parser
    for knob in knobs():
        if knob.name in GROUPS:
            group = parser.add_argument_group(GROUPS[knob.name])
        _add_option(group, knob)
    return parser


def _add_option(parser: argparse._ActionsContainer, knob: Field[Any]) -> None:
    name, about = "--" + knob.name.replace("_", "-"), knob.metadata["about"]
    shared: dict[str, Any] = {"default": argparse.SUPPRESS}
    if isinstance(knob.default, bool):
        parser.add_argument(name, action=argparse.BooleanOptionalAction, help=about, **shared)
        return
    default = "the start" if knob.name == "now" else knob.default
    parser.add_argument(
        name,
        type=datetime.fromisoformat if isinstance(knob.default, datetime) else type(knob.default),
        choices=knob.metadata.get("choices"),
        metavar=None if knob.metadata.get("choices") else _METAVARS[type(knob.default)],
        help=f"{about} (default: {default})".replace("(default: )", "").replace("%", "%%"),
        **shared,
    )


def _settings(options: argparse.Namespace) -> SandboxSettings:
    """Settings of the file, overridden by the command line."""
    # People see generations of today; programs need answers that stay the same.
    changes: dict[str, Any] = {"now": datetime.now(UTC).replace(microsecond=0).isoformat()}
    changes |= _read_settings(options.settings)
    given = {knob.name: getattr(options, knob.name) for knob in knobs() if knob.name in options}
    if "now" in given:
        given["now"] = given["now"].isoformat()
    changes |= given
    if options.listing:
        changes["listing"] = Path(options.listing).read_text("utf-8").split()
    if options.fixture:
        pairs = (pair.partition("=") for pair in options.fixture)
        fixtures = {task_id: Path(path).read_bytes() for task_id, _, path in pairs}
        changes["fixtures"] = encode_fixtures(fixtures)
    return SandboxSettings().changed(changes)


def _read_settings(source: str | None) -> dict[str, Any]:
    if source is None:
        return {}
    text = sys.stdin.readline() if source == "-" else Path(source).read_text("utf-8")
    settings: dict[str, Any] = json.loads(text)
    return settings


async def _run(settings: SandboxSettings, *, announces: bool) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if announces:
        threading.Thread(target=_await_end_of_stdin, args=(loop, stop), daemon=True).start()
    server = await serve(
        settings, stop, _announce if announces else partial(_welcome, settings.key)
    )
    if not announces:
        print(f"\nstopped after {server.gateway.counters.requests} requests")


def _print_lines(lines: Iterable[str]) -> None:
    try:
        for line in lines:
            print(line)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader, such as `head`, has enough; keep the flush at exit from failing too.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _announce(url: str) -> None:
    print(url, flush=True)


def _welcome(key: str, url: str) -> None:
    host = urljoin(url, "/").rstrip("/")
    key = key or _ANY_KEY
    text = _WELCOME.format(
        url=url,
        host=host,
        root=ROOT,
        header=shlex.quote(f"Authorization: Bearer {key}"),
        key=shlex.quote(key),
        task_id=task_ids(1)[0],
    )
    print(text, flush=True)


def _await_end_of_stdin(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    # Not sys.stdin.read(): a thread inside it holds a lock that interpreter shutdown needs.
    while os.read(0, 4096):
        pass
    with contextlib.suppress(RuntimeError):  # the loop ended first
        loop.call_soon_threadsafe(stop.set)


if __name__ == "__main__":
    sys.exit(main())
