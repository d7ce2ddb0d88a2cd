"""The words of refusals, and what they mean: of codes, messages and web pages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from connector.record.answer import Concern, Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping


def _words(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE)


# Meaning of codes such as `insufficient_user_quota`; the first match counts.
CODES: Final[dict[Concern | Outcome, re.Pattern[str]]] = {
    Concern.KEY: _words(
        r"(invalid|incorrect|expired|missing|revoked|disabled|wrong|bad|no)_?(api_?)?(key|token)",
        r"(key|token)_?(is_?)?(invalid|expired|missing|revoked|disabled|not_found|required)",
        r"^un_?auth(enticated|ori[sz]ed)",
        r"^not_?authenticated",
        r"authentication",
        r"^invalid_?(credentials|auth)",
    ),
    Concern.ACCOUNT: _words(
        r"quota(?!.*per_)",
        r"credit",
        r"balance",
        r"budget",
        r"billing",
        r"payment",
        r"insufficient_?funds",
        r"account_?(is_?)?(suspended|disabled|deactivated|banned|blocked|overdue|locked|inactive)",
        r"user_?(is_?)?(suspended|disabled|deactivated|banned|blocked)",
        r"subscription",
        r"arrears",
    ),
    Outcome.RATE_LIMITED: _words(
        r"rate_?limit", r"too_?many", r"throttl", r"slow_?down", r"concurren.*limit"
    ),
    Outcome.NOT_FOUND: _words(
        r"(task|generation|job|record|video)s?_?(is_?|was_?)?(not_?exists?|not_?found|missing)",
        r"(task|generation|job|record)s?_?(does_?not_?exist|deleted|expired|gone)",
        r"^not_?found$",
        r"^not_?exists?$",
        r"^no_?such_?(task|generation|job)",
    ),
    Outcome.SERVER_ERROR: _words(
        r"server_?error",
        r"internal",
        r"upstream",
        r"overload",
        r"unavailable",
        r"time_?d?_?out",
        r"busy",
        r"bad_?response",
        r"bad_?gateway",
        r"try_?again",
        r"retry",
        r"maintenance",
        r"request_?failed",
        r"get_?channel",
        r"no_?(available_?)?channel",
        r"not_?ready",
        r"in_?progress",
        r"conflict",
        r"locked",
    ),
}

# Meaning of the words of a message; the first match counts.
TEXTS: Final[dict[Concern | Outcome, re.Pattern[str]]] = {
    Outcome.RATE_LIMITED: _words(
        r"rate.?limit",
        r"too many (requests|calls)",
        r"throttl",
        r"slow down",
        r"spike arrest",
        r"(requests?|calls?) per (second|minute|hour)",
        r"^limit exceeded",
        r"请求过于频繁|频率|限流",
    ),
    Outcome.NOT_READY: _words(
        r"still (being |in )?(progress|process|running|queue|pending|generat|render)",
        r"not (yet |been )*(ready|complete|finished|done)\b",
        r"(is|are) (currently )?being (processed|generated|rendered)",
        r"处理中|生成中|排队中|未完成",
    ),
    Concern.ACCOUNT: _words(
        r"(insufficient|not enough|no|out of|exceeded|exhausted|run out of|used up|low|negative"
        r"|lack of|deplet\w+|zero)\W+(\w+\W+){0,3}(quota|credits?|balance|funds|budget)",
        r"(quota|credits?|balance|funds|budget)\W+(\w+\W+){0,4}(insufficient|not enough|exceeded"
        r"|exhausted|used|low|empty|negative|depleted|reached|gone|zero|ran out|run out|over)",
        r"payment required|billing|top.?up|recharge|add (more )?(credits|funds)|overdue|past due",
        r"(account|user|organi[sz]ation|subscription|plan)\W+(\w+\W+){0,3}(suspended|disabled"
        r"|deactivated|banned|blocked|locked|inactive|expired|cancell?ed)",
        r"额度|余额|欠费|配额|充值|封禁",
    ),
    Concern.KEY: _words(
        r"(invalid|incorrect|expired|missing|revoked|wrong|unknown|bad|no)\W+(\w+\W+){0,2}"
        r"(api.?keys?|access.?tokens?|tokens?|credentials|authorization)",
        r"(api.?key|token|credentials?)\W+(\w+\W+){0,3}(invalid|incorrect|expired|missing|revoked"
        r"|disabled|required|not valid|wrong)",
        r"not authenticated|unauthenticated|authentication (failed|required)|unauthori[sz]ed",
        r"无效的令牌|令牌",
    ),
    Outcome.SERVER_ERROR: _words(
        r"try again",
        r"retry",
        r"temporar",
        r"overload",
        r"saturat",
        r"\bbusy\b",
        r"time.?d? ?out\b",
        r"unavailable",
        r"maintenance",
        r"upstream",
        r"internal server error",
        r"bad gateway",
        r"负载|繁忙|稍后|超时",
    ),
}

# With a 403, what keeps out everyone with this key, from here, whichever task it asks for.
KEEPS_OUT: Final = _words(
    r"error code: 1[0-2]\d\d",  # of Cloudflare, to programs
    r"\bIPs?\b.{0,60}\b(not|block|ban|den[iy]|forbid|restrict)|\b(white|allow)[ -]?list|白名单",
    r"(country|region|territory)\b.{0,40}\b(not|un\w+|block\w*|restrict\w*)\b",
    r"^(your |the |this )?request (is |was |has been )?blocked|security (service|policy|rule)"
    r"|firewall|\bRBAC\b|explicit deny|on this server|cannot consume this service",
    r"\b(your|current|this) (\w+ )?(plan|tier)\b|\bupgrade (your|to)\b|\bscopes?\b",
    r"(not|be|been) (yet )?verified|verify your|accept (the|our|new) |not been used in project",
    r"public access|consumer|分组",
)

ABOUT_A_TASK: Final = _words(r"\b(task|generation|job|record)s?\b", r"任务")

ABOUT_A_ROUTE: Final = _words(
    r"\broutes?\b",
    r"\bpaths?\b",
    r"\burls?\b",
    r"\buri\b",
    r"endpoint",
    r"cannot get",
    r"page (could )?not (be )?found",
    r"deployment",
    r"no such (host|service|app)",
    r"unknown (host|service|api)",
    r"application not found",
    r"method (is )?not allowed",
    r"no static resource",  # of Spring
    r"method does not exist",  # of Google
    r"default backend",
)

# For a path that it does not know, it wants a signature in place of a key.
AWS_KNOWS_NO_ROUTE: Final = _words(
    r"^missing authentication token\.?$",
    r"key=value pair \(missing equal.sign\) in authorization header",
    r"authorization header requires .?(credential|signature|signedheaders)",
    r"unable to determine service/operation name to be authorized",
)

QUOTED_PATH: Final = re.compile(r"\S*/\S*")

GONE: Final = _words(
    r"(task|generation|job|record)\b.{0,300}\b(not (be )?found|not exist|doesn.t exist"
    r"|no longer exists|was deleted|unknown|missing)",
    r"(no such|unknown|cannot find|could not find|not found:?) (\w+ )?(task|generation|job|record)",
    r"任务不存在",
)

# "bad response status code 429 from upstream"
STATUS_IN_TEXT: Final = re.compile(
    r"\bstatus(?:[ _-]?code)?\W{0,3}(\d{3})\b|\bHTTP[ /](\d{3})\b", re.IGNORECASE
)

# Pages that only a person can pass: a challenge or a login.
CHALLENGE: Final = re.compile(
    rb"just a moment|cf-chl|cf_chl|challenge-platform|challenge-form|captcha|turnstile"
    rb"|attention required|verify (that )?you are (a )?human|are you a robot|checking your browser"
    rb"|ddos protection|enable javascript and cookies|access denied|request blocked|been blocked"
    rb"|incapsula|_Incapsula_|perimeterx|datadome|akamai",
    re.IGNORECASE,
)

LOGIN: Final = re.compile(
    rb"type=[\"']?password|<title>[^<]{0,80}\b(log ?in|sign ?in|single sign|authenticat)",
    re.IGNORECASE,
)

PAGE: Final = re.compile(rb"^(\xef\xbb\xbf)?\s*<")

XML_ERROR: Final = re.compile(
    rb"(\xef\xbb\xbf)?\s*(<\?xml[^>]*>)?\s*<(error|fault|response|result)\b", re.IGNORECASE
)

TITLE: Final = re.compile(rb"<title[^>]*>([^<]{1,200})", re.IGNORECASE)

QUOTES_A_REQUEST: Final = re.compile(r"https?://|/v1/|GET /")

ACCOUNT_CODE: Final = re.compile("insufficient|user")


def first_match(
    kinds: Mapping[Concern | Outcome, re.Pattern[str]], text: str
) -> Concern | Outcome | None:
    """The first kind whose words a text has."""
    return next((kind for kind, pattern in kinds.items() if pattern.search(text)), None)
