"""Terms: words of any script, figures worked out by hand, and no alarm without a cause."""

from __future__ import annotations

from itertools import starmap
from math import comb, isclose
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from test_marts import made, merged, reader

from connector.marts import terms as module
from connector.marts.prompts import terms
from connector.marts.shares import correlation, fisher, newcombe
from connector.marts.tokens import BREAK, phrases, words
from connector.record.derive import prompt_id
from connector.record.schema import GENERATIONS, TERMS

if TYPE_CHECKING:
    from connector.record.answer import Answer


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("A cat's slow-motion, 8K", ["a", "cat's", "slow", "motion", ".", "8k"]),
        ("Größe ÉTÉ", ["größe", "été"]),
        ("ＦＵＬＬ ｗｉｄｔｈ", ["full", "width"]),
        ("привет, мир", ["привет", ".", "мир"]),
        ("猫が走る", ["猫", "が", "走", "る"]),
        ("4K猫", ["4k", "猫"]),
        ("한국 고양이", ["한국", "고양이"]),
        ("สวย", ["ส", "ว", "ย"]),
        ("a 🎬 b", ["a", ".", "b"]),
        ("", []),
    ],
)
def test_words_are_runs_of_letters_in_any_script(text: str, found: list[str]) -> None:
    (split,) = words(pa.array([text])).to_pylist()
    split = [word for word in split if word]
    alone = np.arange(1, len(split) + 1, dtype=np.int32)[:, None]
    assert phrases([BREAK, *split], alone).to_pylist() == found


def test_phrases_of_scripts_without_blanks_are_written_without() -> None:
    used = [made(str(n), f"{n}x 4k 猫が走る") for n in range(5)]
    assert {term for term, row in rows_of(*used).items() if row["words"] > 1} == {
        *("4k 猫", "猫が", "が走", "走る", "4k 猫が", "猫が走", "が走る")
    }


def rows_of(*answers: Answer, least: int = 5) -> dict[str, dict[str, Any]]:
    rows = terms(reader(merged(*answers)), least=least)
    assert rows.schema.equals(TERMS.schema, check_metadata=True)
    return {row["term"]: row for row in rows.to_pylist()}


def test_a_term_needs_five_prompts() -> None:
    used = [made(f"{n}-{again}", f"red cat {n}x") for n in range(5) for again in range(3)]
    assert set(rows_of(*used)) == {"red", "cat", "red cat"}
    assert rows_of(*used[:12]) == {}, "four prompts, however often they are used"
    assert "0x" in rows_of(*used, least=1)


def test_phrases_have_up_to_three_words_and_end_where_a_comma_is() -> None:
    used = [made(str(n), f"one two three four, five {n}x") for n in range(5)]
    assert {term for term, row in rows_of(*used).items() if row["words"] > 1} == {
        *("one two", "two three", "three four", "one two three", "two three four")
    }


def test_a_phrase_does_not_run_on_into_the_next_prompt() -> None:
    texts = [text for n in range(6) for text in (f"{n}x red", f"blue {n}x")]
    used = [made(str(n), text) for n, text in enumerate(texts)]
    assert set(rows_of(*used)) == {"red", "blue"}


def test_a_term_is_held_against_all_prompts_without_it() -> None:
    used = [
        *(made(f"a{n}", f"red {n}x", "failed" if n < 3 else "completed", day=2) for n in range(5)),
        *(made(f"b{n}", f"blue {n}y", "failed" if n < 2 else "completed") for n in range(20)),
        made("c", "red 0x", "queued", day=9),
    ]
    moderated = made("a0", "red 0x", "failed", day=2, failure_reason="content moderation")
    used[0] = moderated
    red = rows_of(*used)["red"]
    assert (red["prompts"], red["uses"], red["completed"], red["failed"]) == (5, 6, 2, 3)
    assert (red["failure_share"], red["failure_share_without"]) == (0.6, 0.1)
    assert red["moderation_share"] == 0.2
    assert isclose(red["failure_difference"], 0.5)
    # Newcombe's interval of 3/5 − 2/20, by hand: Wilson's are 0.231–0.882 and 0.028–0.301.
    assert isclose(red["failure_difference_lower"], 0.0795, abs_tol=5e-4)
    assert isclose(red["failure_difference_upper"], 0.7914, abs_tol=5e-4)
    assert not red["is_sure"]
    assert (red["first_used_at"].day, red["last_used_at"].day) == (2, 9)


def test_a_term_that_all_prompts_hold_has_nothing_to_be_held_against() -> None:
    used = [made(f"{n}", f"red {n}x", "failed" if n < 3 else "completed") for n in range(9)]
    red = rows_of(*used)["red"]
    assert (red["failure_share_without"], red["failure_difference"]) == (None, None)
    assert red["is_sure"] is False


def test_the_interval_is_the_one_that_newcombe_published() -> None:
    """Statistics in Medicine 17 (1998), table II: examples (a) and (c), by method 10."""
    for (a, m, b, n), (lower, upper) in {
        (56, 70, 48, 80): (0.0524, 0.3339),
        (9, 10, 3, 10): (0.1705, 0.8090),
    }.items():
        shares = (np.array([x]) for x in (a / m, m, b / n, n))
        _, low, high = newcombe(*shares, 1.959964)
        assert (round(float(low[0]), 4), round(float(high[0]), 4)) == (lower, upper)


