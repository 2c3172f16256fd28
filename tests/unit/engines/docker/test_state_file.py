import asyncio
import errno
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from taskruns.core.unstructured import Draft
from taskruns.engines.docker.state_file import StateError, StateFile, records

NOW = datetime(2026, 1, 1, 10, tzinfo=UTC)
POD: Draft = {"metadata": {"name": "hello-1", "uid": "pod-1"}}


def run_named(name: str) -> Draft:
    return {"metadata": {"name": name, "uid": "run-1"}, "spec": {}}


@pytest.fixture
def file(tmp_path: Path) -> StateFile:
    return StateFile(tmp_path, "default", "hello")


async def test_changes_are_stored(file: StateFile) -> None:
    async with file.change() as record:
        record.run = run_named("hello")
    async with file.change() as record:
        record.note(POD, "start", NOW)
    read = await file.read()
    assert read.run is not None
    assert read.run["metadata"]["name"] == "hello"
    assert read.requested_at(POD, "start") == NOW


async def test_the_file_keeps_its_keys(file: StateFile) -> None:
    async with file.change() as record:
        record.run = run_named("hello")
        record.note(POD, "start", NOW)
    content = json.loads(file.path.read_text())
    assert content.keys() == {"run", "pods", "asked", "home", "pulls", "version"}
    assert content["asked"] == {"pod-1": {"start": "2026-01-01T10:00:00Z"}}


async def test_only_changed_objects_get_a_new_version(file: StateFile) -> None:
    async with file.change() as record:
        record.run = run_named("hello")
        record.pods["a"] = run_named("a")
    first = await file.read()
    async with file.change() as record:
        record.pods["a"]["spec"] = {"nodeName": "docker"}
    second = await file.read()
    assert first.run == second.run
    assert int(second.pods["a"]["metadata"]["resourceVersion"]) > first.version


async def test_an_error_leaves_the_record_unchanged(file: StateFile) -> None:
    async with file.change() as record:
        record.run = run_named("hello")
    before = file.path.read_bytes()

    async def fail() -> None:
        async with file.change() as record:
            record.run = None
            raise KeyError

    with pytest.raises(KeyError):
        await fail()
    assert file.path.read_bytes() == before


async def test_changes_of_several_clients_are_serialized(tmp_path: Path) -> None:
    async def add(number: int) -> None:
        async with StateFile(tmp_path, "default", "hello").change() as record:
            await asyncio.sleep(0)
            record.pods[str(number)] = run_named(str(number))

    await asyncio.gather(*(add(number) for number in range(10)))
    assert len((await StateFile(tmp_path, "default", "hello").read()).pods) == 10


async def test_a_start_is_written_before_the_change_ends(file: StateFile) -> None:
    async with file.change() as record:
        record.run = run_named("hello")
        record.note(POD, "start", NOW)
        await file.write(record)
        assert (await file.read()).requested_at(POD, "start") == NOW


async def test_an_empty_record_leaves_no_file(file: StateFile, tmp_path: Path) -> None:
    async with file.change() as record:
        record.run = run_named("hello")
    assert [state_file.name for state_file in records(tmp_path)] == ["hello"]
    async with file.change() as record:
        record.run = None
    assert records(tmp_path) == []


async def test_an_unusable_folder_is_reported_with_advice(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="TASKRUNS_STATE_DIR"):
        async with StateFile(tmp_path / "file", "default", "hello").change():
            pass


@pytest.mark.parametrize("content", ["{", "[]", "{}"])
async def test_an_invalid_record_is_reported(file: StateFile, content: str) -> None:
    file.path.parent.mkdir(parents=True)
    file.path.write_text(content)
    with pytest.raises(StateError, match="is not a record of a run"):
        await file.read()


def test_the_number_of_lock_files_is_limited(tmp_path: Path) -> None:
    names = {StateFile(tmp_path, "default", f"run-{n}")._lock.name for n in range(3000)}
    assert 500 < len(names) <= 1024


async def test_a_full_disk_leaves_no_partial_file(
    file: StateFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with file.change() as record:
        record.run = run_named("hello")
    before = file.path.read_bytes()

    def no_room(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    async def change() -> None:
        async with file.change() as record:
            record.run = run_named("other")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", no_room)
        with pytest.raises(StateError, match=r"No space left.*free disk space"):
            await change()
    assert file.path.read_bytes() == before
    assert [entry.name for entry in file.path.parent.iterdir()] == ["hello.json"]
