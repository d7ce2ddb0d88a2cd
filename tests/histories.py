"""Made histories whose truth is known: of timings, and of whole warehouses."""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from connector.record.derive import prompt_id
from connector.record.schema import GENERATIONS, TIMINGS

if TYPE_CHECKING:
    from collections.abc import Iterator

MEDIAN, SPREAD = 100.0, 0.5
SCENARIOS: Final = ("reported", "10 s", "1 min", "15 min", "late", "mixed")
POLLS: Final = {"10 s": 10.0, "1 min": 60.0, "15 min": 900.0, "late": 900.0}
START, SECOND = 1_760_000_000_000_000, 1_000_000


def share_finished(seconds: np.ndarray) -> np.ndarray:
    """The true share that is finished by then: durations are lognormal."""
    normal = NormalDist(np.log(MEDIAN), SPREAD)
    return np.array([normal.cdf(x) for x in np.log(seconds)])


def quantile(share: float) -> float:
    """The true quantile."""
    return float(np.exp(NormalDist(np.log(MEDIAN), SPREAD).inv_cdf(share)))


def timings_of(
    seed: int, count: int, scenario: str, models: int = 1, slower: float = 1
) -> pa.Table:
    """Rows of `timings`: polled at a regular distance, from some moment on, until done or given up.

    Args:
        seed: Of the draws.
        count: Of generations.
        scenario: One of `SCENARIOS`.
        models: How many there are; the last one takes longer by `slower`.
        slower: As a factor.
    """
    draw = np.random.default_rng(seed)
    model = draw.integers(0, models, count)
    took = np.exp(draw.normal(np.log(MEDIAN), SPREAD, count))
    took = np.where(model == models - 1, took * slower, took)
    poll = POLLS.get(scenario) or draw.choice(list(POLLS.values()), count)
    first = draw.random(count) * poll
    is_late = (scenario in {"late", "mixed"}) & (draw.random(count) < 0.5)
    first = np.where(is_late, draw.exponential(3 * 3600, count), first)
    found = first + np.ceil(np.maximum(took - first, 0) / poll) * poll
    given_up = np.where(draw.random(count) < 0.05, draw.random(count) * 300, np.inf)
    is_given_up = found > given_up
    ends = np.where(is_given_up, np.where(is_given_up, given_up, 0), found - poll / 2)
    before = first + np.floor((ends - first) / poll) * poll
    before = np.where((before < first) | (took <= first), -np.inf, before)
    found = np.where(is_given_up, np.inf, found)
    is_reported = (scenario == "reported") | ((scenario == "mixed") & (draw.random(count) < 0.3))
    is_reported &= np.isfinite(found) | (scenario == "reported")
    said = np.floor(took + draw.random(count))
    basis = np.where(np.isfinite(before), "observed", "backfilled")
    basis = np.where(is_given_up, "unfinished", basis)
    created = START + np.sort(draw.integers(0, 60 * 86_400 * SECOND, count))
    columns = {
        "created_at": _moments(created),
        "finished_after_at": _moments(created, np.maximum(before - 5, 0)),
        "first_finished_at": _moments(created, found),
        "seconds_lower": pa.array(np.where(is_reported, said - 1, np.maximum(before - 6, 0))),
        "seconds_upper": _known(np.where(is_reported, said + 1, found + 5)),
        "basis": pa.array(np.where(is_reported, "reported", basis)),
        "model": pa.array([f"model {number}" for number in model]),
        "resolution": pa.array(["720p"] * count),
        "created_hour": pa.array((created // SECOND // 3600 % 24).astype(np.int32)),
    }
    gaps = {field.name: pa.nulls(count, field.type) for field in TIMINGS.schema}
    return pa.table({**gaps, **columns})


def _known(seconds: np.ndarray) -> pa.Array:
    return pa.array(seconds, mask=~np.isfinite(seconds))


def _moments(created: np.ndarray, seconds: np.ndarray | float = 0.0) -> pa.Array:
    is_known = np.isfinite(seconds) & np.ones(len(created), bool)
    micros = created + np.where(is_known, seconds, 0) * SECOND
    moments = pa.array(micros.astype(np.int64), mask=~is_known)
    return moments.cast(TIMINGS["created_at"].type)


MODERATED, BROKEN, WITH_PHRASE = 0.05, 0.03, 0.05
NIGHT: Final = (22, 23, 0, 1, 2, 3, 4)


def history(
    seed: int,
    uses: int,
    prompts: int,
    phrase: str = "",
    words: int = 3_000,
    *,
    slow_at_night: bool = False,
    variants: tuple[int, int] = (0, 0),
) -> Iterator[pa.Table]:
    """Generations over 100 days of three models, polled each minute; moderation fails 5%.

    Args:
        seed: Of the draws.
        uses: Generations.
        prompts: Distinct prompts.
        phrase: Prompts with this fail twice as often by moderation.
        words: Of the vocabulary.
        slow_at_night: Whether one model takes twice as long from 22:00 to 04:59 UTC.
        variants: Families, and how many of the prompts are their variants.
    """
    draw = np.random.default_rng(seed)
    vocabulary = np.array([f"w{n}" for n in range(words)])
    families, varied = variants
    sizes = draw.integers(6, 25, prompts - varied)
    texts = [" ".join(vocabulary[_ranks(draw, int(size), words)]) for size in sizes]
    texts += [f"{texts[n % families]} v{n // families}" for n in range(varied)]
    has_phrase = draw.random(prompts) < WITH_PHRASE
    texts = [
        f"{text} {phrase}" if has and phrase else text
        for text, has in zip(texts, has_phrase, strict=True)
    ]
    ids = np.array([prompt_id(text) for text in texts])
    used = np.concatenate([np.arange(prompts), draw.integers(0, prompts, uses - prompts)])
    draw.shuffle(used)
    moderated = draw.random(uses) < np.where(
        has_phrase[used] & bool(phrase), 2 * MODERATED, MODERATED
    )
    failed = moderated | (draw.random(uses) < BROKEN)
    created = 1_760_000_000 * SECOND + np.arange(uses) * (100 * 86_400 * SECOND // uses)
    is_night = np.isin(created // SECOND // 3600 % 24, NIGHT) & (used % 3 == 1) & slow_at_night
    took = np.exp(draw.normal(np.log(90), 0.5, uses)) * np.where(used % 3 == 0, 2, 1)
    took *= np.where(is_night, 2, 1)
    seen = created + ((took + draw.random(uses) * 60) * SECOND).astype(np.int64)
    names = np.array(texts, object)
    moment = GENERATIONS["created_at"].type
    for start in range(0, uses, 65_536):
        piece = slice(start, start + 65_536)
        count = len(used[piece])
        columns = {
            "task_id": pa.array([f"{n:012d}" for n in range(start, start + count)]),
            "prompt": pa.array(names[used[piece]]),
            "prompt_id": pa.array(ids[used[piece]]),
            "created_at": pa.array(created[piece]).cast(moment),
            "first_seen_at": pa.array(created[piece] + SECOND).cast(moment),
            "last_unfinished_at": pa.array(seen[piece] - 60 * SECOND).cast(moment),
            "first_finished_at": pa.array(seen[piece]).cast(moment),
            "status": pa.array(np.where(failed[piece], "failed", "completed")),
            "model": pa.array([f"ray-{n % 3}" for n in used[piece]]),
            "model_source": pa.array(["requested"] * count),
            "resolution": pa.array([("540p", "720p", "1080p")[n % 3] for n in used[piece] // 3]),
            "failure_category": pa.array(
                np.where(moderated[piece], "moderation", None), pa.string()
            ),
            "failure_reason": pa.array(
                np.where(moderated[piece], "moderation", np.where(failed[piece], "broken", None)),
                pa.string(),
            ),
        }
        gaps = {field.name: pa.nulls(count, field.type) for field in GENERATIONS.schema}
        yield pa.table({**gaps, **columns}, schema=GENERATIONS.schema)


def _ranks(draw: np.random.Generator, size: int, words: int) -> np.ndarray:
    return np.exp(draw.random(size) * np.log(words)).astype(int) % words
