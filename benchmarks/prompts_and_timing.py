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
from collections import Counter, defaultdict
from datetime import timedelta
from itertools import combinations
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
    """Families by MinHash against an exact search, as pairs of prompts in one family."""
    texts = varied(Path(file).read_text(encoding="utf-8").splitlines(), count)
    started = time.process_time()
    tokens = Tokens()
    tokens.add(pa.chunked_array([texts]))
    codes, of = tokens.codes(), tokens.texts()
    hashes = near_duplicates.hashes_of(list(tokens.vocabulary))[codes[codes > 0]]
    sets = near_duplicates.sets_of(hashes, of[codes > 0], len(texts))
    found = near_duplicates.families(sets, np.arange(len(texts)))
    seconds = time.process_time() - started
    ours, truth = _pairs(found.tolist()), _pairs(exact(sets, len(texts)))
    both = len(ours & truth)
    say(f"{count:,} prompts in {len(set(found.tolist())):,} families, {seconds:.1f} s")
    say(f"precision {both / len(ours):.4f}, recall {both / len(truth):.4f}, {len(truth):,} pairs")


def varied(prompts: Sequence[str], count: int) -> list[str]:
    """Prompts in other case, with other punctuation, with a word more or less; in any order."""
    draw = np.random.default_rng(5)
    found = dict.fromkeys(prompts)
    while len(found) < count:
        words = str(draw.choice(prompts)).split()
        kind, position = draw.integers(5), int(draw.integers(len(words)))
        if kind == 0:
            words = [word.upper() for word in words]
        elif kind == 1:
            words[-1] += str(draw.choice([".", "!", "..."]))
        elif kind == 2 and len(words) > 3:  # noqa: PLR2004  or too little would be left
            del words[position]
        else:
            words.insert(position, str(draw.choice(EXTRA)))
        found[" ".join(words)] = None
    texts = list(found)
    draw.shuffle(texts)
    return texts


def exact(sets: near_duplicates.Set, count: int) -> list[int]:
    """The same rule, with every family's first prompt compared that shares a word."""
    words, offsets = sets
    texts = [frozenset(words[offsets[n] : offsets[n + 1]].tolist()) for n in range(count)]
    holds: defaultdict[int, list[int]] = defaultdict(list)
    known: dict[frozenset[int], int] = {}
    for number, here in enumerate(texts):
        if here in known:
            continue
        shared = Counter(first for word in here for first in holds.get(word, ()))
        like = [(n / (len(here) + len(texts[one]) - n), -one) for one, n in shared.items()]
        best = max(like, default=(0.0, 0))
        known[here] = -best[1] if best[0] >= near_duplicates.SIMILAR else number
        if known[here] == number:
            for word in here:
                holds[word].append(number)
    return [known[here] for here in texts]


def _pairs(labels: Sequence[int]) -> set[tuple[int, int]]:
    members: defaultdict[int, list[int]] = defaultdict(list)
    for position, label in enumerate(labels):
        members[label].append(position)
    return {pair for group in members.values() for pair in combinations(group, 2)}


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
                f" {max(off):.1%} at most",
            )


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