def test_fishers_test_adds_up_the_tail() -> None:
    def exact(x1: int, n1: int, x2: int, n2: int) -> float:
        if x1 / n1 < x2 / n2:
            return exact(n1 - x1, n1, n2 - x2, n2)
        ways = [comb(n1, k) * comb(n2, x1 + x2 - k) for k in range(x1, min(n1, x1 + x2) + 1)]
        return min(2 * sum(ways) / comb(n1 + n2, x1 + x2), 1)

    cases = [(3, 5, 2, 20), (1, 40, 300, 2_000), (60, 300, 400, 4_000), (5, 5, 0, 7), (0, 9, 8, 9)]
    columns = (np.array(column, float) for column in zip(*cases, strict=True))
    x1, n1, x2, n2 = columns
    found = fisher(x1 / n1, n1, x2 / n2, n2)
    assert np.allclose(found, list(starmap(exact, cases)), rtol=1e-6)


def test_uses_of_a_prompt_that_always_end_alike_count_as_one() -> None:
    sizes, alike = np.array([10.0, 10, 10, 10]), np.array([10.0, 0, 0, 10])
    assert isclose(correlation(sizes, alike), 1)
    assert correlation(sizes, np.array([5.0, 5, 5, 5])) == 0
    used = [
        made(
            f"{n}-{again}", f"{'red' if n < 5 else 'blue'} {n}x", "failed" if n < 5 else "completed"
        )
        for n in range(60)
        for again in range(20)
    ]
    row = rows_of(*used)["red"]
    # As wide as the interval of 5/5 − 0/55, not as that of 100/100 − 0/1,100.
    assert row["failure_difference_lower"] < 0.6


def history(
    seed: int, *, prompts: int = 1_500, uses: int = 5_000, more_with: str = "", repeat: bool = False
) -> pa.Table:
    """Generations that fail by chance, 4% of them by moderation; twice as often with a phrase."""
    draw = np.random.default_rng(seed)
    vocabulary = np.array([f"w{n}" for n in range(800)])
    ranks = np.exp(draw.random((prompts, 10)) * np.log(len(vocabulary))).astype(int) - 1
    texts = np.array([" ".join(row) for row in vocabulary[ranks]])
    has_phrase = draw.random(prompts) < 0.08
    if more_with:
        texts = np.where(has_phrase, np.strings.add(texts, f" {more_with}"), texts)
    chance = np.where(has_phrase & bool(more_with), 0.3, 0.15)
    used = draw.integers(0, prompts, uses)
    fate = draw.random(prompts)[used] if repeat else draw.random(uses)
    failed = fate < chance[used]
    when = pa.array(np.arange(uses) * 60_000_000).cast(GENERATIONS["created_at"].type)
    columns = {
        "prompt_id": pa.array([prompt_id(str(texts[n])) for n in used]),
        "prompt": pa.array(texts[used]),
        "created_at": when,
        "first_seen_at": when,
        "status": pa.array(np.where(failed, "failed", "completed")),
        "failure_category": pa.array(np.where(failed, "moderation", None), pa.string()),
    }
    gaps = {field.name: pa.nulls(uses, field.type) for field in GENERATIONS.schema}
    return pa.table({**gaps, **columns})


@pytest.mark.parametrize("seed", range(3))
def test_a_phrase_that_doubles_failures_is_at_the_top(seed: int) -> None:
    rows = terms(reader(history(seed, more_with="glass dragon"), 4_096)).to_pylist()
    assert rows[0]["term"] == "glass dragon"
    assert rows[0]["is_sure"]
    assert rows[0]["failure_difference_lower"] > 0
    assert all("glass" in row["term"] or "dragon" in row["term"] for row in rows if row["is_sure"])


@pytest.mark.parametrize("repeat", [False, True], ids=["each by chance", "prompts have a fate"])
def test_histories_without_a_cause_raise_no_alarm(repeat: bool) -> None:
    """At most one in twenty; benchmarks/prompts_and_timing.py has 200 histories."""
    alarms = sum(
        terms(reader(history(100 + seed, repeat=repeat), 4_096))["is_sure"][0].as_py()
        for seed in range(20)
    )
    assert alarms <= 1


def test_terms_are_the_same_however_many_words_are_sorted_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    used = [made(str(n), f"w{n % 7} w{n % 5} fox, w{n % 3} w{n}") for n in range(200)]
    read = reader(merged(*used))
    at_once = terms(read)
    monkeypatch.setattr(module, "SORTED", 20)
    monkeypatch.setattr(module, "PIECE_TEXTS", 16)
    assert terms(read).equals(at_once)
    assert len(at_once) > 30


def test_keys_that_leave_no_room_for_their_places_are_sorted_as_well() -> None:
    draw = np.random.default_rng(1)
    for largest in (50, 2**62):
        keys = draw.integers(0, largest, 1_000)
        assert module._sorted(keys).tolist() == np.argsort(keys, kind="stable").tolist()
