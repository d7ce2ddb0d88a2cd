"""The first ten minutes, as docs/index.md has them: what it says to type works as it stands."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from servers import free_port

if TYPE_CHECKING:
    import pytest

PAGE = Path(__file__).parent.parent / "docs/index.md"
PORT = "8640"
COMMAND = f'luma-to-parquet() {{ {shlex.quote(sys.executable)} -m connector "$@"; }}'


def test_the_page_can_be_typed_as_it_stands(
    environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    start, rest = (block.replace(PORT, port) for port in [str(free_port())] for block in blocks[1:])
    clean = {name: text for name, text in environment.items() if not name.startswith("LUMA")}
    clean["PATH"] = f"{Path(sys.executable).parent}:{clean['PATH']}"
    options = shlex.split(start.partition("#")[0])[1:]
    with subprocess.Popen(
        [sys.executable, "-m", "connector", *options],
        env=clean,
        stdout=subprocess.PIPE,
        text=True,
    ) as sandbox:
        try:
            assert sandbox.stdout
            said = [""]
            while not said[-1].startswith("Stop:"):
                said.append(sandbox.stdout.readline().strip())
            done = subprocess.run(
                ["bash", "-c", f"set -e\n{COMMAND}\n{rest}"],
                env=clean,
                capture_output=True,
                text=True,
                timeout=240,
                check=False,
            )
        finally:
            sandbox.terminate()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "gateway   ok" in done.stdout
    assert "300 generations: 300 new" in done.stdout
    assert "unfinished" not in done.stdout
    assert "given up" not in done.stdout
    assert "completed    2" in done.stdout, "the last line counts by status"
    assert (tmp_path / "report.html").stat().st_size > 100_000
    # The gateway says the same at its start.
    assert rest.splitlines()[0] in said
