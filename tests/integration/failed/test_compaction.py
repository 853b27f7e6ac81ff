"""kill -9 at every step of compacting a file of failed batches: the file is one of the two, whole.

| killed when | then the file is |
|---|---|
| the new file is empty | the old one |
| part of it is written | the old one |
| all of it is written, not on disk | the old one |
| it is on disk, not in its place | the old one |
| it is in its place, the folder not on disk | the new one |
| nothing is appended yet | the new one |
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.test_failed_store import EVERY, NOW, batch
from workbench.failed import Claimant, FileStore, file_store

ROOT = Path(__file__).parents[3]
COUNT = 30
STEPS = {
    "the new file is empty": ("write", 1),
    "part of it is written": ("write", 9),
    "all of it is written, not on disk": ("fsync", 1),
    "it is on disk, not in its place": ("replace", 1),
    "it is in its place, the folder not on disk": ("fsync", 2),
    "nothing is appended yet": ("ftruncate", 1),
}


def die_at(name: str, call: int) -> None:
    """Be killed when this function of `os` is called for the n-th time."""
    original: Callable[..., Any] = getattr(os, name)
    left = call

    def dying(*args: Any) -> Any:
        nonlocal left
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args)

    setattr(os, name, dying)


async def superseded(path: Path) -> dict[str, Any]:
    """A file of which most is superseded; what holds of each entry."""
    store = FileStore(path)
    for number in range(COUNT):
        await store.store([batch(number)])
    for owner in range(5):
        claimant = Claimant(store, by=f"{owner}@host")
        for number in range(0, COUNT, 2):
            await claimant.claim(batch(number).id, NOW + owner * 1_000)
    return {id: await store.get(id) for id in [batch(number).id for number in range(COUNT)]}


async def listed(store: FileStore) -> list[str]:
    return [entry.id for entry in (await store.page(EVERY)).entries]


@pytest.mark.parametrize("step", STEPS)
async def test_killed_while_compacting(tmp_path: Path, step: str) -> None:
    path = tmp_path / "failed.jsonl"
    before = await superseded(path)
    order, size = await listed(FileStore(path)), path.stat().st_size
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.integration.failed.test_compaction", str(path), step, cwd=ROOT
    )
    assert await process.wait() == -signal.SIGKILL
    store = FileStore(path)
    assert {id: await store.get(id) for id in before} == before
    assert await listed(store) == order
    is_compacted = path.stat().st_size < size / 2
    assert is_compacted == (list(STEPS).index(step) > 3)


async def test_pages_go_on_where_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "failed.jsonl"
    await superseded(path)
    store, other = FileStore(path), FileStore(path)
    whole, size = await store.page(EVERY), path.stat().st_size
    first = await store.page(EVERY, 0, 10)
    monkeypatch.setattr(file_store, "COMPACT_FROM_BYTES", 0)
    await other.store([batch(99)])
    assert path.stat().st_size < size / 2
    rest = await store.page(EVERY, first.next)
    assert (*first.entries, *rest.entries)[:-1] == whole.entries
    assert rest.entries[-1].id == batch(99).id
    news = await store.page(EVERY, whole.next)
    assert [entry.id for entry in news.entries] == [batch(99).id]
    assert (await store.page(EVERY, rest.next)).entries == ()


async def test_who_waits_for_the_lock_writes_to_the_compacted_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "failed.jsonl"
    await superseded(path)
    monkeypatch.setattr(file_store, "COMPACT_FROM_BYTES", 0)
    stores = [FileStore(path) for _ in range(8)]
    given = [batch(100 + number) for number in range(40)]
    await asyncio.gather(*(stores[n % 8].store([one]) for n, one in enumerate(given)))
    assert set(await listed(FileStore(path))) >= {one.id for one in given}


async def test_without_room_for_a_second_file_the_first_one_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "failed.jsonl"
    before = await superseded(path)
    monkeypatch.setattr(file_store, "COMPACT_FROM_BYTES", 0)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    store = FileStore(path)
    await store.store([batch(99)])
    assert len(await listed(store)) == len(before) + 1
    assert os.listdir(tmp_path) == ["failed.jsonl"]


if __name__ == "__main__":
    file_store.COMPACT_FROM_BYTES = 0
    die_at(*STEPS[sys.argv[2]])
    asyncio.run(FileStore(Path(sys.argv[1])).store([batch(99)]))
