"""One list and one watch, shared by all waiters for TaskRuns of a namespace in this process.

A triggerer may wait for hundreds of runs. Polling each run would cost the apiserver hundreds of
requests per second. A watch costs one request every few minutes for any number of runs.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from http import HTTPStatus

from taskruns.api.conditions import is_terminal
from taskruns.api.v1alpha1 import TaskRun
from taskruns_airflow.api import BROKEN, Api, backoff_delays
from taskruns_airflow.client import Gone, Ref, Refused, Unreachable
from taskruns_airflow.manifest import Object

OpenApi = Callable[[], AbstractAsyncContextManager[Api]]
"""Opens a client with current credentials."""

_SECONDS_PER_WATCH = 240
"""Duration of one watch request, in seconds. Each opens its own connection with a current token."""

_MAX_REFUSALS = 8
"""Number of consecutive refusals (about a minute) before the error is passed to the waiters."""

_METADATA_FIELDS = (
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "annotations",
    "deletionTimestamp",
)

log = logging.getLogger(__name__)


class _Expired(Exception):
    """The resourceVersion of the watch has expired (410)."""


class SharedWatch:
    """Watches the TaskRuns that match a selector, as long as there are waiters."""

    def __init__(self, connect: OpenApi, selector: Mapping[str, str]) -> None:
        self._connect = connect
        self._selector = selector
        self._waiting: dict[Ref, list[_Waiter]] = {}
        self._active: dict[str, Object] = {}
        """Latest version of each run that has not ended, by uid."""
        self._listed = False
        self._task: asyncio.Task[None] | None = None
        self._reads: set[asyncio.Task[None]] = set()

    async def follow(self, ref: Ref) -> AsyncIterator[TaskRun]:
        """Yield a run at once and after each change, up to and including its terminal state.

        A slow consumer gets only the latest change.

        Raises:
            Gone: The run no longer exists.
            Refused: The apiserver has refused all requests for about a minute.
        """
        waiter = self._join(ref)
        try:
            while True:
                run = await waiter.get()
                yield run
                if run.is_terminal:
                    return
        finally:
            self._leave(ref, waiter)

    def _join(self, ref: Ref) -> "_Waiter":
        waiter = _Waiter()
        self._waiting.setdefault(ref, []).append(waiter)
        if self._task is None:
            self._listed = False
            self._task = asyncio.create_task(self._watch())
        elif self._listed:
            self._send_current_state(ref)
        return waiter

    def _leave(self, ref: Ref, waiter: "_Waiter") -> None:
        self._waiting[ref].remove(waiter)
        if not self._waiting[ref]:
            del self._waiting[ref]
        if not self._waiting and self._task is not None:
            self._task.cancel()
            self._task = None
            self._active.clear()

    async def _watch(self) -> None:
        version = ""
        waits, refusals = backoff_delays(), 0
        while True:
            try:
                async with self._connect() as api:
                    version = version or await self._list(api)
                    async with api.watch(self._selector, version, _SECONDS_PER_WATCH) as events:
                        waits, refusals = backoff_delays(), 0
                        async for event in events:
                            version = self._handle_event(event)
                continue
            except _Expired:
                version = ""
                continue
            except Refused as refused:
                version = "" if refused.status == HTTPStatus.GONE else version
                refusals += 1
                if refusals > _MAX_REFUSALS:
                    self._send_to_all(refused)
                log.warning("cannot watch TaskRuns; retrying: %s", refused)
            except (*BROKEN, Unreachable) as error:
                log.warning("the watch of TaskRuns was interrupted; opening another: %r", error)
            except Exception as error:  # noqa: BLE001  # for example an undefined connection
                self._send_to_all(error)
                self._task = None
                return
            await asyncio.sleep(next(waits))

    async def _list(self, api: Api) -> str:
        kept: dict[str, Object] = {}
        version = ""
        async for page in api.pages(self._selector):
            version = page["metadata"]["resourceVersion"]
            # Most runs have ended and have no waiter; they are not kept.
            slim = (_trim(each) for each in page["items"])
            relevant = (each for each in slim if self._waiters(each) or not is_terminal(each))
            kept |= {each["metadata"]["uid"]: each for each in relevant}
        self._active = {}
        self._listed = True
        for each in kept.values():
            self._update(each)
        for ref in self._waiting:
            if ref.uid not in kept:
                self._send_current_state(ref)
        return version

    def _handle_event(self, event: Object) -> str:
        run = event["object"]
        if event["type"] == "ERROR":
            if run.get("code") == HTTPStatus.GONE:
                raise _Expired
            raise Refused(int(run.get("code") or 0), str(run.get("message")))
        if event["type"] == "DELETED":
            self._remove(_trim(run))
        elif event["type"] != "BOOKMARK":
            self._update(_trim(run))
        version: str = run["metadata"]["resourceVersion"]
        return version

    def _update(self, raw_run: Object) -> None:
        waiters = self._waiters(raw_run)
        if waiters or not is_terminal(raw_run):
            run = TaskRun.model_validate(raw_run) if waiters else None
            for waiter in waiters:
                waiter.put(run)
        if is_terminal(raw_run):
            self._active.pop(raw_run["metadata"]["uid"], None)
        else:
            self._active[raw_run["metadata"]["uid"]] = raw_run

    def _remove(self, raw_run: Object) -> None:
        self._active.pop(raw_run["metadata"]["uid"], None)
        for waiter in self._waiters(raw_run):
            waiter.put(TaskRun.model_validate(raw_run) if is_terminal(raw_run) else None)

    def _waiters(self, raw_run: Object) -> list["_Waiter"]:
        metadata = raw_run["metadata"]
        ref = Ref(metadata["namespace"], metadata["name"], metadata["uid"])
        return self._waiting.get(ref, [])

    def _send_current_state(self, ref: Ref) -> None:
        if known := self._active.get(ref.uid):
            self._update(known)
            return
        read = asyncio.create_task(self._read_run(ref))
        self._reads.add(read)
        read.add_done_callback(self._reads.discard)

    async def _read_run(self, ref: Ref) -> None:
        """Read a run that the cache lacks: it has ended, or the watch has not reported it yet."""
        try:
            async with self._connect() as api:
                outcome: TaskRun | Exception | None = await api.get(ref)
        except Exception as error:  # noqa: BLE001  # every error is passed to the waiters
            outcome = error
        for waiter in self._waiting.get(ref, []):
            waiter.put(outcome)

    def _send_to_all(self, error: Exception) -> None:
        for waiters in self._waiting.values():
            for waiter in waiters:
                waiter.put(error)


class _Waiter:
    """Holds the latest state of a run for one consumer; nothing replaces a terminal state."""

    def __init__(self) -> None:
        self._slot: asyncio.Queue[TaskRun | Exception | None] = asyncio.Queue(maxsize=1)
        self._version = 0
        self._final = False

    def put(self, state: TaskRun | Exception | None) -> None:
        if isinstance(state, TaskRun):
            version = int(state.metadata.resource_version or 0)
            if version < self._version:
                return
            self._version = version
        if self._final:
            return
        self._final = isinstance(state, TaskRun) and state.is_terminal
        if self._slot.full():
            self._slot.get_nowait()
        self._slot.put_nowait(state)

    async def get(self) -> TaskRun:
        outcome = await self._slot.get()
        if outcome is None:
            raise Gone
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def _trim(raw_run: Object) -> Object:
    """Return a run with the parts that waiters need: some metadata and the status, no spec."""
    metadata = {
        part: raw_run["metadata"][part] for part in _METADATA_FIELDS if part in raw_run["metadata"]
    }
    return {"metadata": metadata, "spec": {}, "status": raw_run.get("status") or {}}
