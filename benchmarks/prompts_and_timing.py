"""What the marts on prompts and timing cost, and whether they find truths that were planted.

`python -m benchmarks.prompts_and_timing cost|families|alarms|timing [FILE]`: each prints its
figures. `families` takes a file of prompts, one a line, which it varies; those of the PyPI package
`vbench` are 944 (`prompt_en` in its VBench_full_info.json).
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from rich.console import Console

from connector.marts import curves, near_duplicates
from connector.marts.curves import turnarounds
from connector.marts.tokens import Tokens
from connector.record.schema import GENERATIONS
from connector.storage import parquet
from connector.warehouse import refresh
from connector.warehouse.overview import overview
from connector.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from histories import SCENARIOS, history, quantile, share_finished, timings_of

EXTRA = ("slowly", "at", "night", "music", "rain", "cinematic", "dramatic", "golden", "aerial")

say = Console(highlight=False).print


def cost(uses: int = 1_000_000, prompts: int = 300_000) -> None:
    """Time and memory of all marts, in a process of their own."""
    with tempfile.TemporaryDirectory() as folder:
        with Warehouse.writing(folder) as warehouse:
            names = [
                f"generations/created_month=2025-{10 + n}/generations.parquet" for n in range(3)
            ]
            pieces = list(history(1, uses, prompts, "glass dragon"))
            third = -(-len(pieces) // 3)
            for n, name in enumerate(names):
                part = pieces[n * third : (n + 1) * third]
                parquet.write_table(warehouse.storage, name, GENERATIONS, part)
        say(f"{folder} is written")
        subprocess.run([sys.executable, "-m", __spec__.name, "rebuild", folder], check=True)  # noqa: S603


def rebuild(folder: str) -> None:
    """Make all marts of a warehouse."""
    storage = Warehouse.existing(folder).storage
    started, used = time.monotonic(), time.process_time()
    refresh.rebuild(storage, storage.list("generations"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    seconds, cpu = time.monotonic() - started, time.process_time() - used
    say(f"all marts: {seconds:.1f} s, {cpu:.1f} s of processor, peak {peak:,.0f} MiB")


def families(file: str, count: int = 20_000) -> None:
    """Pairs of prompts in one family against those that are alike by an exact search.

    Once with all prompts, of which many are alike themselves, and once with those that are not.
    """
    prompts = Path(file).read_text(encoding="utf-8").splitlines()
    for name, chosen in (("all", prompts), ("unlike", _unlike(prompts))):
        texts, origins = varied(chosen, count * len(chosen) // len(prompts))
        started = time.process_time()
        sets = _sets(texts)
        found = near_duplicates.families(sets, np.arange(len(texts)))
        seconds = time.process_time() - started
        count_of = len(np.unique(found))
        say(f"{name}: {len(texts):,} prompts in {count_of:,} families, {seconds:.1f} s")
        one, other = alike(sets, len(texts), near_duplicates.SIMILAR)
        _say("alike", int((found[one] == found[other]).sum()), _pairs(found), len(one))
        for kind, truth in (
            ("in one family if all are compared", _all_compared(sets, len(texts))),
            ("linked", _linked(one, other, len(texts))),
            ("of one origin", origins),
        ):
            both = _pairs(found * len(texts) + truth)
            _say(kind, both, _pairs(found), _pairs(truth))


def _say(name: str, both: int, ours: int, truth: int) -> None:
    say(f"  {name}: precision {both / ours:.3f}, recall {both / truth:.3f}, {truth:,} pairs")


def _pairs(labels: NDArray[np.int64]) -> int:
    counts = np.unique(labels, return_counts=True)[1]
    return int((counts * (counts - 1) // 2).sum())


def _sets(texts: Sequence[str]) -> near_duplicates.Sets:
    tokens = Tokens()
    tokens.add(pa.chunked_array([texts]))
    return near_duplicates.Sets.of(tokens)


def _unlike(prompts: Sequence[str]) -> list[str]:
    """Prompts of which no two share half of their words."""
    left = set(range(len(prompts)))
    for one, other in zip(*alike(_sets(prompts), len(prompts), 0.5), strict=True):
        if one in left:
            left.discard(other)
    return [prompts[n] for n in sorted(left)]


def varied(prompts: Sequence[str], count: int) -> tuple[list[str], NDArray[np.int64]]:
    """Prompts in other case, with other punctuation, with a word more or less; in any order.

    Returns:
        The texts, and for each the place of the prompt that it comes from.
    """
    draw = np.random.default_rng(5)
    found = {text: place for place, text in enumerate(prompts)}
    while len(found) < count:
        place = int(draw.integers(len(prompts)))
        words = prompts[place].split()
        kind, position = draw.integers(5), int(draw.integers(len(words)))
        if kind == 0:
            words = [word.upper() for word in words]
        elif kind == 1:
            words[-1] += str(draw.choice([".", "!", "..."]))
        elif kind == 2 and len(words) > 3:  # noqa: PLR2004  or too little would be left
            del words[position]
        else:
            words.insert(position, str(draw.choice(EXTRA)))
        found.setdefault(" ".join(words), place)
    texts = list(found)
    draw.shuffle(texts)
    return texts, np.array([found[text] for text in texts])


def alike(
    sets: near_duplicates.Sets, count: int, least: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs whose words share as much, all held against all."""
    words, lengths = sets.distinct(np.arange(count))
    holds = np.zeros((count, len(sets.hashes)), np.float32)
    holds[np.repeat(np.arange(count), lengths), words] = 1
    sizes = holds.sum(axis=1)
    found = []
    for start in range(0, count, 500):
        shared = holds[start : start + 500] @ holds.T
        union = np.maximum(sizes[start : start + 500, None] + sizes - shared, 1)
        found.append(np.argwhere(shared / union >= np.float32(least)) + np.array([start, 0]))
    one, other = np.concatenate(found).T
    return one[one < other], other[one < other]


