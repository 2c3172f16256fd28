"""One execution of a task in a worker: launch, follow, conclude, interruption."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, TypeVar

from airflow.providers.common.compat.sdk import AirflowException, AirflowTaskTimeout

from taskruns.api.conditions import Phase
from taskruns.api.v1alpha1 import TaskRun
from taskruns_airflow.client import Client, Connect, Gone, Ref, Refused, Runs, Unreachable
from taskruns_airflow.containers import Shown
from taskruns_airflow.failures import (
    ExitCodes,
    TaskRunCancelled,
    TaskRunClusterRefused,
    TaskRunMisconfigured,
    TaskRunNotStarted,
    failure_of,
)
from taskruns_airflow.hook import TaskRunHook
from taskruns_airflow.identity import Try
from taskruns_airflow.launch import LogSink, NameTaken, cancel_all, follow, launch
from taskruns_airflow.link import XCOM_LINK
from taskruns_airflow.log_entries import LogEntries
from taskruns_airflow.manifest import Object
from taskruns_airflow.task_instance import another_try_follows, current_state, is_wanted, store_uid
from taskruns_airflow.trigger import TaskRunTrigger
from taskruns_airflow.xcom import result_of

T = TypeVar("T")


class Stopped(Exception):
    """The task has received a stop signal."""


class AsyncRunner:
    """Runs one coroutine after another, until `stop` is called."""

    def __init__(self) -> None:
        self._stopped = False
        self._running: tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]] | None = None

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stopped

    def check(self) -> None:
        """Raise if `stop` was called.

        Raises:
            Stopped: `stop` was called.
        """
        if self._stopped:
            raise Stopped

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end and return its value.

        Raises:
            Stopped: `stop` was called before or meanwhile.
        """
        if self._stopped:
            work.close()
            raise Stopped
        try:
            return asyncio.run(self._run(work))
        except BaseException:
            if self._stopped:
                raise Stopped from None
            raise

    def stop(self) -> None:
        """Cancel the coroutine that runs; safe to call from a signal handler."""
        self._stopped = True
        if self._running is not None:
            loop, task = self._running
            loop.call_soon_threadsafe(task.cancel)

    async def _run(self, work: Coroutine[Any, Any, T]) -> T:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  # asyncio.run has created it
        self._running = asyncio.get_running_loop(), task
        try:
            return await work
        finally:
            self._running = None


_SECONDS_TO_CANCEL = 2.5
"""Time limit for the last request, in seconds. Airflow kills a task five seconds after the stop
signal, and up to two of them are spent on querying the task's state."""

_SECONDS_TO_READ = 300.0
"""Time limit for reading an ended container's log, in seconds."""


