"""How lines become entries of a task's log: few where they are many, and shown once if told twice.

An entry costs Airflow as much as many lines, so what a container wrote within a millisecond is one.

While a task is deferred, who takes the place of a triggerer that died cannot know how far that one
came, and tells the log from its beginning. Airflow's reader merges what each of them has written by
the times of entries, and shows one of two neighbours that are equal. So an entry has the time there
at which its container wrote it. The merge sorts by milliseconds, and within one by the entry's
place in its file, where the two may differ. Entries of a container whose text and time are equal,
such as parts of a long line, get times that differ by microseconds, or Airflow would show one.
"""

import asyncio
import logging
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from taskruns_airflow.logs import Line

_SECONDS_UNTIL_WHOLE = 1.0
"""How long the rest of a millisecond may be on its way."""
_LARGEST = 65_536
"""Characters, from which on an entry takes no further line."""
_MICROSECOND = timedelta(microseconds=1)
_STAMPS = 4096
"""Entries within which no two have the same time."""


@dataclass(slots=True)
class _Burst:
    """What a container wrote within a millisecond, as far as it has come."""

    time: datetime
    texts: list[str]
    size: int
    due: asyncio.TimerHandle

    def takes(self, time: datetime) -> bool:
        return self.size < _LARGEST and _millisecond(time) == _millisecond(self.time)


class Entries:
    """Tells lines to a logger of Airflow's: to Airflow 2's, whose entries are lines, one by one."""

    def __init__(self, log: Any, *, dated: bool) -> None:
        """Tell `log`; `dated`: with the time of the container, instead of that of the telling."""
        self._log = log
        self._dated = dated
        self._joins = not isinstance(log, logging.Logger)
        self._bursts: dict[str, _Burst] = {}
        self._stamps: OrderedDict[datetime, None] = OrderedDict()
        """The latest times of entries, so that none has another's."""
        self.last_line: str | None = None
        """The last line that came, where one did."""

    def add(self, line: Line) -> None:
        """Take a line; it is told when its millisecond is over."""
        self.last_line = line.text
        if line.time is None or not self._joins:
            self._log.info(line.text)
            return
        burst = self._bursts.get(line.container)
        if burst is not None and burst.takes(line.time):
            burst.texts.append(line.text)
            burst.size += len(line.text)
            return
        self._tell(line.container)
        due = asyncio.get_running_loop().call_later(
            _SECONDS_UNTIL_WHOLE, self._tell, line.container
        )
        self._bursts[line.container] = _Burst(line.time, [line.text], len(line.text), due)

    def close(self) -> None:
        """Tell what is left: no more lines come."""
        for container in list(self._bursts):
            self._tell(container)

    def _tell(self, container: str) -> None:
        burst = self._bursts.pop(container, None)
        if burst is not None:
            burst.due.cancel()
            when = {"timestamp": _in_airflows_form(self._stamp(burst.time))} if self._dated else {}
            self._log.info("\n".join(burst.texts), **when)

    def _stamp(self, time: datetime) -> datetime:
        while time in self._stamps:
            time += _MICROSECOND
        self._stamps[time] = None
        if len(self._stamps) > _STAMPS:
            self._stamps.popitem(last=False)
        return time


def _millisecond(time: datetime) -> datetime:
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


def _in_airflows_form(time: datetime) -> str:
    return f"{time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"
