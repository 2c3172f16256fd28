"""Airflow trigger that waits for one TaskRun in the triggerer."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent
from typing_extensions import override

from taskruns_airflow import log_entries
from taskruns_airflow.client import Client, Gone, Ref, redacted
from taskruns_airflow.connection import Access
from taskruns_airflow.containers import Shown
from taskruns_airflow.hook import TaskRunHook
from taskruns_airflow.launch import LogSink, follow
from taskruns_airflow.log_entries import LogEntries
from taskruns_airflow.task_instance import current_state, is_wanted

_SECONDS_TO_CANCEL = 3.0
"""Time that `on_kill` waits for the cancellation, in seconds, so that its result is logged."""

_cancelling: set[asyncio.Task[None]] = set()
"""Cancellations in progress. They are tasks of their own because Airflow cancels an ending trigger
every second, and with it `on_kill`."""

_HAS_ON_KILL = hasattr(BaseTrigger, "on_kill")
"""Whether Airflow calls `on_kill` (3.3 or newer). Older versions call only `cleanup`, both for a
kill and for a shutdown of the triggerer."""


class TaskRunTrigger(BaseTrigger):
    """Follows one TaskRun to its end and fires an event with its outcome."""

    def __init__(
        self,
        *,
        access: dict[str, Any],
        namespace: str,
        name: str,
        uid: str,
        logs: dict[str, Any] | None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # untyped in Airflow
        self.access = Access.of_json(access)
        self.namespace = namespace
        self.name = name
        self.uid = uid
        self.shown = Shown.of_json(logs) if logs else None
        self._fired = False

    @override
    def serialize(self) -> tuple[str, dict[str, Any]]:
        arguments = {
            "access": self.access.to_json(),
            "namespace": self.namespace,
            "name": self.name,
            "uid": self.uid,
            "logs": self.shown.to_json() if self.shown else None,
        }
        return f"{type(self).__module__}.{type(self).__qualname__}", arguments

    @override
    async def run(self) -> AsyncIterator[TriggerEvent]:
        deferral = MinimumDeferral()
        event = await self._outcome()
        await deferral.over()
        if not await log_entries.drain():
            event["undelivered"] = True
        self._fired = True
        yield TriggerEvent({"uid": self.uid, **event})  # type: ignore[no-untyped-call]  # untyped in Airflow

    @override
    async def on_kill(self) -> None:
        """Cancel the run because a user marked or cleared the task; no effect on an ended run."""
        work = asyncio.create_task(self._cancel(), name="taskruns: cancel a run")
        _cancelling.add(work)
        work.add_done_callback(_cancelling.discard)
        await asyncio.wait({work}, timeout=_SECONDS_TO_CANCEL)

    @override
    async def cleanup(self) -> None:
        """Cancel the run on Airflow 2 if a user has marked the task.

        After a clear, the new try cancels the run.
        """
        if _HAS_ON_KILL or self._fired:
            return
        state = await asyncio.to_thread(current_state, {"ti": self.task_instance})
        if not is_wanted(state.states):
            await self.on_kill()

    async def _cancel(self) -> None:
        try:
            client = await self._client()
            async with client.connect() as runs:
                await runs.cancel(self._ref)
        except Exception:
            self.log.exception("TaskRun %s could not be cancelled", self._ref)
        else:
            self.log.info("Cancelled TaskRun %s", self._ref)

    async def _outcome(self) -> dict[str, Any]:
        entries = LogEntries(self.log, dated=True)
        sink = LogSink(entries.add, self.log.info, log_entries.room)
        try:
            client = await self._client()
            run = await follow(client, client.shared_watch(), self._ref, self.shown, sink)
        except Gone:
            return {"gone": str(self._ref)}
        except Exception as error:
            self.log.exception("Waiting for TaskRun %s failed", self._ref)
            return {"error": f"{type(error).__name__}: {error}"}
        finally:
            entries.close()
        return {"run": redacted(run), "last_line": entries.last_line}

    @property
    def _ref(self) -> Ref:
        return Ref(self.namespace, self.name, self.uid)

    async def _client(self) -> Client:
        return await TaskRunHook.of(self.access).edge(self.namespace)


_MIN_SECONDS = 8.0
_SECONDS_PER_DEFERRAL = 0.25
_MAX_SECONDS = 30.0
"""Minimum length of a deferral, its increase per other recent deferral, and its upper limit, in
seconds."""

_recent_starts: deque[float] = deque(maxlen=100)
"""Start times of this process's latest deferrals; 100 suffice to reach the upper limit."""


class MinimumDeferral:
    """Minimum length of one deferral, counted from the creation of this object."""

    def __init__(self) -> None:
        self._since = asyncio.get_running_loop().time()
        _recent_starts.append(self._since)

    async def over(self) -> None:
        """Wait until the minimum length has passed."""
        now = asyncio.get_running_loop().time()
        recent = sum(begun > now - _MAX_SECONDS for begun in tuple(_recent_starts)) - 1
        await asyncio.sleep(self._since + minimum_seconds(recent) - now)


def minimum_seconds(recent: int) -> float:
    """Return the minimum length of a deferral in seconds, given the number of other recent ones."""
    return min(_MAX_SECONDS, _MIN_SECONDS + _SECONDS_PER_DEFERRAL * max(recent, 0))
