"""Following a run to its end: its log on standard output, what becomes of it on standard error."""

import asyncio
import contextlib
import signal
from collections.abc import Mapping
from typing import Any

import click

from taskruns.api.conditions import TERMINAL_PHASES, Phase
from taskruns.cli.host import Host
from taskruns.core.wire import mapping, text
from taskruns.engines.docker.container import NOTHING_GIVEN, Given
from taskruns.engines.docker.daemon import Daemon, DaemonError
from taskruns.engines.port import Object, Unavailable

_AT_ONCE = 0
_LOG_PATIENCE = 5.0
"""Seconds that the rest of a log may take once its run has ended."""


async def follow(
    host: Host, name: str, given: Given = NOTHING_GIVEN, *, quiet: bool = False
) -> Object:
    """Follow a run to its end and return it; Ctrl-C cancels it, a second one kills it.

    Raises:
        NoDaemon: no Docker daemon answers.
        StateTrouble: the state directory cannot be used.
    """
    last = await host.run(name)
    async with host.following(name, given) as (follower, daemon):
        logs = _Logs(daemon)
        interrupt = _Interrupt(host, name, daemon)
        async for run in follower.changes():
            if not quiet:
                _tell(last, run)
            logs.follow(run)
            interrupt.pod = text(mapping(run.get("status")).get("podName"))
            last = run
        await logs.finish()
        interrupt.forget()
    return last


class _Logs:
    """Copies the log of each attempt to standard output, one after the other."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._pod = ""
        self._copying: asyncio.Task[None] | None = None

    def follow(self, run: Object) -> None:
        """Begin with an attempt's log as soon as its container may have one."""
        status = mapping(run.get("status"))
        pod = text(status.get("podName"))
        if pod and pod != self._pod and text(status.get("phase")) != Phase.QUEUED:
            self._pod = pod
            self._copying = asyncio.create_task(self._copy(pod, self._copying))

    async def finish(self) -> None:
        """Let what is still on its way arrive."""
        if self._copying is not None:
            await asyncio.wait({self._copying}, timeout=_LOG_PATIENCE)
            self._copying.cancel()

    async def _copy(self, pod: str, before: "asyncio.Task[None] | None") -> None:
        if before is not None:
            await asyncio.wait({before})
        with contextlib.suppress(DaemonError, Unavailable):
            await self._daemon.started(pod)
            async for piece in self._daemon.logs(pod, follow=True):
                click.echo(piece, nl=False)


class _Interrupt:
    """What Ctrl-C does: the first cancels with the grace period, the second kills."""

    def __init__(self, host: Host, name: str, daemon: Daemon) -> None:
        self._host, self._name, self._daemon = host, name, daemon
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._asked = False
        self.pod = ""
        for number in (signal.SIGINT, signal.SIGTERM):
            self._loop.add_signal_handler(number, self._interrupted)

    def forget(self) -> None:
        """Let signals be what they are by default."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self._loop.remove_signal_handler(number)

    def _interrupted(self) -> None:
        if not self._asked:
            click.echo("taskrun: cancelling; again to kill it", err=True)
            work = self._host.patch(self._name, {"spec": {"cancel": True}})
            self._tasks.add(asyncio.create_task(work))
        elif self.pod:
            self._tasks.add(asyncio.create_task(self._kill()))
        self._asked = True

    async def _kill(self) -> None:
        with contextlib.suppress(DaemonError, Unavailable):
            await self._daemon.stop(self.pod, _AT_ONCE)


def _tell(before: Object, run: Object) -> None:
    """Say what has become of a run, where that is news."""
    was, status = (_news(found) for found in (before, run))
    if status == was or not status[0]:
        return
    phase, reason, message = status
    ended = phase in TERMINAL_PHASES
    said = f"{phase}: {message or reason}" if ended or phase == Phase.BACKING_OFF else phase
    click.echo(f"taskrun: {run['metadata']['name']} {said}", err=True)


def _news(run: Mapping[str, Any]) -> tuple[str, str, str]:
    status = mapping(run.get("status"))
    return text(status.get("phase")), text(status.get("reason")), text(status.get("message"))
