"""Tests of log entries: grouping, timestamps, and duplicates of two triggerers."""

import asyncio
import io
import logging
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from importlib import import_module

import airflow
import pytest

from taskruns_airflow import log_entries
from taskruns_airflow.log_entries import LogEntries
from taskruns_airflow.logs import Line

ON_AIRFLOW_2 = airflow.__version__.startswith("2.")
BEGIN = datetime(2026, 11, 25, 4, 0, 1, 1, tzinfo=UTC)


def written(*microseconds: int, container: str = "main") -> list[Line]:
    """Return numbered lines with the given times in microseconds after `BEGIN`, in order."""
    times = [BEGIN + timedelta(microseconds=each) for each in sorted(microseconds)]
    return [Line(container, time, f"{container} {n}") for n, time in enumerate(times)]


class Logger:
    """Logger that records each text with its timestamp, if it has one."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, str | None]] = []
        self.something = asyncio.Event()

    def info(self, text: str, timestamp: str | None = None) -> None:
        self.entries.append((text, timestamp))
        self.something.set()


def entries_of(*lines: Line) -> list[tuple[str, str | None]]:
    logger = Logger()
    entries = LogEntries(logger, dated=True)
    for line in lines:
        entries.add(line)
    entries.close()
    return logger.entries


async def test_lines_of_one_millisecond_are_one_entry_with_their_time() -> None:
    assert entries_of(*written(5, 900, 1500, 70_000)) == [
        ("main 0\nmain 1", "2026-11-25T04:00:01.000006Z"),
        ("main 2", "2026-11-25T04:00:01.001501Z"),
        ("main 3", "2026-11-25T04:00:01.070001Z"),
    ]


async def test_the_time_does_not_depend_on_the_nodes_time_zone() -> None:
    local = datetime.fromisoformat("2026-11-25T05:00:01.5+01:00")
    assert entries_of(Line("main", local, "here")) == [("here", "2026-11-25T04:00:01.500000Z")]


async def test_in_a_worker_an_entry_has_the_time_of_logging() -> None:
    logger = Logger()
    entries = LogEntries(logger, dated=False)
    for line in written(5, 900, 1500):
        entries.add(line)
    entries.close()
    assert logger.entries == [("main 0\nmain 1", None), ("main 2", None)]


async def test_entries_keep_the_order_in_which_they_began() -> None:
    """The log of an ended run is read container after container, without a pause."""
    (fetching,) = written(0, container="fetch")
    ready, leaving = written(5_000, 70_000, container="proxy")
    texts = [text for text, _ in entries_of(fetching, ready, leaving)]
    assert texts == ["fetch 0", "proxy 0", "proxy 1"]


async def test_containers_that_write_simultaneously_have_separate_entries() -> None:
    main, proxy = written(1, 2), written(1, 2, container="proxy")
    both = [line for pair in zip(main, proxy, strict=True) for line in pair]
    assert [text for text, _ in entries_of(*both)] == ["main 0\nmain 1", "proxy 0\nproxy 1"]


async def test_an_entry_is_not_made_larger_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_entries, "_MAX_ENTRY_CHARACTERS", 10)
    texts = [text for text, _ in entries_of(*written(1, 2, 3, 4, 5))]
    assert texts == ["main 0\nmain 1", "main 2\nmain 3", "main 4"]


async def test_a_single_line_is_logged_within_a_second() -> None:
    logger = Logger()
    LogEntries(logger, dated=True).add(*written(1))
    await asyncio.wait_for(logger.something.wait(), 30)
    assert [text for text, _ in logger.entries] == ["main 0"]


async def test_on_airflow_2_each_line_is_an_entry(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "trigger")
    entries = LogEntries(logging.getLogger("trigger"), dated=True)
    for line in written(1, 2):
        entries.add(line)
    assert caplog.messages == ["main 0", "main 1"]


@pytest.mark.skipif(ON_AIRFLOW_2, reason="Airflow 2 sorts by the times at which lines are logged")
@pytest.mark.parametrize("died_after", [0, 1, 30, 777, 999])
async def test_lines_repeated_after_a_restart_are_shown_once_and_in_order(died_after: int) -> None:
    bursts = [10_000 * burst + 40 * place for burst in range(20) for place in range(50)]
    whole = written(*bursts)
    dead, alive = File(), File()
    dead.log_all(["Queued", "Pending", "Running"], whole[:died_after])
    alive.log_all(["Running"], whole).close()
    shown = "\n".join(shown_of(dead, alive)).splitlines()
    assert [each for each in shown if each.startswith("main")] == [line.text for line in whole]
    assert len(shown) == len(whole) + 4


@pytest.mark.skipif(ON_AIRFLOW_2, reason="Airflow 2 has no merge of entries by their times")
async def test_equal_parts_of_a_long_line_are_all_shown() -> None:
    parts = [Line("main", BEGIN, "x" * log_entries._MAX_ENTRY_CHARACTERS)] * 5
    file = File()
    file.log_all([], parts).close()
    assert shown_of(file) == [part.text for part in parts]
    again = File()
    again.log_all([], parts).close()
    assert shown_of(file, again) == [part.text for part in parts]


class File(io.BytesIO):
    """Log file that one triggerer writes for a task, in Airflow's format."""

    def log_all(self, notes: Sequence[str], lines: Sequence[Line]) -> LogEntries:
        structlog, sdk = import_module("structlog"), import_module("airflow.sdk.log")
        processors = sdk.logging_processors(json_output=True)
        log = structlog.wrap_logger(structlog.BytesLogger(self), processors=processors).bind()
        for note in notes:
            log.info(note)
        entries = LogEntries(log, dated=True)
        for line in lines:
            entries.add(line)
        return entries

    def lines(self) -> Iterator[str]:
        yield from self.getvalue().decode().splitlines()


def shown_of(*files: File) -> list[str]:
    """Return the entries that Airflow shows for the files of one try."""
    handler = import_module("airflow.utils.log.file_task_handler")
    return [entry.event for entry in handler._interleave_logs(*(file.lines() for file in files))]
