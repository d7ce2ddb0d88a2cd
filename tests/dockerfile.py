"""A Dockerfile's steps, done in a folder and an environment of their own: no image, no daemon."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import venv
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def steps(dockerfile: Path) -> list[tuple[str, str]]:
    """Each instruction with what it is about."""
    text = dockerfile.read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in lines]


def replay(dockerfile: Path, context: Path, root: Path) -> dict[str, str]:
    """Do them with `root` in place of `/`, and return the environment in which `CMD` would run.

    `FROM` is a fresh virtual environment; `USER` is who runs the tests.
    """
    venv.create(root / "venv", with_pip=True)
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    environment["PATH"] = f"{root / 'venv/bin'}{os.pathsep}{os.environ['PATH']}"
    environment["PIP_NO_COMPILE"] = "1"  # a quarter of the time
    folder = root
    for instruction, about in steps(dockerfile):
        # Paths of the image begin a word, or follow `=`.
        here = re.sub(r"(?<![^\s=])/(?=\w)", f"{root}/", about)
        match instruction:
            case "ENV":
                environment |= dict(pair.split("=", 1) for pair in here.split())
            case "WORKDIR":
                folder = root / here
                folder.mkdir(parents=True, exist_ok=True)
            case "COPY":
                *sources, target = about.split()
                for source in sources:
                    copy(context / source, folder / target)
            case "RUN":
                here = here.replace("chown -R 1000", f"chown -R {os.getuid()}")
                subprocess.run(here, shell=True, check=True, cwd=folder, env=environment)
            case _:
                assert instruction in {"FROM", "USER", "CMD"}, instruction
    return environment


def copy(source: Path, target: Path) -> None:
    """As `COPY` does: a folder's content, a file by name or into a folder; links stay links."""
    if source.is_dir():
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(source, target, symlinks=True, ignore=ignore, dirs_exist_ok=True)
    else:
        shutil.copy(source, target)
