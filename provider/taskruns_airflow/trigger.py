"""Waiting without a worker: a trigger that follows one run."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent
from typing_extensions import override

from taskruns_airflow import log_entries
from taskruns_airflow.client import Client, Gone, Ref, crossing
from taskruns_airflow.connection import Access
from taskruns_airflow.containers import Shown
from taskruns_airflow.hook import TaskRunHook
from taskruns_airflow.launch import LogSink, follow
from taskruns_airflow.log_entries import LogEntries
from taskruns_airflow.task_instance import is_wanted, standing_of

_SECONDS_TO_CANCEL = 3.0
"""For which a trigger that is told to stop stays, so that its log has what became of that."""

_cancelling: set[asyncio.Task[None]] = set()
"""What goes on in the triggerer when its trigger has gone. Airflow says every second that a trigger
is to end, which ends its `on_kill`, too."""

_IS_TOLD_OF_KILLS = hasattr(BaseTrigger, "on_kill")
"""From 3.3 on. Airflow 2 has one clean up, be it killed or its triggerer shut down."""


class TaskRunTrigger(BaseTrigger):
    """Follows one TaskRun to its end and tells how it ended."""

    def __init__(
        self,
        *,
        access: dict[str, Any],
        namespace: str,
        name: str,
        uid: str,
        logs: dict[str, Any] | None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's own
        self.access = Access.of_json(access)
        self.namespace = namespace
        self.name = name
        self.uid = uid
        self.shown = Shown.of_json(logs) if logs else None
        self._fired = False

    @override
    def serialize(self) -> tuple[str, dict[str, Any]]:
        told = {
            "access": self.access.to_json(),
            "namespace": self.namespace,
            "name": self.name,
            "uid": self.uid,
            "logs": self.shown.to_json() if self.shown else None,
        }
        return f"{type(self).__module__}.{type(self).__qualname__}", told

    @override
    async def run(self) -> AsyncIterator[TriggerEvent]:
        dwell = MinimumDeferral()
        event = await self._outcome()
        await dwell.over()
        if not await log_entries.drain():
            event["undelivered"] = True
        self._fired = True
        yield TriggerEvent({"uid": self.uid, **event})  # type: ignore[no-untyped-call]  # Airflow's own

    @override
    async def on_kill(self) -> None:
        """Cancel the run: a user marked or cleared the task. Harmless where it has ended."""
        work = asyncio.create_task(self._cancel(), name="taskruns: cancel a run")
        _cancelling.add(work)
        work.add_done_callback(_cancelling.discard)
        await asyncio.wait({work}, timeout=_SECONDS_TO_CANCEL)

    @override
    async def cleanup(self) -> None:
        """Cancel the run on Airflow 2 where a user has marked the task; a clear's new try does."""
        if _IS_TOLD_OF_KILLS or self._fired:
            return
        found = await asyncio.to_thread(standing_of, {"ti": self.task_instance})
        if not is_wanted(found.states):
            await self.on_kill()

    async def _cancel(self) -> None:
        try:
            edge = await self._edge()
            async with edge.connect() as runs:
                await runs.cancel(self._ref)
        except Exception:
            self.log.exception("TaskRun %s could not be cancelled", self._ref)
        else:
            self.log.info("Cancelled TaskRun %s", self._ref)

    async def _outcome(self) -> dict[str, Any]:
        entries = LogEntries(self.log, dated=True)
        audience = LogSink(entries.add, self.log.info, log_entries.room)
        try:
            edge = await self._edge()
            run = await follow(edge, edge.shared_watch(), self._ref, self.shown, audience)
        except Gone:
            return {"gone": str(self._ref)}
        except Exception as error:
            self.log.exception("Waiting for TaskRun %s failed", self._ref)
            return {"error": f"{type(error).__name__}: {error}"}
        finally:
            entries.close()
        return {"run": crossing(run), "last_line": entries.last_line}

    @property
    def _ref(self) -> Ref:
        return Ref(self.namespace, self.name, self.uid)

    async def _edge(self) -> Client:
        return await TaskRunHook.of(self.access).edge(self.namespace)


_SHORTEST = 8.0
_FOR_EACH_OTHER = 0.25
_LONGEST = 30.0
"""Seconds."""

_begun: deque[float] = deque(maxlen=100)
"""When the latest deferrals of this process began; more of them change nothing."""


class MinimumDeferral:
    """The least time of one deferral, which begins with this."""

    def __init__(self) -> None:
        self._since = asyncio.get_running_loop().time()
        _begun.append(self._since)

    async def over(self) -> None:
        """Wait until it is over."""
        now = asyncio.get_running_loop().time()
        others = sum(begun > now - _LONGEST for begun in tuple(_begun)) - 1
        await asyncio.sleep(self._since + least(others) - now)


def least(others: int) -> float:
    """Return the seconds that a deferral takes at least, where as many others have just begun."""
    return min(_LONGEST, _SHORTEST + _FOR_EACH_OTHER * max(others, 0))
