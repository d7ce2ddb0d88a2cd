"""The sandbox's own paths, under `/_sandbox`: statistics, facts and settings at run time."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import unquote

from connector.sandbox.faults import KINDS
from connector.sandbox.replies import Reply, json_reply

if TYPE_CHECKING:
    from connector.sandbox.gateway import Gateway
    from connector.sandbox.incoming import Request

PREFIX = "/_sandbox/"
_TRUTH = "truth/"


def control(gateway: Gateway, request: Request) -> Reply:
    """Answer a request under `/_sandbox`; needs no key and is not counted."""
    name = request.path.removeprefix(PREFIX)
    if request.method == "GET" and name.startswith(_TRUTH):
        return json_reply(200, gateway.truth(unquote(name.removeprefix(_TRUTH))))
    return _fixed(gateway, request, name)


def _fixed(gateway: Gateway, request: Request, name: str) -> Reply:
    match request.method, name:
        case "GET", "stats":
            return json_reply(200, gateway.counters.to_json())
        case "GET", "kinds":
            return json_reply(200, {kind.name: kind.about for kind in KINDS.values()})
        case "GET", "settings":
            return _settings(gateway)
        case "POST", "settings":
            return _change(gateway, request.body)
        case "POST", "reset":
            gateway.reset()
            return json_reply(200, gateway.counters.to_json())
    return json_reply(404, {"detail": f"no {request.method} {request.path} here"})


def _settings(gateway: Gateway) -> Reply:
    settings = gateway.settings.to_json()
    del settings["key"]
    return json_reply(200, settings)


def _change(gateway: Gateway, body: bytes) -> Reply:
    try:
        gateway.change(gateway.settings.changed(json.loads(body)))
    except (TypeError, ValueError) as exc:
        return json_reply(400, {"detail": str(exc)})
    return _settings(gateway)
