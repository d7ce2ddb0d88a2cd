"""The short form of `make chaos`: crashes, disks that fail, readers meanwhile, hostile answers.

What must hold after each is in `chaos/checks.py`; how a process is struck, in `chaos/killer.py`.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from chaos import disks, fuzz, hostile, readers, sudden
from chaos.budget import Budget
from chaos.checks import Lost, check_final, check_readable, comparable, read_all, received
from chaos.crashes import Crew, Pasts, make_past, points_of, strike
from chaos.killer import Act, kind_of
from chaos.scenario import INGEST, SCENARIOS, World, damaged, grown

from connector.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

STRIKES = 4
needs_mount = pytest.mark.skipif(not disks.can_mount(), reason="only root may mount a disk")


@pytest.fixture(scope="module")
def crew(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crew]:
    with Crew(tmp_path_factory.mktemp("crew")) as crew:
        yield crew


@pytest.fixture(scope="module")
def pasts(crew: Crew) -> Callable[[str], Pasts]:
    """Scenarios, each lived through once."""
    made: dict[str, Pasts] = {}

    def past(name: str) -> Pasts:
        if name not in made:
            made[name] = make_past(crew, SCENARIOS[name])
        return made[name]

    return past


@pytest.fixture
def world(crew: Crew) -> Iterator[World]:
    """An empty world."""
    with crew.lent() as world:
        shutil.rmtree(world.warehouse, ignore_errors=True)
        world.sandbox.reset()
        yield world


def struck(crew: Crew, past: Pasts, act: Act) -> list[str]:
    """What is lost at some points, evenly spread."""
    points = points_of(past.points)[:: -(-len(past.points) // STRIKES)]
    found = crew.each(lambda world, point: strike(world, past, act, point), points)
    return [lost for lost in found if lost]


@pytest.mark.parametrize("name", ["first run", "run that spills", "compact", "rebuild", "repair"])
def test_nothing_is_lost_when_a_command_is_killed_at_a_write_point(
    crew: Crew, pasts: Callable[[str], Pasts], name: str
) -> None:
    assert struck(crew, pasts(name), Act.KILL) == []


@pytest.mark.parametrize("act", [Act.FULL, Act.READ_ONLY])
def test_a_disk_that_fails_in_mid_run_is_told_once_and_costs_nothing(
    crew: Crew, pasts: Callable[[str], Pasts], act: Act
) -> None:
    assert struck(crew, pasts("run that spills"), act) == []


def test_nothing_is_lost_when_a_process_is_killed_at_a_random_time(
    crew: Crew, pasts: Callable[[str], Pasts]
) -> None:
    found = sudden.kill_at_random(crew, pasts("later run"), sudden.COMMAND_LINE, Budget(0.0, 3))
    assert found.lost == []
    assert found.done >= 3


def test_every_way_to_change_a_file_is_a_write_point(pasts: Callable[[str], Pasts]) -> None:
    kinds = set(map(kind_of, pasts("run that spills").points))
    assert kinds >= {
        "open .lock",
        "write .lock-owner.json",
        "open inbox draft",
        "write inbox draft",
        "fsync inbox",
        "rename inbox",
        "write .spill",
        "remove .spill",
        "write generations/generations.parquet draft",
        "rename generations/generations.parquet",
        "fsync generations",
        "rename rejects/rejects.parquet",
        "rename answers",
        "rename runs",
    }


# The checks themselves: each must notice what it is there for.


def a_row_twice(root: Path) -> None:
    one, other = sorted((root / "generations").rglob("*=2025-*/*.parquet"))[-2:]
    rows = [pd.read_parquet(path, partitioning=None) for path in (one, other)]
    pd.concat([rows[0], rows[1].head(1)]).to_parquet(one)


def a_row_gone(root: Path) -> None:
    path = max((root / "generations").rglob("*=2025-*/*.parquet"))
    pd.read_parquet(path, partitioning=None).iloc[1:].to_parquet(path)


def a_row_older(root: Path) -> None:
    path = max((root / "generations").rglob("*=2025-*/*.parquet"))
    rows = pd.read_parquet(path, partitioning=None)
    rows.assign(fetched_at=rows.fetched_at - pd.Timedelta(seconds=1)).to_parquet(path)


def a_file_torn(root: Path) -> None:
    path = root / "rejects/rejects.parquet"
    path.write_bytes(path.read_bytes()[:-9])


@pytest.mark.parametrize("damage", [a_row_twice, a_row_gone, a_row_older, a_file_torn])
def test_a_broken_table_is_noticed_at_once(
    pasts: Callable[[str], Pasts], tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    past, root = next(iter(pasts("later run").values())), tmp_path / "warehouse"
    shutil.copytree(past.snapshot, root)
    check_readable(root, past.before)
    damage(root)
    with pytest.raises(Lost):
        check_readable(root, past.before)


def an_answer_gone(root: Path) -> None:
    min((root / "answers").rglob("*.parquet")).unlink()


def an_answer_twice(root: Path) -> None:
    path = min((root / "answers").rglob("*.parquet"))
    shutil.copy(path, path.with_name("again.parquet"))


def a_counter_off(root: Path) -> None:
    path = max((root / "generations").rglob("*=2025-*/*.parquet"))
    rows = pd.read_parquet(path, partitioning=None)
    rows.assign(fetches=rows.fetches + 1).to_parquet(path)


def a_value_off(root: Path) -> None:
    path = max((root / "generations").rglob("*=2025-*/*.parquet"))
    pd.read_parquet(path, partitioning=None).assign(prompt="other").to_parquet(path)


def a_draft_left(root: Path) -> None:
    (root / ".tmp").mkdir(exist_ok=True)
    (root / ".tmp/draft").write_bytes(b"half")


@pytest.mark.parametrize(
    "damage", [an_answer_gone, an_answer_twice, a_counter_off, a_value_off, a_draft_left]
)
def test_a_difference_to_an_undisturbed_run_is_noticed(
    world: World, damage: Callable[[Path], None]
) -> None:
    world.run("ingest", "earlier.txt")
    undisturbed = comparable(read_all(world.warehouse))
    check_final(world.warehouse, undisturbed)
    damage(world.warehouse)
    with pytest.raises(Lost):
        check_final(world.warehouse, undisturbed)


# Disks and damage, in the words that a person sees.


@needs_mount
@pytest.mark.parametrize(("left", "is_reached"), [(28_000, False), (128_000, True)])
def test_a_disk_that_fills_up_ends_the_run_with_4_and_the_next_one_goes_on(
    world: World, left: int, is_reached: bool
) -> None:
    """It fills while answers are saved, or while those of all task IDs are committed."""
    with disks.disk(world.warehouse, "8m") as disk:
        with Warehouse.writing(world.warehouse):
            pass  # the tables without rows
        disk.remount(f"size={disk.used() + left}")
        full = world.run(*INGEST)
        assert full.exit_code == 4
        summary = full.summary()
        assert "No space left on device" in summary["message"]
        assert "the next run goes on from here" in summary["message"]
        assert "Traceback" not in full.stderr
        kept = received(world.warehouse)
        assert summary["fetched"] + summary["rejected"] == kept.by_run.get(summary["run_id"], 0)
        assert (summary["not_reached"] == 0) == is_reached
        disk.remount("size=8m")
        rest = world.run(*INGEST)
        assert (rest.exit_code, rest.summary()["requests"]) == (
            0,
            len(set(world.given) - kept.settled),
        )
        world.settle()
        check_final(world.warehouse, comparable(read_all(world.warehouse)))


@needs_mount
def test_a_disk_too_small_for_the_tables_without_rows_is_told_in_a_line(world: World) -> None:
    with disks.disk(world.warehouse, "40k") as disk:
        full = world.run(*INGEST)
        assert full.exit_code == 4
        assert "No space left on device" in full.stderr
        assert "Traceback" not in full.stderr
        disk.remount("size=8m")
        assert world.run(*INGEST).exit_code == 0
        world.settle()
        check_final(world.warehouse, comparable(read_all(world.warehouse)))


@needs_mount
def test_a_read_only_warehouse_is_told_in_a_line_and_can_still_be_read(world: World) -> None:
    with disks.disk(world.warehouse, "8m") as disk:
        grown(world)
        before = read_all(world.warehouse)
        disk.remount("ro")
        asked = world.asked()
        refused = world.run("ingest", "ids.txt")
        assert refused.exit_code == 2
        assert refused.stderr.strip().endswith("cannot write to warehouse: Read-only file system")
        assert world.asked() == asked
        assert world.run("show").exit_code == 0
        check_readable(world.warehouse, before)
        disk.remount("rw")
        assert world.run("ingest", "ids.txt").exit_code == 0


def test_an_inbox_file_cut_short_is_set_aside_and_its_task_ids_asked_for_again(
    world: World,
) -> None:
    grown(world)
    path = min((world.warehouse / "inbox").glob("*"))
    content = path.read_bytes()
    lost = set(pd.read_parquet(path).task_id)
    path.write_bytes(content[: len(content) // 2])
    world.sandbox.reset()
    done = world.run(*INGEST)
    assert done.exit_code == 0
    assert "A copy is kept as" in done.stderr
    assert "requests its task IDs again" in done.stderr
    assert (world.warehouse / "damaged" / path.name).exists()
    assert lost <= set(world.asked())
    assert set(pd.read_parquet(world.warehouse / "generations").task_id) >= lost - {
        "bad-not-found-1",
        "first2-server-error-1",
    }


def test_a_partition_cut_short_is_rebuilt_from_the_log_and_that_is_said(world: World) -> None:
    damaged(world)
    known = received(world.warehouse).settled
    world.sandbox.reset()
    done = world.run(*INGEST)
    assert done.exit_code == 0
    assert "generations.parquet cannot be read" in done.stderr
    assert "Rebuilding all tables from the log of answers" in done.stderr
    assert not known & set(world.asked())
    world.settle()
    check_final(world.warehouse, comparable(read_all(world.warehouse)))


# Readers, and answers that nobody would want.


def test_readers_are_right_while_a_run_writes(tmp_path: Path) -> None:
    watched = readers.read_while_writing(tmp_path, 4, readers.engines())
    assert watched.commits > 0
    for engine, ways in watched.readings.items():
        for way, found in ways.items():
            assert found.wrong == [], f"{engine} {way}"
            assert found.tried > 0, f"{engine} {way}"
            if engine not in readers.MAY_FAIL:
                assert found.failures == 0, f"{engine} {way}: {found.example}"


def test_the_end_of_each_kind_of_bad_answer_is_declared() -> None:
    assert hostile.undeclared() == []


def test_every_kind_of_bad_answer_at_once_ends_as_declared_in_bounded_memory(
    tmp_path: Path,
) -> None:
    found = hostile.attack(tmp_path / "menu", 400)
    assert found.wrong == []
    assert found.peak_mib < hostile.MOST_MIB


def test_task_ids_that_never_answer_hold_up_their_own_threads_only(tmp_path: Path) -> None:
    meanwhile, done = hostile.hang(tmp_path / "hang", hostile.GOOD_MEANWHILE)
    assert meanwhile == hostile.GOOD_MEANWHILE
    assert (done["fetched"], done["rejected"]) == (hostile.GOOD_MEANWHILE, hostile.HANGING)


@pytest.mark.parametrize(("kind", "exit_code"), [("unauthorized", 3), ("rate-limited-forever", 4)])
def test_an_answer_that_stops_the_run_leaves_what_came_before_it(
    tmp_path: Path, kind: str, exit_code: int
) -> None:
    assert hostile.EXPECTED[kind] == hostile.STOP
    ended_with, message, kept = hostile.stop_run(tmp_path / kind, kind)
    assert (ended_with, kept > 0) == (exit_code, True)
    assert message


def test_any_bytes_as_a_body_end_in_one_place() -> None:
    assert fuzz.fuzz(12) > 0
