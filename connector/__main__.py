"""The command `luma-to-parquet`, which is also `python -m connector`."""

from __future__ import annotations

import gc
import os
from typing import Final

# Of new objects, after which Python looks for garbage among them.
OBJECTS: Final = 50_000


def main() -> None:
    """Run the command line in this process, which is our own, and exit.

    Two settings save a fifth of the start. Imports make many objects that stay, and no garbage. And
    before its first model, pydantic looks for plug-ins in all packages that are installed.
    """
    gc.set_threshold(OBJECTS, 10, 10)
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    from connector.cli.app import main as run  # noqa: PLC0415  after what makes imports cheap

    run()


if __name__ == "__main__":
    main()
