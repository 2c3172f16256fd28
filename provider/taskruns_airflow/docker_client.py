"""A Docker host as the place where TaskRuns are kept: a state directory and a daemon.

Nobody else looks after a run there: whoever waits for one follows it, so that its clocks act, and
whoever cancels one stays until it has ended, or leaves somebody who does.
"""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import timezone  # type: ignore[attr-defined]
from typing_extensions import override

from taskruns.api.names import ANNOTATION_COLLECTED
from taskruns.api.v1alpha1 import TaskRun
from taskruns.engines.docker.connection import NoDaemon
from taskruns.engines.docker.container import LABEL_CONTAINER, Secrets
from taskruns.engines.docker.daemon import Daemon, DaemonError
from taskruns.engines.docker.detached_follower import start_detached_follower
from taskruns.engines.docker.host import DaemonAddress, Host, state_directory
from taskruns.engines.docker.log import LogRecord
from taskruns.engines.docker.state_file import StateError, StateFile
from taskruns.engines.docker.store import InvalidRun, create_run, patch_run
from taskruns.engines.engine import AlreadyExists
from taskruns_airflow.client import Gone, Ref, Refused, Unreachable
from taskruns_airflow.log_position import Piece, nanoseconds_of
from taskruns_airflow.reattach import ended

_BAD_REQUEST, _NOT_VALID = 400, 422


class NotValid(Refused):
    """What was asked for is no TaskRun."""

    def __init__(self, sentence: str) -> None:
        super().__init__(_NOT_VALID, sentence)

    @override
    def __str__(self) -> str:
        return self.sentence


@dataclass(frozen=True, slots=True)
class DockerClient:
    """One namespace of a state directory."""

    host: Host
    namespace: str

    @property
    def unseen_advice(self) -> str:
        """Name the daemon that has not answered."""
        return "Check that the Docker daemon of the connection answers: docker info"

    def connect(self) -> AbstractAsyncContextManager["DockerRuns"]:
        """Open the way to its TaskRuns; a daemon is not needed before there is work for it."""
        return self._runs()

    def watch(self, ref: Ref) -> "DockerWatch":  # noqa: ARG002  # one is as good as another
        """Return what follows a run."""
        return DockerWatch(self.host)

    def shared_watch(self) -> "DockerWatch":
        """Return what follows a run."""
        return DockerWatch(self.host)

    @asynccontextmanager
    async def _runs(self) -> AsyncIterator["DockerRuns"]:
        yield DockerRuns(self.host, self.namespace)


class DockerWatch:
    """Follows runs: what they have coming happens meanwhile."""

    def __init__(self, host: Host) -> None:
        self._host = host

    async def follow(self, ref: Ref) -> AsyncIterator[TaskRun]:
        """Yield how a run is, at once and whenever it has changed; the last has ended.

        Raises:
            Gone: the run is not there, or not any more.
            Unreachable: no daemon answers, or the state directory cannot be used.
        """
        file = self._host.file(ref.namespace, ref.name)
        last: TaskRun | None = None
        with _told():
            if (await _read(file, ref)) is None:
                raise Gone
            async with self._host.following(file) as follower:
                async for found in follower.changes():
                    last = TaskRun.model_validate(found)
                    if last.metadata.uid != ref.uid:
                        raise Gone
                    yield last
        if last is None or not ended(last):
            raise Gone


