"""Writers who want the same warehouse: what holds for them in whatever store it is."""

from __future__ import annotations

import threading

import pytest

from connector.errors import WarehouseLocked
from connector.storage.storage import storage_of
from connector.warehouse.warehouse import Warehouse


def check_that_the_second_is_told_who_the_first_is(root: str) -> None:
    """Host, process and start."""
    with (
        Warehouse.writing(root),
        pytest.raises(WarehouseLocked, match=r"host .+, process \d+, since"),
        Warehouse.writing(root),
    ):
        pass


def check_that_one_writes_at_a_time(root: str, writers: int) -> None:
    """Of many that start at once, and all get their turn."""
    inside, most, done = [0], [0], []
    lock = threading.Lock()

    def write(number: int) -> None:
        with storage_of(root).locked(600):
            with lock:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            threading.Event().wait(0.05)
            with lock:
                inside[0] -= 1
            done.append(number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most[0], sorted(done)) == (1, list(range(writers)))
