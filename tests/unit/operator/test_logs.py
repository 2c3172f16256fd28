"""Log formats: plain and JSON lines, with the run and attempt that they are about."""

import asyncio
import json
import logging
from typing import Any

import pytest

from taskruns.operator import structured_logging
from taskruns.operator.structured_logging import Format, JsonFormatter, PlainFormatter, Subject

SUBJECT = Subject("team", "hello", "uid-1", 2)


def a_record(message: str = "said %s", *args: object, failed: bool = False) -> logging.LogRecord:
    exc_info: Any = None
    if failed:
        error = RuntimeError("boom")
        exc_info = (RuntimeError, error, None)
    record = logging.LogRecord("a.b", logging.INFO, "f", 1, message, args or ("x",), exc_info)
    record.created = 1767268800.1234
    return record


def test_a_plain_line_names_its_run() -> None:
    with structured_logging.about(lambda: SUBJECT):
        line = PlainFormatter().format(a_record())
    assert line == "2026-01-01T12:00:00.123Z INFO team/hello[2] said x (a.b)"


def test_a_plain_line_without_a_run_names_none() -> None:
    assert PlainFormatter().format(a_record()) == "2026-01-01T12:00:00.123Z INFO said x (a.b)"


def test_a_plain_record_is_always_one_line() -> None:
    line = PlainFormatter().format(a_record("%s", "one\ntwo\r\nthree\x1b[2J\x85\u2028\u202eü"))
    assert line.isprintable()
    assert r"one\ntwo\r\nthree\x1b[2J\x85\u2028\u202eü" in line


def test_a_json_line_carries_the_run_and_its_attempt() -> None:
    with structured_logging.about(lambda: SUBJECT):
        line = JsonFormatter().format(a_record())
    assert json.loads(line) == {
        "time": "2026-01-01T12:00:00.123Z",
        "level": "info",
        "logger": "a.b",
        "message": "said x",
        "namespace": "team",
        "taskrun": "hello",
        "uid": "uid-1",
        "attempt": 2,
    }


def test_a_json_line_without_a_run_has_no_run() -> None:
    assert set(json.loads(JsonFormatter().format(a_record()))) == {
        "time",
        "level",
        "logger",
        "message",
    }


def test_a_traceback_is_part_of_the_one_json_line() -> None:
    line = JsonFormatter().format(a_record(failed=True))
    assert "\n" not in line
    assert "RuntimeError: boom" in json.loads(line)["traceback"]
    assert "RuntimeError: boom" in PlainFormatter().format(a_record(failed=True))


def test_the_attempt_is_the_current_one() -> None:
    attempts = iter((1, 2))
    with structured_logging.about(lambda: Subject("team", "hello", "uid-1", next(attempts))):
        lines = [json.loads(JsonFormatter().format(a_record())) for _ in range(2)]
    assert [line["attempt"] for line in lines] == [1, 2]


async def test_concurrent_runs_are_not_confused() -> None:
    async def work(name: str) -> str:
        with structured_logging.about(lambda: Subject("team", name, name, 1)):
            await asyncio.sleep(0)
            return PlainFormatter().format(a_record())

    lines = await asyncio.gather(*(work(name) for name in "abc"))
    assert [line.split()[2] for line in lines] == ["team/a[1]", "team/b[1]", "team/c[1]"]


@pytest.mark.parametrize("form", Format)
def test_configuring_replaces_existing_handlers(form: Format) -> None:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    quiet = {name: logging.getLogger(name).level for name in structured_logging._QUIET}
    try:
        structured_logging.configure(form, logging.INFO)
        structured_logging.configure(form, logging.INFO)
        assert len(root.handlers) == 1
        assert not logging.getLogger("kopf").isEnabledFor(logging.INFO)
    finally:
        root.handlers[:] = before
        root.setLevel(level)
        for name, was in quiet.items():
            logging.getLogger(name).setLevel(was)
