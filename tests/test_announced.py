"""Header fields that announce a rate limit, in each of their forms."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from urllib3 import HTTPHeaderDict

from connector.gateway.pace.announced import Announced, read_announced

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
IN_30_S = int(NOW.timestamp()) + 30


def x(limit: object, remaining: object, reset: object) -> dict[str, str]:
    return {
        "X-RateLimit-Limit": str(limit),
        "X-RateLimit-Remaining": str(remaining),
        "X-RateLimit-Reset": str(reset),
    }


@pytest.mark.parametrize(
    ("headers", "announced"),
    [
        ({}, None),
        ({"RateLimit-Policy": "50;w=1"}, None),
        (x(50, 9, 30), Announced(None, 9, 30)),
        (x(50, 9, IN_30_S), Announced(None, 9, 30)),
        (x(50, 9, 1000 * IN_30_S), Announced(None, 9, 30)),
        (x(50, 9, "Fri, 02 Jan 2026 03:04:35 GMT"), Announced(None, 9, 30)),
        (x(50, 9, "2026-01-02T03:04:35Z"), Announced(None, 9, 30)),
        (x("50;w=10", 9, 0.25), Announced(5, 9, 0.25)),
        (x(10**9, 10**9, 10**9), Announced(None, 1e9, None)),
        (x("many", "few", "soon"), Announced(None, None, None)),
        (x(50, -1, -1), Announced(None, None, None)),
        (x(50, 9, "9" * 400), Announced(None, 9, None)),
        (
            {
                "RateLimit-Limit": "100, 100;w=60, 1000;w=3600",
                "RateLimit-Remaining": "9",
                "RateLimit-Reset": "30",
            },
            Announced(1000 / 3600, 9, 30),
        ),
        (
            {"RateLimit": "limit=100, remaining=9, reset=30", "RateLimit-Policy": "100;w=60"},
            Announced(100 / 60, 9, 30),
        ),
        (
            {"RateLimit": '"default";r=9;t=30', "RateLimit-Policy": '"default";q=100;w=60'},
            Announced(100 / 60, 9, 30),
        ),
        (
            {
                "RateLimit": '"a, day";r=900;t=3000, "burst";r=9;t=30;pk=:c2Vj:',
                "RateLimit-Policy": '"a, day";q=1000;w=86400, "bytes";q=1;w=9;qu="content-bytes"',
            },
            Announced(1000 / 86400, 9, 30),
        ),
        ({"RateLimit": "nonsense;;=,", "RateLimit-Policy": ';w="'}, Announced(None, None, None)),
        ({"RateLimit": '"default";r=9', "RateLimit-Policy": "50;w=0"}, Announced(None, 9, None)),
    ],
)
def test_each_form_is_read(headers: dict[str, str], announced: Announced | None) -> None:
    assert read_announced(HTTPHeaderDict(headers), NOW) == announced
