"""What a crash, a full disk or another process does to the file of failed batches."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.test_failed_store import EVERY, batch
from workbench.codec import encode
from workbench.errors import DeadLetterError
from workbench.failed import FileStore
from workbench.model import EntryCounts


async def test_a_line_torn_by_a_crash_is_cut_off_before_the_next(tmp_path: Path) -> None:
    path = tmp_path / "failed.jsonl"
    await FileStore(path).store([batch(1), batch(2)])
    whole = path.read_bytes()
    for cut in (1, 50, len(whole) // 2 - 3):
        path.write_bytes(whole[:-cut])
        store = FileStore(path)
        assert [entry.id for entry in (await store.page(EVERY)).entries] == [batch(1).id]
        await store.store([batch(3)])
        reader = FileStore(path)
        assert [e.id for e in (await reader.page(EVERY)).entries] == [batch(1).id, batch(3).id]


async def test_a_full_disk_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "failed.jsonl"
    store = FileStore(path)
    await store.store([batch(1)])
    whole = path.read_bytes()
    real = os.write

    def full(descriptor: int, data: Any) -> int:
        if real(descriptor, data[:40]):
            raise OSError(28, "No space left on device")
        return 0

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        with pytest.raises(DeadLetterError, match="No space left"):
            await store.store([batch(2)])
    assert path.read_bytes() == whole
    await store.store([batch(2)])
    assert await FileStore(path).counts() == EntryCounts(2, 2)


async def test_a_bare_failed_batch_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    path = tmp_path / "failed.jsonl"
    path.write_bytes(encode(batch(1).to_json()) + b"\n")
    entry = await FileStore(path).get(batch(1).id)
    assert (entry.batch, entry.state) == (batch(1), "open")


async def test_a_line_that_is_no_entry_is_told_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "failed.jsonl"
    path.write_bytes(encode(batch(1).to_json()) + b"\n{}\n")
    with pytest.raises(DeadLetterError, match=r"failed\.jsonl, byte \d+: not a failed batch"):
        await FileStore(path).page(EVERY)


async def test_a_file_that_was_removed_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "new" / "failed.jsonl"
    store = FileStore(path)
    await store.store([batch(1)])
    assert path.stat().st_mode & 0o077 == 0
    path.unlink()
    assert await store.counts() == EntryCounts(0, 0)
    await store.store([batch(2)])
    assert [entry.id for entry in (await store.page(EVERY)).entries] == [batch(2).id]


async def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DeadLetterError, match="cannot keep 1 failed batches"):
        await FileStore(tmp_path / "file" / "failed.jsonl").store([batch(1)])
