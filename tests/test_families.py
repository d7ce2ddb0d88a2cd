"""Families of near-duplicate prompts: found, and stable whatever comes later."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from builders import NOON, answer
from hypothesis import given, settings
from hypothesis import strategies as st
from test_marts import made, merged, reader

from connector.marts import near_duplicates
from connector.marts.distinct_prompts import gather
from connector.marts.prompts import families, prompts
from connector.marts.tokens import Tokens
from connector.record.derive import prompt_id
from connector.record.schema import FAMILIES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from connector.record.answer import Answer


def family_of(*answers: Answer) -> dict[str, str]:
    """For each prompt, the prompt that its family is named after."""
    rows = pa.concat_tables(prompts(reader(merged(*answers)))).to_pylist()
    text = {row["prompt_id"]: row["prompt"] for row in rows}
    return {row["prompt"]: text[row["family_id"]] for row in rows}


def in_turn(*texts: str) -> dict[str, str]:
    """The same of prompts that were fetched one after the other."""
    fetched = [
        made(str(number), text)._replace(fetched_at=NOON + timedelta(seconds=number))
        for number, text in enumerate(texts)
    ]
    return family_of(*fetched)


CAT = "a grey cat walks slowly over the old bridge"


@pytest.mark.parametrize(
    "like_it",
    [
        pytest.param(CAT.upper(), id="case"),
        pytest.param(f"{CAT}!!", id="punctuation"),
        pytest.param(CAT.replace("cat walks", "cat, walks").replace("-", " "), id="a comma"),
        pytest.param(CAT.replace("grey ", ""), id="a word less"),
        pytest.param(f"{CAT} again", id="a word more"),
        pytest.param(CAT.replace("old", "new"), id="another word"),
    ],
)
def test_near_duplicates_are_one_family(like_it: str) -> None:
    found = in_turn(CAT, "two dogs play in the snow", like_it)
    assert found[like_it] == found[CAT] == CAT
    assert found["two dogs play in the snow"] == "two dogs play in the snow"


def test_scripts_without_blanks_have_families_too() -> None:
    found = in_turn(
        "灰色の猫が古い橋をゆっくり渡る", "灰色の猫が古い橋をゆっくり渡る。", "雪の中で遊ぶ犬"
    )
    assert len(set(found.values())) == 2


@pytest.mark.parametrize("others", [(), (CAT, f"{CAT}!")], ids=["alone", "among others"])
def test_prompts_without_a_word_are_like_no_other(others: tuple[str, ...]) -> None:
    """Two videos of emoji, or of what nobody can see, need not have anything in common."""
    wordless = ("", "!!!", "…", "🎬🎥", "🐈", "\u200b", "\x00")
    found = in_turn(*others, *wordless)
    assert {text: found[text] for text in wordless} == dict(zip(wordless, wordless, strict=True))
    assert {found[text] for text in others} == {*others[:1]}


WORDS = st.lists(st.sampled_from("abcdefghij"), min_size=1, max_size=8).map(" ".join)


@settings(max_examples=60, deadline=None)
@given(st.lists(WORDS, min_size=2, max_size=30, unique=True), st.integers(1, 29))
def test_prompts_that_come_later_change_no_family(texts: list[str], known: int) -> None:
    before, after = in_turn(*texts[:known]), in_turn(*texts)
    assert {text: after[text] for text in before} == before


def test_a_bridge_between_two_families_leaves_both_as_they_are() -> None:
    one, other = "a b c d e f g h", "c d e f g h i j"  # 6 words of 10 are the same
    bridge = "b c d e f g h i"  # 7 of 9 with either
    assert in_turn(one, other) == {one: one, other: other}
    assert in_turn(one, other, bridge) == {one: one, other: other, bridge: one}


def test_a_prompt_that_was_created_earlier_but_fetched_later_takes_no_family_over() -> None:
    early = made("a", CAT, day=1)
    late = made("b", f"{CAT} again", day=2)._replace(fetched_at=NOON - timedelta(days=1))
    assert set(family_of(early, late).values()) == {f"{CAT} again"}


def alike(texts: Sequence[str]) -> set[tuple[int, int]]:
    """Pairs that share 70% of their words, by comparing all with all."""
    words = {word: n for n, word in enumerate({word for text in texts for word in text.split()})}
    holds = np.zeros((len(texts), len(words)), np.float32)
    for row, text in zip(holds, texts, strict=True):
        row[[words[word] for word in text.split()]] = 1
    shared, sizes = holds @ holds.T, holds.sum(axis=1)
    union = sizes[:, None] + sizes - shared
    return {(a, b) for a, b in np.argwhere(10 * shared >= 7 * union).tolist() if a < b}


def test_families_are_the_pairs_that_are_alike_by_an_exact_search() -> None:
    """Pairs in one family, of 2,000 variants of 100 prompts: precision and recall from 95% on."""
    draw = np.random.default_rng(7)
    base = [
        " ".join(f"w{n}" for n in draw.integers(0, 400, size)) for size in draw.integers(5, 9, 100)
    ]
    texts = [_varied(str(draw.choice(base)), draw) for _ in range(2_000)]
    tokens = Tokens()
    tokens.add(pa.chunked_array([texts]))
    sets = near_duplicates.Sets.of(tokens)
    ours, truth = _pairs(near_duplicates.families(sets, np.arange(len(texts)))), alike(texts)
    both = len(ours & truth)
    assert both / len(ours) >= 0.95
    assert both / len(truth) >= 0.95
    assert len(truth) > 3_000, "there is something to find"


@pytest.mark.parametrize("pairs", [0, 100])
def test_families_are_the_same_however_many_pairs_are_looked_at_at_once(
    pairs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = Tokens()
    tokens.add(pa.chunked_array([[f"{CAT} {n % 40} {n % 7}" for n in range(300)]]))
    sets, order = near_duplicates.Sets.of(tokens), np.arange(300)
    at_once = near_duplicates.families(sets, order)
    monkeypatch.setattr(near_duplicates, "MOST_PAIRS", pairs)
    assert near_duplicates.families(sets, order).tolist() == at_once.tolist()


def test_a_prompt_joins_if_half_of_the_family_is_like_it_though_the_first_is_not() -> None:
    assert set(in_turn("a b c d x", "a b c d", "a b c d y").values()) == {"a b c d x"}


def test_a_chain_is_not_one_family() -> None:
    letters = "abcdefghijklmnopqrst"
    chain = [" ".join(letters[n : n + 8]) for n in range(13)]  # 7 of 9 with the next
    assert len(set(in_turn(*chain).values())) > 3


def _varied(text: str, draw: np.random.Generator) -> str:
    words = text.split()
    position = int(draw.integers(len(words)))
    if draw.random() < 0.5:
        words.insert(position, f"x{draw.integers(50)}")
    else:
        del words[position]
    return " ".join(words)


def _pairs(families_of: np.ndarray) -> set[tuple[int, int]]:
    members: dict[int, list[int]] = {}
    for position, family in enumerate(families_of.tolist()):
        members.setdefault(family, []).append(position)
    return {(a, b) for group in members.values() for a in group for b in group if a < b}


def test_300_families_that_hide_2000_prompts_are_at_the_top() -> None:
    draw = np.random.default_rng(3)
    families_there = [" ".join(f"v{n}" for n in draw.integers(0, 3_000, 12)) for _ in range(300)]
    hidden = [
        text + end
        for number, text in enumerate(families_there)
        for end in (*("", "!", " x", " y", " z", " q"), " r")[: 6 + (number % 3 > 0)]
    ]
    alone = [" ".join(f"u{n}" for n in draw.integers(0, 3_000, 12)) for _ in range(2_000)]
    texts = [*hidden, *alone]
    draw.shuffle(texts)
    generations = merged(*(made(str(number), text) for number, text in enumerate(texts)))
    rows = pa.concat_tables(families(reader(generations, 1_000)))
    assert rows.schema.equals(FAMILIES.schema, check_metadata=True)
    top = rows.slice(0, 300).to_pylist()
    assert sum(row["prompts"] for row in top) == len(hidden) == 2_000
    assert rows["prompts"][300].as_py() == 1


def test_a_family_counts_the_uses_of_all_its_prompts() -> None:
    rows = pa.concat_tables(
        families(
            reader(
                merged(
                    made("a", CAT, day=3),
                    made("b", f"{CAT}!", "failed", day=2),
                    made("c", f"{CAT}!", "queued", day=5),
                    made("d", "two dogs", day=9),
                )
            )
        )
    ).to_pylist()
    cat, dogs = rows
    assert cat["prompt"] == f"{CAT}!", "its most used wording"
    assert (cat["prompts"], cat["uses"], cat["completed"], cat["failed"]) == (2, 3, 1, 1)
    assert (cat["unfinished"], cat["failure_share"]) == (1, 0.5)
    assert (cat["first_used_at"].day, cat["last_used_at"].day) == (2, 5)
    assert dogs["family_id"] == prompt_id("two dogs")


# Repeats.


def tries(*answers: Answer) -> tuple[Any, Any]:
    (row,) = pa.concat_tables(prompts(reader(merged(*answers)))).to_pylist()
    return row["tries_until_completed"], row["tries_after_failure"]


def test_tries_are_counted_in_order_of_creation() -> None:
    assert tries(made("a", "x")) == (1, None)
    assert tries(made("z", "x", day=2), made("a", "x", "failed", day=1)) == (2, 1)
    assert tries(made("a", "x", day=1), made("b", "x", "failed", day=2)) == (1, 0)
    assert tries(made("a", "x", "failed"), made("b", "x", "queued", day=2)) == (None, 1)
    undated = answer("u", {"state": "completed", "prompt": "x"})
    assert tries(undated, made("a", "x", "failed")) == (2, 1), "unknown times come last"


def test_gathering_once_is_as_good_as_each_time() -> None:
    generations = merged(*(made(str(n), f"{CAT} {n % 5}", day=1 + n % 9) for n in range(40)))
    read = reader(generations, 7)
    gathered = gather(read)
    for mart in (prompts, families):
        once, each = pa.concat_tables(mart(read, gathered)), pa.concat_tables(mart(read))
        assert once.equals(each)
