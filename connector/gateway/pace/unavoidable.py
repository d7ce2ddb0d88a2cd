"""Refusals that no lower rate avoids."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

from connector.gateway.pace.credit import Credit

if TYPE_CHECKING:
    from connector.gateway.pace.request import Request

# Requests of which the earlier half is compared with the later one.
COMPARED: Final = (32, 64, 128, 256)

# Refusals in each half, at least.
ENOUGH: Final = 4

# Requests after which another refusal has nothing to do with the last.
APART: Final = 50

# The later half's share of refusals, at least, and its rate of accepted requests, at most, as
# shares of the earlier half's.
AS_MANY: Final = 0.6
FEWER: Final = 0.75

# Share of refusals up to which anything is accepted at all.
MOST: Final = 0.6

# A share that is not seen again is halved after 200 accepted requests.
DECAY: Final = 0.5 ** (1.0 / 200.0)


class _Seen(NamedTuple):
    """When a request was sent, and whether it was refused."""

    at: float
    is_refused: bool


class Unavoidable:
    """The share of refusals that others cause who use the same limit, or chance.

    Where the rate is limited, half of it is accepted to twice the share; where it is not, to the
    same share. Both are seen while the rate falls, from one refusal to the next.

    Attributes:
        share: Of all requests.
        credit: Refusals that this share explains.
    """

    def __init__(self) -> None:
        self.share = 0.0
        self.credit = Credit()
        self._since = 0
        self._seen: deque[_Seen] = deque(maxlen=2 * COMPARED[-1] + 1)

    def accepted(self, request: Request) -> None:
        """Note an accepted request."""
        self.share *= DECAY
        self.credit.earn(self.share)
        if self._seen:  # it begins with a refusal
            self._note(request, is_refused=False)

    def refused(self, request: Request) -> float:
        """Note a refused request; return the rate before it fell in vain, 0 if it did not."""
        is_apart = all(not one.is_refused for one in list(self._seen)[-APART:])
        if is_apart or len(self._seen) == self._seen.maxlen:
            self._since = request.number
            self._seen.clear()
        self._note(request, is_refused=True)
        for count in COMPARED:
            if len(self._seen) >= count and (rate := self._fell_in_vain(count)):
                self._seen.clear()
                return rate
        return 0.0

    def _fell_in_vain(self, count: int) -> float:
        seen = sorted(list(self._seen)[-count:])
        before, after = seen[: count // 2], seen[count // 2 :]
        rate = _rate([*before, after[0]])
        share, share_after = _share(before), _share(after)
        if min(share, share_after) < 2 * ENOUGH / count or share_after > MOST:
            return 0.0
        accepted, accepted_after = rate * (1.0 - share), _rate(after) * (1.0 - share_after)
        if share_after < AS_MANY * share or accepted_after > FEWER * accepted:
            return 0.0
        self.share = max(self.share, (share + share_after) / 2.0)
        return rate

    def _note(self, request: Request, *, is_refused: bool) -> None:
        if request.number >= self._since:
            self._seen.append(_Seen(request.sent_at, is_refused))


def _rate(seen: list[_Seen]) -> float:
    return (len(seen) - 1) / max(1e-3, seen[-1].at - seen[0].at)


def _share(seen: list[_Seen]) -> float:
    return sum(one.is_refused for one in seen) / len(seen)
