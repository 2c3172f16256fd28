"""Garbage collection of runs without a follower: deletes their due containers and records.

A follower may leave before a deletion delay or a TTL has passed. The next client of any run then
does the due steps in the background. Only runs that have ended, are stopping, or are cancelled or
deleted are processed, so that no attempt is started on behalf of an unrelated client.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from taskruns.api.conditions import Phase, is_terminal
from taskruns.clock import Clock
from taskruns.core.defaults import SiteDefaults
from taskruns.core.unstructured import Object, mapping, text
from taskruns.engines.docker.daemon import Daemon
from taskruns.engines.docker.follower import Follower, belongs
from taskruns.engines.docker.state_file import StateFile, records
from taskruns.engines.engine import EngineError

if TYPE_CHECKING:
    from taskruns.engines.docker.host import Host

log = logging.getLogger(__name__)

INTERVAL = timedelta(minutes=1)
"""Shortest interval between two collections, for all clients of a state directory together."""
_DELAY_SECONDS = 2.0
"""Time for which a client does nothing but follow its own run, in seconds.

A collection would compete with the start of the run's container.
"""

_MARK = ".swept"


@asynccontextmanager
async def collect_in_background(
    host: "Host", daemon: Daemon, excluded: StateFile
) -> AsyncIterator[None]:
    """Ensure that a due collection takes place, without a delay of the block.

    It takes place while the block runs or, if it is due at the end, in a process of its own.

    Args:
        host: State directory, clock and site defaults.
        daemon: Daemon whose runs are collected.
        excluded: State file of the run that the block itself follows.
    """
    collection = _collect_later(host, daemon, excluded.path)
    task = asyncio.create_task(collection, name="taskruns: collect garbage")
    try:
        yield
        if await asyncio.to_thread(_is_due_without, host, excluded.path):
            from taskruns.engines.docker.detached_follower import (  # noqa: PLC0415 - as below
                start_detached_collector,
            )

            await asyncio.to_thread(start_detached_collector, host)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _collect_later(host: "Host", daemon: Daemon, excluded: Path) -> None:
    await asyncio.sleep(_DELAY_SECONDS)
    await collect_due(host, daemon, excluded)


async def collect_due(host: "Host", daemon: Daemon, excluded: Path | None = None) -> None:
    """Collect the garbage of all runs but one, unless a client has done so recently."""
    if not await asyncio.to_thread(_is_due, host, is_begun=True):
        return
    try:
        state_files = await asyncio.to_thread(records, host.root)
    except EngineError as error:
        log.warning("no run can be garbage-collected: %s", error)
        return
    files = [file for file in state_files if file.path != excluded]
    random.shuffle(files)  # clients that are interrupted together reach every run
    for file in files:
        try:
            await collect_garbage(file, daemon, host.now, host.site)
        except EngineError as error:
            log.warning("%s/%s cannot be garbage-collected: %s", file.namespace, file.name, error)


async def collect_garbage(file: StateFile, daemon: Daemon, now: Clock, site: SiteDefaults) -> None:
    """Do the due steps of one run, if it has ended or is to end.

    Raises:
        StateError: The record cannot be used.
        NoDaemon: The daemon does not answer.
    """
    record = await file.read()
    if record.run is not None and _is_over(record.run) and await belongs(record, daemon):
        await Follower(file, daemon, now, site).tidy()


def _is_over(run: Object) -> bool:
    phase = text(mapping(run.get("status")).get("phase"))
    to_end = run["metadata"].get("deletionTimestamp") or mapping(run.get("spec")).get("cancel")
    return is_terminal(run) or phase == Phase.STOPPING or bool(to_end)


def _is_due(host: "Host", *, is_begun: bool) -> bool:
    """Return whether a collection is due.

    Args:
        host: The state directory. Nothing is due in a new one.
        is_begun: Whether to mark a due collection as done by this client.
    """
    mark = host.root / _MARK
    with suppress(OSError):
        try:
            marked_at = mark.stat().st_mtime
        except FileNotFoundError:
            mark.touch()
            return False
        is_due = host.now().timestamp() - marked_at >= INTERVAL.total_seconds()
        if is_due and is_begun:
            mark.touch()
        return is_due
    return False


def _is_due_without(host: "Host", excluded: Path) -> bool:
    """Return whether a collection of other runs than one is due."""
    with suppress(EngineError):
        return _is_due(host, is_begun=False) and any(
            file.path != excluded for file in records(host.root)
        )
    return False
