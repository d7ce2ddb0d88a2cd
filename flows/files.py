"""The project's files for Prefect, where there is no clone: `python -m flows.files FOLDER`."""

from __future__ import annotations

import sys
from importlib.resources import files
from pathlib import Path
from typing import Final

NAMES: Final = ("prefect.yaml", "automations.yaml")


def write_files(folder: Path) -> list[Path]:
    """Write them into a folder, and return their paths.

    Raises:
        FileExistsError: One is there already; it may have been changed, so nothing is written.
    """
    paths = [folder / name for name in NAMES]
    for path in paths:
        if path.exists():
            raise FileExistsError(f"{path} exists: move it away, or name another folder")
    folder.mkdir(parents=True, exist_ok=True)
    for path in paths:
        path.write_bytes((files("flows") / path.name).read_bytes())
    return paths


def main() -> None:
    """Be the command."""
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):  # noqa: PLR2004  one argument
        sys.exit("usage: python -m flows.files FOLDER")
    try:
        paths = write_files(Path(sys.argv[1]))
    except OSError as error:
        sys.exit(str(error))
    for path in paths:
        print(path)  # noqa: T201  a command


if __name__ == "__main__":
    main()