class Execution:
    """One try of a task, in the task's process."""

    def __init__(self, hook: TaskRunHook, context: Mapping[str, Any], log: Any) -> None:
        self._hook = hook
        self._context = context
        self._log = log
        self._runner = AsyncRunner()
        self._namespace = ""
        self._own: Try | None = None
        self._ref: Ref | None = None
        self._stored_uid = ""
        """The run's uid, once it is stored in Airflow's task state store."""
        self._entries = LogEntries(log, dated=False)
        self._audience = LogSink(self._entries.add, self._note)
        self.last_line: str | None = None
        """The last line that was written to the task's log, or None."""

    def launch(self, own: Try, manifest: Object, namespace: str | None) -> TaskRun:
        """Create the try's run, or reattach to the run of an earlier try."""
        self._own = own
        self._namespace = self._runner.run(self._hook.namespace(namespace))
        run = self._runner.run(self._launch(own, manifest))
        self._ref = ref = Ref.to(run)
        self._store_uid(ref)
        self.push("taskrun_name", ref.name)
        self.push("taskrun_namespace", ref.namespace)
        self.push("taskrun_uid", ref.uid)
        # Pushed even when empty: Airflow logs a warning about a link that has no XCom.
        self.push(XCOM_LINK, self._runner.run(self._hook.link(ref)))
        return run

    def trigger(self, run: TaskRun, shown: Shown | None) -> TaskRunTrigger:
        """Return the trigger that waits for the run in the triggerer.

        Raises:
            Stopped: `stop` was called, so Airflow may not start the trigger.
        """
        self._runner.check()
        return TaskRunTrigger(
            access=self._hook.access.to_json(),
            namespace=run.metadata.namespace,
            name=run.metadata.name,
            uid=run.metadata.uid,
            logs=shown.to_json() if shown else None,
        )

    def await_end(self, run: TaskRun, seconds: float) -> TaskRun:
        """Wait for the run's end, but no longer than `seconds`; return its latest state.

        The log is not read: the wait for the end reads all of it later.
        """
        if run.is_terminal or seconds <= 0:
            return run
        return self._runner.run(self._await_end(run, seconds))

    def follow(self, run: TaskRun, shown: Shown | None) -> TaskRun:
        """Wait for the run's end, and copy its log meanwhile."""
        return self._runner.run(self._follow(Ref.to(run), shown))

    def run_of_event(self, event: Mapping[str, Any]) -> TaskRun:
        """Return the ended run from the trigger's event.

        Raises:
            TaskRunCancelled: The run was deleted.
            TaskRunClusterRefused: The trigger could not wait for the run.
        """
        if event.get("undelivered"):
            self._log.warning(
                "The triggerer had not written all of its log when the run ended: the last lines "
                "of this log may be missing"
            )
        if "gone" in event:
            raise TaskRunCancelled(f"TaskRun {event['gone']} was deleted before it had ended")
        if "error" in event:
            raise TaskRunClusterRefused(str(event["error"]))
        run = TaskRun.model_validate(event["run"])
        self._namespace, self._ref = run.metadata.namespace, Ref.to(run)
        self.last_line = event.get("last_line")
        return run

    def abandon(self, own: Try, namespace: str | None, *, too_long: bool) -> None:
        """Handle a failed deferral: cancel the run if it took too long or no try follows."""
        self._own = own
        self._namespace = self._runner.run(self._hook.namespace(namespace))
        if too_long or not another_try_follows(self._context, current_state(self._context).states):
            cause = "timed out" if too_long else "failed, and no other try follows"
            self._log.info("Cancelling the TaskRun of this try: the deferral %s", cause)
            self._cancel()

    def conclude(self, run: TaskRun, codes: ExitCodes, *, with_result: bool) -> Any:
        """Return the task's result or raise its failure; mark the Pod as collected in both cases.

        Raises:
            AirflowException: The run failed; failures.py defines the classes.
        """
        self.push("exit_code", run.status.exit_code)
        self.push("reason", run.status.reason)
        try:
            if run.status.phase is not Phase.SUCCEEDED:
                raise failure_of(run, codes)
            return result_of(run) if with_result else None
        finally:
            self._collect(run)

    def log_end(self, run: TaskRun, pieces: int | None = None) -> bytes | None:
        """Return the end of the log of a run's last Pod, as the container wrote it.

        Args:
            run: The run, which has ended.
            pieces: Number of pieces, each a line or 16 KiB of one; None for the whole log.

        Returns:
            The bytes; None if they cannot be read, which is logged.
        """
        try:
            return asyncio.run(
                asyncio.wait_for(_log_end(self._connect, run, pieces), _SECONDS_TO_READ)
            )
        except Exception as error:  # noqa: BLE001  # no error may fail a task whose work is done
            self._log.warning("The log of TaskRun %s could not be read: %r", self._ref, error)
            return None

    def push(self, key: str, value: Any) -> None:
        """Push an XCom in addition to the result; do nothing if the value is None.

        These XComs are for information only, so an error of Airflow does not fail the task.
        """
        if value is None:
            return
        try:
            self._context["ti"].xcom_push(key=key, value=value)
        except Exception as error:  # noqa: BLE001  # see the docstring
            self._log.warning("XCom %s could not be pushed: %r", key, error)

    def stop(self) -> None:
        """Interrupt the coroutine that runs; safe to call from a signal handler."""
        self._runner.stop()

    async def _launch(self, own: Try, manifest: Object) -> TaskRun:
        return await launch(await self._client(), own, manifest, self._audience)

    async def _follow(self, ref: Ref, shown: Shown | None) -> TaskRun:
        client = await self._client()
        try:
            return await follow(client, client.watch(ref), ref, shown, self._audience)
        finally:
            self._entries.close()
            self.last_line = self._entries.last_line

    async def _await_end(self, run: TaskRun, seconds: float) -> TaskRun:
        client, ref = await self._client(), Ref.to(run)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                async for run in client.watch(ref).follow(ref):  # noqa: B007, PLR1704
                    pass
        return run

    async def _client(self) -> Client:
        return await self._hook.edge(self._namespace)

    @asynccontextmanager
    async def _connect(self) -> AsyncIterator[Runs]:
        async with (await self._client()).connect() as runs:
            yield runs

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Convert every exception inside into one that Airflow handles.

        The context spans from before the create until the run has ended or a trigger follows it.
        The run is cancelled after a timeout, and after a stop signal unless a later try reattaches
        to it.
        """
        try:
            yield
        except AirflowTaskTimeout:
            self._cancel()
            raise
        except Exception as error:
            if self._runner.stopped:  # Airflow 2 raises its own exception on a stop signal
                raise self._interrupted() from None
            failure = self._failure(error)
            if failure is None:
                raise
            raise failure from None

    def _failure(self, error: Exception) -> AirflowException | None:
        """Return the exception that reports an error to Airflow; None for the error itself."""
        match error:
            case Gone():
                return TaskRunCancelled(f"TaskRun {self._ref} was deleted before it had ended")
            case NameTaken():
                return TaskRunNotStarted(str(error))
            case Refused(status=400 | 422) | Refused(is_too_large=True):
                return TaskRunMisconfigured(str(error))
            case Refused() | Unreachable():
                return TaskRunClusterRefused(str(error))
            case _:
                return None

    def _interrupted(self) -> AirflowException:
        """Return the exception for a stopped task; cancel the run unless another try follows."""
        state = current_state(self._context, self._stored_uid)
        if not is_wanted(state.states):
            self._cancel()
            return AirflowException(
                "A user has marked or cleared the task: its TaskRun is cancelled"
            )
        if not state.superseded and not another_try_follows(self._context, state.states):
            self._cancel()
            return AirflowException(
                "The task received a stop signal and no other try follows: its TaskRun is cancelled"
            )
        run = f"TaskRun {self._ref}" if self._ref else "any TaskRun that it has created"
        return AirflowException(
            f"The task received a stop signal; {run} continues, and the next try reattaches to it"
        )

    def _cancel(self) -> None:
        """Cancel the run, or all active runs of this task if the run is not known yet."""
        if self._ref is not None:
            self._run_with_timeout("cancelled", _cancel(self._connect, self._ref))
        elif self._own is not None and self._namespace:
            self._run_with_timeout("cancelled", cancel_all(self._connect, self._own))

    def _collect(self, run: TaskRun) -> None:
        if run.status.pod_uid:
            work = _collect(self._connect, Ref.to(run), run.status.pod_uid)
            self._run_with_timeout("marked as collected", work)

    def _run_with_timeout(self, action: str, work: Coroutine[Any, Any, None]) -> None:
        """Run a request with a short time limit; log an error instead of raising it."""
        try:
            asyncio.run(asyncio.wait_for(work, _SECONDS_TO_CANCEL))
        except Exception as error:  # noqa: BLE001  # it must not replace the task's own outcome
            self._log.warning("TaskRun %s could not be %s: %r", self._ref, action, error)

    def _note(self, text: str) -> None:
        self._entries.close()  # write the earlier lines first
        self._log.info(text)

    def _store_uid(self, ref: Ref) -> None:
        try:
            store_uid(self._context, ref.uid)
        except Exception as error:  # noqa: BLE001  # the next try also finds the run by its label
            self._log.warning(
                "The uid of TaskRun %s could not be stored in Airflow: %r", ref, error
            )
        else:
            self._stored_uid = ref.uid


async def _log_end(connect: Connect, run: TaskRun, pieces: int | None) -> bytes:
    async with connect() as api:
        return await api.log_end(run.status.pod_name or "", pieces)


async def _cancel(connect: Connect, ref: Ref) -> None:
    async with connect() as api:
        await api.cancel(ref, leaving=True)


async def _collect(connect: Connect, ref: Ref, pod_uid: str) -> None:
    async with connect() as api:
        await api.collect(ref, pod_uid)