def _all_compared(sets: near_duplicates.Sets, count: int) -> NDArray[np.int64]:
    """Families by the same rule, if every text is proposed to every other that it is like."""
    order = np.arange(count)

    def propose(
        sets: near_duplicates.Sets, wordings: NDArray[np.int64]
    ) -> near_duplicates.Proposals:
        place = np.full(count, -1)
        place[wordings] = np.arange(len(wordings))
        pairs = np.stack([place[found] for found in alike(sets, count, near_duplicates.SIMILAR)])
        earlier, later = np.sort(pairs[:, (pairs >= 0).all(axis=0)], axis=0)
        ranked = np.lexsort((earlier, later))
        starts = np.searchsorted(later[ranked], np.arange(len(wordings) + 1))
        return earlier[ranked], starts

    return near_duplicates.families(sets, order, propose)


def _linked(one: NDArray[np.int64], other: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Components: the first text that each is linked to over pairs that are alike."""
    of, before = np.arange(count), np.empty(0)
    while not np.array_equal(of, before):
        before = of.copy()
        np.minimum.at(of, one, of[other])
        np.minimum.at(of, other, of[one])
    return of


def alarms(histories: int = 200, uses: int = 10_000, prompts: int = 4_000) -> None:
    """How many histories without a cause have anything that stands out."""
    found = [stands_out(history(1_000 + seed, uses, prompts)) for seed in range(int(histories))]
    say(f"{sum(map(bool, found))} of {histories} null histories raise an alarm")
    for sentence in filter(None, found):
        say(f"  {sentence}")
    planted = {"slow_at_night": True, "variants": (300, 2_000)}
    for sentence in stands_out(history(7, 50_000, 20_000, "glass dragon", **planted)):
        say(sentence)


def stands_out(pieces: Iterable[pa.Table]) -> tuple[str, ...]:
    """What `show`, the flow and the report tell at the top."""
    with tempfile.TemporaryDirectory() as folder, Warehouse.writing(folder) as warehouse:
        name = "generations/created_month=2025-10/generations.parquet"
        parquet.write_table(warehouse.storage, name, GENERATIONS, pieces)
        refresh.rebuild(warehouse.storage, warehouse.generations.files().values())
        return overview(warehouse, timedelta(days=7)).stands_out


def timing(histories: int = 20) -> None:
    """How often the band holds the truth, and how far the median is off."""
    curves.GROUPED_BY = ("all",)
    for count in (300, 3_000, 20_000):
        for scenario in SCENARIOS:
            shares, quantiles, medians = [], [], []
            for seed in range(histories):
                rows = timings_of(10_000 * count + seed, count, scenario)
                found = turnarounds([rows])
                points = found.turnaround
                truth = share_finished(points["seconds"].to_numpy())
                lower, upper = (points[f"share_{end}"].to_numpy() for end in ("lower", "upper"))
                shares += ((lower <= truth) & (truth <= upper)).tolist()
                row = found.quantiles.to_pylist()[0]
                for level in (10, 50, 90):
                    high = row[f"p{level}_upper"]
                    high = np.inf if high is None else high
                    quantiles.append(row[f"p{level}_lower"] <= quantile(level / 100) <= high)
                medians.append(row["p50"])
            off = [abs(median / 100 - 1) for median in medians if median is not None]
            say(
                f"{count:>6} {scenario:>8}: shares {np.mean(shares):.3f},"
                f" quantiles {np.mean(quantiles):.3f}, median off by {np.mean(off):.1%} on average,"
                f" {max(off):.1%} at most"
            )


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
