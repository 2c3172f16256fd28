"""A run's log as it comes: attempt after attempt, in order, no line twice, memory bounded.

A log is read in rounds. A round ends when the container does, or when the connection breaks; the
next goes on after the last line that was told, by the time that the kubelet puts before each line.
Whatever goes wrong with logs is told once, and is never the reason for how a task ends.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Self

from taskruns.api.v1alpha1 import Attempt, TaskRun
from taskruns_airflow.api import BROKEN
from taskruns_airflow.edge import Connect, Ref, Refused, Unreachable

_SECONDS_BETWEEN_ROUNDS = 2.0
_SECONDS_AFTER_THE_END = 30.0
"""How long the verdict waits for the rest of the log."""


@dataclass(slots=True)
class Cursor:
    """How far a log was told: the last line's time, and how many lines of that time."""

    time: str = ""
    lines: int = 0
    again: int = 0
    """How many lines of that time have come in this round."""

    def passes(self, time: str) -> bool:
        """Whether a line is new; to be asked in the order of a round, which starts at `time`."""
        if time < self.time:
            return False
        if time > self.time:
            self.time, self.lines, self.again = time, 1, 1
            return True
        self.again += 1
        if self.again <= self.lines:
            return False
        self.lines = self.again
        return True

    def rewind(self) -> Self:
        """Begin another round: lines of the last time come again."""
        self.again = 0
        return self


class LogReader:
    """Tells the log of one run's main container, attempt after attempt."""

    def __init__(
        self,
        connect: Connect,
        ref: Ref,
        container: str,
        tell: Callable[[str], None],
        warn: Callable[[str], None],
    ) -> None:
        self._connect = connect
        self._ref = ref
        self._container = container
        self._tell = tell
        self._warn = warn
        self._attempts: dict[int, Attempt] = {}
        self._news = asyncio.Event()
        self._ended = False
        self._allowed = False
        self._task: asyncio.Task[None] | None = None

    def see(self, run: TaskRun) -> None:
        """Take notice of how the run is; starts reading when there is something to read."""
        self._attempts |= {each.number: each for each in run.status.attempts or []}
        self._news.set()
        if self._task is None and any(each.started_time for each in self._attempts.values()):
            self._task = asyncio.create_task(self._read_all())

    async def finish(self) -> None:
        """Wait for the rest of the log, after the run has ended; not for long."""
        self._ended = True
        self._news.set()
        if self._task is None:
            return
        done, _ = await asyncio.wait({self._task}, timeout=_SECONDS_AFTER_THE_END)
        if not done:
            self._warn("The log could not be read to its end in time; the rest is left out.")
        await self.stop()

    async def stop(self) -> None:
        """Read no further."""
        if self._task is None:
            return
        self._task.cancel()
        (outcome,) = await asyncio.gather(self._task, return_exceptions=True)
        if isinstance(outcome, Exception):
            self._warn(f"The log could not be read: {outcome!r}")

    async def _read_all(self) -> None:
        number = 0
        while True:
            due = sorted(each for each in self._attempts if each > number)
            if due and self._attempts[due[0]].started_time:
                number = due[0]
                await self._read(number)
            elif due and self._attempts[due[0]].outcome:
                number = due[0]  # its main container never ran
            elif self._ended:
                return
            else:
                await self._something_new()

    async def _read(self, number: int) -> None:
        cursor, complete = Cursor(), False
        while True:
            last = self._ended or self._attempts[number].outcome is not None
            try:
                await self._round(self._attempts[number].pod_name, cursor.rewind())
                complete = True
            except Refused as refused:
                if complete or not self._may_come(refused):
                    return
            except (*BROKEN, Unreachable):
                complete = False
            if complete and last:
                return
            await self._something_new(within=_SECONDS_BETWEEN_ROUNDS)

    async def _round(self, pod: str, cursor: Cursor) -> None:
        """Read until the log ends; what came is told, and marked by the cursor."""
        async with self._connect() as api, api.log(pod, self._container, cursor.time) as lines:
            self._allowed = passing = True
            async for line in lines:
                time, _, text = line.decode(errors="replace").partition(" ")
                if not _is_time(time):
                    text = line.decode(errors="replace")  # the rest of a line that was too long
                else:
                    passing = cursor.passes(time)
                if passing:
                    self._tell(text)

    def _may_come(self, refused: Refused) -> bool:
        """Whether there is sense in asking again; what was allowed is, when the apiserver is back.

        One that has just started knows no role yet, and forbids everything.
        """
        if refused.status == HTTPStatus.NOT_FOUND:
            self._warn(f"The log is gone: {refused.sentence}")
        elif refused.status == HTTPStatus.FORBIDDEN and not self._allowed:
            self._warn(
                "The log may not be read: the role of Airflow's service account needs `get` on "
                f"`pods/log` in namespace {self._ref.namespace}: {refused.sentence}"
            )
        elif refused.status == HTTPStatus.BAD_REQUEST and self._ended:
            self._warn(f"There is no log: {refused.sentence}")
        else:
            return True
        return False

    async def _something_new(self, within: float | None = None) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), within)
        self._news.clear()


def _is_time(text: str) -> bool:
    return text[4:5] == "-" and text[10:11] == "T" and text[:4].isdecimal()
