"""Launch of a try's run, new or of an earlier try, and the wait for its end."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from taskruns.api.v1alpha1 import TaskRun
from taskruns_airflow.client import Client, Connect, Gone, Ref, Watch
from taskruns_airflow.containers import Shown
from taskruns_airflow.identity import LABEL_TASK, Try
from taskruns_airflow.logs import Line, LogReader
from taskruns_airflow.reattach import plan_reattach

_FIRST_NOTICE = 10.0
_NEXT_NOTICES = 60.0
"""Time until the note that the run has no status, and between its repetitions, in seconds."""


@dataclass(frozen=True, slots=True)
class LogSink:
    """Callbacks that take lines of a container's log and notes for the user."""

    line: Callable[[Line], None]
    note: Callable[[str], None]
    room: Callable[[], Awaitable[None]] | None = None
    """Waits until more lines can be taken; None if they always can."""


class NameTaken(Exception):
    """A TaskRun of that name exists and does not belong to this try."""


async def launch(client: Client, own: Try, manifest: Mapping[str, Any], sink: LogSink) -> TaskRun:
    """Return this try's run: a new one, or that of an earlier try.

    All other active runs of earlier tries are cancelled first, and their end is awaited.

    Raises:
        Refused: The server refused the TaskRun.
        NameTaken: A TaskRun of that name belongs to something else.
    """
    async with client.connect() as api:
        plan = plan_reattach(own, await api.find(LABEL_TASK, own.task_label))
        for each in plan.superseded:
            sink.note(f"Cancelling TaskRun {Ref.to(each)} of an earlier try")
            await api.cancel(Ref.to(each))
        for each in plan.superseded:
            await _end_of(client, Ref.to(each), sink)
        if plan.reattached is not None:
            sink.note(f"Reattaching to TaskRun {Ref.to(plan.reattached)}")
            return plan.reattached
        run = await api.create(manifest)
    found_try = Try.of(run.metadata.annotations)
    if found_try is None or found_try.key != own.key:
        raise NameTaken(f"TaskRun {Ref.to(run)} exists and does not belong to this try: delete it")
    sink.note(f"Created TaskRun {Ref.to(run)}")
    return run


async def cancel_all(connect: Connect, own: Try) -> None:
    """Cancel the active runs that a try has created, reattached to or superseded.

    The calling process is about to end, so their end is not awaited.
    """
    async with connect() as api:
        plan = plan_reattach(own, await api.find(LABEL_TASK, own.task_label))
        for run in (plan.reattached, *plan.superseded):
            if run is not None and not run.is_terminal:
                await api.cancel(Ref.to(run), leaving=True)


async def follow(
    client: Client, watch: Watch, ref: Ref, shown: Shown | None, sink: LogSink
) -> TaskRun:
    """Wait until a run has ended and its logs are copied; return the ended run.

    Raises:
        Gone: The run no longer exists.
        Refused: The server refused the request.
        Unreachable: The server did not answer.
    """
    log = None
    if shown:
        line, note, room = sink.line, sink.note, sink.room
        log = LogReader(client.connect, ref, shown, line, note, room)
    last_state = ""
    unseen = asyncio.create_task(_note_unseen(ref, client.unseen_advice, sink))
    try:
        async for run in watch.follow(ref):
            if run.status.phase is not None:
                unseen.cancel()
            state = _describe(run)
            if state != last_state:
                sink.note(f"TaskRun {ref} {state}")
                last_state = state
            if log is not None:
                log.update(run)
        if log is not None:
            await log.finish()
    finally:
        unseen.cancel()
        if log is not None:
            await log.stop()
    return run


def _describe(run: TaskRun) -> str:
    """Return a run's phase and message, as the end of a sentence."""
    if run.status.phase is None:
        return "has no status yet"
    return f"is {run.status.phase}" + (f": {run.status.message}" if run.status.message else "")


async def _note_unseen(ref: Ref, advice: str, sink: LogSink) -> None:
    """Log, after ten seconds and then every minute, that the run has no status yet."""
    waited, pause = 0.0, _FIRST_NOTICE
    while True:
        await asyncio.sleep(pause)
        waited, pause = waited + pause, _NEXT_NOTICES
        sink.note(f"TaskRun {ref} has had no status for {waited:g} s. {advice}")


async def _end_of(client: Client, ref: Ref, sink: LogSink) -> None:
    try:
        await follow(client, client.watch(ref), ref, None, sink)
    except Gone:
        return
