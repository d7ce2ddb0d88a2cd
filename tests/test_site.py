"""The documentation builds as a site in which no link is broken."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("zensical", reason="zensical is not installed (extra site)")

ROOT = Path(__file__).parent.parent
CONFIG = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))
ADDRESS = re.compile(r"""(?:src|srcset|<link[^>]* href)=["']?(?:https?:)?//""")


def build(folder: Path) -> subprocess.CompletedProcess[str]:
    """Build as `make site` does, from a copy: a build leaves a cache behind."""
    command = [Path(sys.executable).with_name("zensical"), "build", "--clean", "--strict"]
    return subprocess.run(command, check=False, capture_output=True, text=True, cwd=folder)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "zensical.toml", tmp_path)
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    return tmp_path


def pages(nav: Any) -> list[str]:
    if isinstance(nav, str):
        return [nav]
    entries = nav.values() if isinstance(nav, dict) else nav
    return [page for entry in entries for page in pages(entry)]


def test_the_navigation_has_each_page_once() -> None:
    there = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert sorted(pages(CONFIG["project"]["nav"])) == sorted(there)


def test_it_builds_without_a_warning_and_asks_no_other_host(copy: Path) -> None:
    done = build(copy)
    assert done.returncode == 0, done.stdout + done.stderr
    for page in pages(CONFIG["project"]["nav"]):
        html = (copy / "site" / page).with_suffix(".html").read_text(encoding="utf-8")
        assert not ADDRESS.search(html), page


@pytest.mark.parametrize("link", ["gone.md", "tables.md#gone"])
def test_a_broken_link_fails_the_build(copy: Path, link: str) -> None:
    with (copy / "docs/index.md").open("a", encoding="utf-8") as page:
        page.write(f"\n[broken]({link})\n")
    assert build(copy).returncode != 0
