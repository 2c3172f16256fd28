"""Log lines for people (plain) or for machines (JSON), each with the run that it is about.

Whoever works on a run says so once with `about`; every line that is written meanwhile, by whatever
module, carries the run's namespace, name, uid and attempt.
"""

import contextlib
import json
import logging
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from typing_extensions import override

_QUIET = ("kopf", "asyncio")
"""Loggers that tell of their own inner life, for every event: only what goes wrong is for us."""


class Format(StrEnum):
    """How a line looks."""

    PLAIN = "plain"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Subject:
    """The run that a line is about."""

    namespace: str
    name: str
    uid: str
    attempt: int
    """Number of its current or last attempt; 0 before the first."""


_subject: ContextVar[Callable[[], Subject] | None] = ContextVar(
    "taskruns_log_subject", default=None
)


@contextlib.contextmanager
def about(subject: Callable[[], Subject]) -> Iterator[None]:
    """Name the run that lines are about; asked anew for each line, for attempts go on."""
    token = _subject.set(subject)
    try:
        yield
    finally:
        _subject.reset(token)


def configure(form: Format, level: int) -> None:
    """Send every logger of the process to standard error, in this form."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if form is Format.JSON else PlainFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))


class PlainFormatter(logging.Formatter):
    """`2026-01-02T03:04:05.678Z INFO default/hello[1] created Pod hello-… (taskruns.engines)`."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        """Write a record as one line, and its traceback below it."""
        subject = _subject_now()
        place = f" {subject.namespace}/{subject.name}[{subject.attempt}]" if subject else ""
        said = record.getMessage()
        message = "".join(char if char.isprintable() else repr(char)[1:-1] for char in said)
        line = f"{_time(record)} {record.levelname}{place} {message} ({record.name})"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonFormatter(logging.Formatter):
    """One JSON object a line; a run.s four keys are absent where a line is about none."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        """Write a record as one JSON object, its traceback included."""
        entry: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
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


def _subject_now() -> Subject | None:
    ask = _subject.get()
    return ask() if ask else None


def _time(record: logging.LogRecord) -> str:
    at = datetime.fromtimestamp(record.created, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