class DockerRuns:
    """The TaskRuns of one namespace of a state directory."""

    def __init__(self, host: Host, namespace: str) -> None:
        self._host = host
        self._namespace = namespace

    async def create(self, manifest: Mapping[str, Any]) -> TaskRun:
        """Create a TaskRun, or find that it is there; whoever follows it has it begin."""
        file = self._host.file(self._namespace, manifest["metadata"]["name"])
        with _told():
            try:
                return TaskRun.model_validate(await create_run(file, manifest, self._host.now()))
            except AlreadyExists as there:
                found = (await file.read()).run
                if found is None:
                    raise NotValid(str(there)) from there
                return TaskRun.model_validate(found)

    async def get(self, ref: Ref) -> TaskRun | None:
        """Read a run; None when it is gone, or another has taken its name."""
        with _told():
            return await _read(self._file(ref), ref)

    async def find(self, label: str, value: str) -> list[TaskRun]:
        """Read the runs that have a label, as they were last looked at."""
        with _told():
            runs = await self._host.runs(self._namespace)
        labelled = (run for run in runs if run["metadata"].get("labels", {}).get(label) == value)
        return [TaskRun.model_validate(run) for run in labelled]

    async def cancel(self, ref: Ref, *, leaving: bool = False) -> None:
        """Have a run stopped, and see it end; one that has ended or is gone is left as it is.

        Whoever is leaving sees its container told to stop, and leaves a process that sees it end.
        """
        file = self._file(ref)
        with _told():
            run = await patch_run(file, {"spec": {"cancel": True}}, ref.uid)
            if run is None or ended(TaskRun.model_validate(run)):
                return
            if leaving:
                start_detached_follower(self._host, file)
            async with self._host.following(file) as follower:
                if leaving:
                    await follower.settle()
                    return
                async for _ in follower.changes():
                    pass

    async def collect(self, ref: Ref, pod_uid: str) -> None:
        """Tell that the log and the outcome of a Pod are read, and have its container removed."""
        mark = {"metadata": {"annotations": {ANNOTATION_COLLECTED: pod_uid}}}
        with _told():
            if await patch_run(self._file(ref), mark, ref.uid) is not None:
                async with self._host.following(self._file(ref)) as follower:
                    await follower.settle()

    @asynccontextmanager
    async def log(
        self,
        pod: str,
        container: str,
        since: str = "",
        *,
        follow: bool = True,
        previous: bool = False,
    ) -> AsyncIterator[AsyncIterator[Piece]]:
        """Open a container's log, from a time on."""
        with _told():
            async with self._host.daemon() as daemon:
                if (only := await _container_in(daemon, pod)) not in (container, None):
                    no = f"container {container} is not valid for pod {pod}"  # as an apiserver says
                    raise Refused(_BAD_REQUEST, f"{no}: on Docker it has {only} alone")
                if previous:
                    raise Refused(_BAD_REQUEST, f"container {container} has not restarted")
                yield _pieces(daemon.log_records(pod, since, follow=follow))

    async def log_end(self, pod: str, pieces: int | None) -> bytes:
        """Return the end of a container's log, byte for byte."""
        with _told():
            async with self._host.daemon() as daemon:
                return await daemon.log_tail(pod, pieces)

    def _file(self, ref: Ref) -> StateFile:
        return self._host.file(ref.namespace, ref.name)


async def _pieces(records: AsyncIterator[LogRecord]) -> AsyncIterator[Piece]:
    """Return what the daemon records as pieces; each has a time, also within a long line."""
    async for record in records:
        time = nanoseconds_of(record.time)
        yield Piece(record.content, time, newline=record.ends, stream=record.stream)


async def _container_in(daemon: Daemon, pod: str) -> str | None:
    """Return what the only container of a Pod is called there; None when it is gone."""
    found = await daemon.inspect(pod)
    return None if found is None else str(found["Config"]["Labels"][LABEL_CONTAINER])


async def _read(file: StateFile, ref: Ref) -> TaskRun | None:
    found = (await file.read()).run
    mine = found is not None and found["metadata"]["uid"] == ref.uid
    return TaskRun.model_validate(found) if mine else None


@contextmanager
def _told() -> Iterator[None]:
    """Turn the engine's errors into this provider's; each says what to do."""
    try:
        yield
    except InvalidRun as error:
        raise NotValid(str(error)) from error
    except DaemonError as error:
        raise Refused(error.code, str(error)) from error
    except (NoDaemon, StateError) as error:
        raise Unreachable(str(error)) from error


def docker_edge(settings: Mapping[str, Any], namespace: str) -> DockerClient:
    """Return the way to a namespace of the host that a connection's settings describe."""
    root = settings.get("state_directory")
    endpoint = DaemonAddress(
        url=settings.get("url"),
        ca_cert=settings.get("tls_ca_cert"),
        client_cert=settings.get("tls_client_cert"),
        client_key=settings.get("tls_client_key"),
        check_hostname=settings.get("tls_hostname", True) is not False,
    )
    host = Host(
        root=Path(root) if root else state_directory(),
        now=timezone.utcnow,
        endpoint=endpoint,
        given=Secrets(secrets=_secrets(settings.get("secrets") or {})),
    )
    return DockerClient(host, namespace)


def _secrets(told: Mapping[str, Mapping[str, str]]) -> dict[tuple[str, str], str]:
    return {(name, key): str(value) for name, keys in told.items() for key, value in keys.items()}
