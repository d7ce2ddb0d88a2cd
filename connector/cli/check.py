"""`check`: would a run work?"""

from __future__ import annotations

import logging
import sys
from dataclasses import asdict
from typing import Annotated, Literal

from connector.cli.mode import Mode
from connector.cli.options import NONE, WHOLE, Common
from connector.cli.shell import as_options, console, print_json
from connector.storage.arrow import import_pyarrow
from connector.words import plain

STYLES = {"ok": "green", "note": "yellow", "failed": "bold red"}


def check(
    *,
    warehouse: str | None = None,
    api: Literal["dream-machine", "agents"] | None = None,
    base_url: str | None = None,
    ids_per_request: Annotated[int | None, WHOLE] = None,
    allow_http: bool = False,
    json: bool = False,
    common: Common = NONE,
) -> None:
    """Check whether settings, key, gateway and warehouse work, without starting a run.

    Shows where each setting comes from, sends one request to the gateway, for a made-up task ID,
    locks the warehouse for a moment, and writes and removes a draft. Exits like a run: 0 if all is
    well, 2 for settings and warehouse, 3 if the key is refused, 4 if the gateway cannot be reached.

    Args:
        warehouse: Where the tables are or will be; also LUMA_WAREHOUSE. [default: warehouse]
        api: Which of Luma's APIs the gateway has; also LUMA_API. [default: dream-machine]
        base_url: Gateway; also LUMA_BASE_URL. [default: https://api.lumalabs.ai]
        ids_per_request: Also test whether the gateway answers for this many IDs at once.
        allow_http: Send the key over plain http to another machine.
        json: Print one JSON object.
    """
    import_pyarrow()
    from connector.run.check import check as run  # noqa: PLC0415  takes long

    # The results say everything; a warning would repeat it.
    logging.getLogger("connector").setLevel(logging.ERROR)
    results = []
    given = {
        "warehouse": warehouse,
        "api": api,
        "base_url": base_url,
        "ids_per_request": ids_per_request,
        "allow_http": allow_http or None,
        **common.settings,
    }
    for result in run(**given):
        results.append(result)
        if not json:
            # Quiet means: what is well needs no line.
            line = console(stderr=Mode.is_quiet and result.state != "ok")
            line.print(f"{result.name:10}", end="", highlight=False)
            line.print(f"{result.state:8}", end="", style=STYLES[result.state])
            text = as_options(plain(result.text))
            line.print(text, markup=False, highlight=False, soft_wrap=True)
            for detail in result.details:
                line.print(f"{'':18}{plain(detail)}", markup=False, highlight=False, soft_wrap=True)
    exit_code = next((result.exit_code for result in results if result.exit_code), 0)
    if json:
        print_json({"exit_code": exit_code, "checks": [asdict(result) for result in results]})
    sys.exit(exit_code)
