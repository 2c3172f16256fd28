import asyncio
from pathlib import Path

import pytest

from taskruns.engines.docker.record import RecordFile, StateTrouble, records
from taskruns.engines.draft import Draft


def run_named(name: str) -> Draft:
    return {"metadata": {"name": name, "uid": "run-1"}, "spec": {}}


@pytest.fixture
def file(tmp_path: Path) -> RecordFile:
    return RecordFile(tmp_path, "default", "hello")


async def test_what_was_changed_is_there_for_whoever_comes_next(file: RecordFile) -> None:
    async with file.change() as record:
        record.run = run_named("hello")
    async with file.change() as record:
        record.starts["pod-1"] = "2026-01-01T00:00:00Z"
    read = await file.read()
    assert read.run is not None
    assert read.run["metadata"]["name"] == "hello"
    assert read.starts == {"pod-1": "2026-01-01T00:00:00Z"}


async def test_only_what_has_changed_gets_a_new_version(file: RecordFile) -> None:
    async with file.change() as record:
        record.run = run_named("hello")
        record.pods["a"] = run_named("a")
    first = await file.read()
    async with file.change() as record:
        record.pods["a"]["spec"] = {"nodeName": "docker"}
    second = await file.read()
    assert first.run == second.run
    assert int(second.pods["a"]["metadata"]["resourceVersion"]) > first.version


async def test_an_error_leaves_everything_as_it_was(file: RecordFile) -> None:
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


async def test_changes_of_several_clients_come_one_after_the_other(tmp_path: Path) -> None:
    async def add(number: int) -> None:
        async with RecordFile(tmp_path, "default", "hello").change() as record:
            await asyncio.sleep(0)
            record.pods[str(number)] = run_named(str(number))

    await asyncio.gather(*(add(number) for number in range(10)))
    assert len((await RecordFile(tmp_path, "default", "hello").read()).pods) == 10


async def test_a_start_is_written_before_the_change_ends(file: RecordFile) -> None:
    async with file.change() as record:
        record.run = run_named("hello")
        record.starts["pod-1"] = "now"
        await file.write(record)
        assert (await file.read()).starts == {"pod-1": "now"}


async def test_an_empty_record_leaves_no_file(file: RecordFile, tmp_path: Path) -> None:
    async with file.change() as record:
        record.run = run_named("hello")
    assert [found.name for found in records(tmp_path)] == ["hello"]
    async with file.change() as record:
        record.run = None
    assert records(tmp_path) == []


async def test_a_folder_that_cannot_be_used_is_told_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateTrouble, match="TASKRUNS_STATE_DIR"):
        async with RecordFile(tmp_path / "file", "default", "hello").change():
            pass


async def test_a_file_that_is_no_record_is_told_as_such(file: RecordFile) -> None:
    file.path.parent.mkdir(parents=True)
    file.path.write_text("{")
    with pytest.raises(StateTrouble, match="no record"):
        await file.read()
