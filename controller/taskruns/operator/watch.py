"""kopf, told to watch and to keep its hands off everything else.

Server-side filtered, endlessly reconnecting, without peering, posting, scanning or persistence. An
ERROR in a watch ends kopf, and with it the process: whoever started it starts it again.
"""

import asyncio
from collections.abc import Collection, Iterable, Iterator
from typing import Any

import kopf
from typing_extensions import override

from taskruns.api import names
from taskruns.engines.kubernetes import Connection
from taskruns.operator import handlers
from taskruns.operator.handlers import Intake

TASK_PREFIX = "taskruns: "
"""What the names of our own tasks start with, so that kopf's end does not cancel them."""

_KINDS = 2
_WATCHER = "watcher for "
_PAGE = 500
_REQUEST_SECONDS = 60.0
_CONNECT_SECONDS = 10.0
_LOGIN_PAUSE_SECONDS = 5.0


class Watch:
    """kopf's part of the process, from its start to its end."""

    def __init__(self, connection: Connection, intake: Intake) -> None:
        self._connection = connection
        self._registry = kopf.OperatorRegistry()
        self._stop = asyncio.Event()
        self._logins = 0
        self._complete = False
        handlers.register(self._registry, intake)
        kopf.on.login(registry=self._registry)(self._login)

    async def start(self) -> "asyncio.Task[None]":
        """Start to watch. The task ends only when `stop` was called, or with what went wrong."""
        others = _NotKopfs(asyncio.all_tasks())
        tasks = await kopf.spawn_tasks(
            registry=self._registry,
            settings=_settings(),
            clusterwide=True,
            standalone=True,
            stop_flag=self._stop,
        )
        running = kopf.run_tasks(tasks, ignored=others)
        return asyncio.create_task(running, name=f"{TASK_PREFIX}kopf")

    def stop(self) -> None:
        """Ask kopf to end."""
        self._stop.set()

    def starting(self) -> str:
        """Say how many watches have not been opened, until all have."""
        if not self._complete and (running := _running()) < _KINDS:
            return f"{running} of {_KINDS} watches are open"
        self._complete = True
        return ""

    def trouble(self) -> str:
        """Say how many watches are left once one has died: kopf does not always end with it."""
        lost = self._complete and (running := _running()) < _KINDS
        return f"{running} of {_KINDS} watches are left" if lost else ""

    async def _login(self, **_: Any) -> kopf.AiohttpSession:
        """Hand kopf a session that stays authenticated; it asks again after a 401."""
        if self._logins:
            await asyncio.sleep(_LOGIN_PAUSE_SECONDS)
        self._logins += 1
        return kopf.AiohttpSession(
            server=self._connection.configuration.host,
            aiohttp_session=self._connection.open_session(),
        )


def _running() -> int:
    """Count kopf's watches, by the names that it gives to their tasks."""
    return sum(task.get_name().startswith(_WATCHER) for task in asyncio.all_tasks())


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.watching.label_selectors["", "v1", "pods"] = names.LABEL_UID
    settings.watching.chunk_size = _PAGE
    settings.watching.connect_timeout = _CONNECT_SECONDS
    settings.networking.request_timeout = _REQUEST_SECONDS
    settings.networking.connect_timeout = _CONNECT_SECONDS
    settings.networking.error_backoffs = _Backoffs()
    settings.scanning.disabled = True
    settings.posting.enabled = False
    settings.process.ultimate_exiting_timeout = None
    # kopf removes its finalizer from any object that has one: of another operator's, never.
    settings.persistence.finalizer = f"{names.GROUP}/never"
    settings.persistence.diffbase_storage = _NoDiffBase()
    settings.persistence.progress_storage = _NoProgress()
    return settings


class _Backoffs(Iterable[float]):
    """Seconds between tries of one request: endless, and begun anew for each request."""

    @override
    def __iter__(self) -> Iterator[float]:
        delay = 0.5
        while True:
            yield delay
            delay = min(delay * 2, 15.0)


class _NoDiffBase(kopf.DiffBaseStorage):
    """kopf compares every object with its last version for handlers that are not there."""

    @override
    def build(self, **_: Any) -> Any:
        return {}

    @override
    def fetch(self, **_: Any) -> None:
        return None

    @override
    def store(self, **_: Any) -> None:
        pass


class _NoProgress(kopf.ProgressStorage):
    """There is no progress to keep: handlers only take in events."""

    @override
    def fetch(self, **_: Any) -> None:
        return None

    @override
    def store(self, **_: Any) -> None:
        pass

    @override
    def purge(self, **_: Any) -> None:
        pass

    @override
    def touch(self, **_: Any) -> None:
        pass

    @override
    def clear(self, *, essence: Any) -> Any:
        return essence


class _NotKopfs(Collection["asyncio.Task[Any]"]):
    """The tasks that kopf has not made. When it ends, it cancels every other in the loop."""

    def __init__(self, before: Iterable["asyncio.Task[Any]"]) -> None:
        self._before = frozenset(before)

    @override
    def __contains__(self, task: object) -> bool:
        ours = isinstance(task, asyncio.Task) and task.get_name().startswith(TASK_PREFIX)
        return ours or task in self._before

    @override
    def __iter__(self) -> "Iterator[asyncio.Task[Any]]":
        return (task for task in asyncio.all_tasks() if task in self)

    @override
    def __len__(self) -> int:
        return sum(1 for _ in self)
