"""Log lines for people (plain) or for machines (JSON), each with the run that it is about.

Code that works on a run does so inside `about`. Every line logged there, by any module, has the
run's namespace, name and attempt; JSON lines also have its uid.

A record that is logged with `extra={"values": {...}}` has these keys in its JSON line.
"""

import contextlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from typing_extensions import override

_QUIET = ("kopf", "asyncio")
"""Loggers that write internal details for every event; only their warnings and errors are kept."""


class Format(StrEnum):
    """Format of a log line."""

    PLAIN = "plain"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Subject:
    """The run that a line is about."""

    namespace: str
    name: str
    uid: str
    attempt: int
    """Number of the run's current or last attempt; 0 before the first."""


_subject: ContextVar[Callable[[], Subject] | None] = ContextVar(
    "taskruns_log_subject", default=None
)


@contextlib.contextmanager
def about(subject: Callable[[], Subject]) -> Iterator[None]:
    """Attach a run to every line that is logged inside the block.

    `subject` is called for each line, because the run's attempt may change meanwhile.
    """
    token = _subject.set(subject)
    try:
        yield
    finally:
        _subject.reset(token)


def configure(form: Format, level: int) -> None:
    """Write the lines of every logger to standard error, in this format, from this level on."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if form is Format.JSON else PlainFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))


class PlainFormatter(logging.Formatter):
    """`2026-01-02T03:04:05.678Z INFO default/hello[1] Due, create: CreatePod (taskruns.…)`."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        """Format a record as one line, followed by its traceback."""
        subject = _subject_now()
        place = f" {subject.namespace}/{subject.name}[{subject.attempt}]" if subject else ""
        text = record.getMessage()
        message = "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
        line = f"{_time(record)} {record.levelname}{place} {message} ({record.name})"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonFormatter(logging.Formatter):
    """One JSON object per line; the run's four keys are absent if the line is not about a run."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        """Format a record as one JSON object, traceback included."""
        entry: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_values_of(record),
        }
        if subject := _subject_now():
            entry |= {
                "namespace": subject.namespace,
                "taskrun": subject.name,
                "uid": subject.uid,
                "attempt": subject.attempt,
            }
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


def _values_of(record: logging.LogRecord) -> Mapping[str, str]:
    values: Mapping[str, str] = getattr(record, "values", {})
    return values


def _subject_now() -> Subject | None:
    subject = _subject.get()
    return subject() if subject else None


def _time(record: logging.LogRecord) -> str:
    at = datetime.fromtimestamp(record.created, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
