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
from datetime import datetime, timedelta
from pathlib import Path

from taskruns.api.conditions import Phase, is_terminal
from taskruns.clock import Clock
from taskruns.core.defaults import SiteDefaults
from taskruns.core.unstructured import Object, mapping, text
from taskruns.engines.docker.daemon import Daemon
from taskruns.engines.docker.follower import Follower, belongs
from taskruns.engines.docker.state_file import StateFile, records
from taskruns.engines.engine import EngineError

log = logging.getLogger(__name__)

INTERVAL = timedelta(minutes=1)
"""Shortest interval between two collections, for all clients of a state directory together."""

_MARK = ".swept"


@asynccontextmanager
async def collect_in_background(
    root: Path,
    daemon: Daemon,
    now: Clock,
    site: SiteDefaults,
    excluded: StateFile,
) -> AsyncIterator[None]:
    """Collect garbage in the background while the block runs; the next client does the rest.

    Args:
        root: State directory.
        daemon: Daemon whose runs are collected.
        now: Clock.
        site: Site defaults.
        excluded: State file of the run that the block itself follows.
    """
    collection = _collect_due(root, daemon, now, site, excluded.path)
    task = asyncio.create_task(collection, name="taskruns: collect garbage")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _collect_due(
    root: Path, daemon: Daemon, now: Clock, site: SiteDefaults, excluded: Path
) -> None:
    if not await asyncio.to_thread(_is_due, root, now()):
        return
    try:
        state_files = await asyncio.to_thread(records, root)
    except EngineError as error:
        log.warning("no run can be garbage-collected: %s", error)
        return
    files = [file for file in state_files if file.path != excluded]
    random.shuffle(files)  # short-lived clients together reach every run
    for file in files:
        try:
            await collect_garbage(file, daemon, now, site)
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


def _is_due(root: Path, now: datetime) -> bool:
    """Return whether a collection is due; if it is, mark it as done by this client."""
    mark = root / _MARK
    with suppress(OSError):
        if now.timestamp() - mark.stat().st_mtime < INTERVAL.total_seconds():
            return False
    with suppress(OSError):
        mark.touch()
        return True
    return False
