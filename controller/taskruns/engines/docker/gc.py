"""What is due of runs that nobody follows any more: their containers, and their records.

Their follower has left before the delay of a deletion or a time to live was over. The next client,
of whichever run, does it in passing. Only runs that have ended or are to end are looked at: no
attempt is ever started for somebody who did not ask for it.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path

from taskruns.api.conditions import TERMINAL_PHASES, Phase
from taskruns.core.defaults import SiteDefaults
from taskruns.core.unstructured import mapping, text
from taskruns.engines.docker.daemon import Daemon
from taskruns.engines.docker.follower import Follower, belongs
from taskruns.engines.docker.state_file import StateFile, records
from taskruns.engines.engine import EngineError, Object

log = logging.getLogger(__name__)

EVERY = timedelta(minutes=1)
"""How often it is done at most, by all clients of a state directory together."""

_MARK = ".swept"


@asynccontextmanager
async def swept(
    root: Path,
    daemon: Daemon,
    now: Callable[[], datetime],
    site: SiteDefaults,
    spared: StateFile,
) -> AsyncIterator[None]:
    """Sweep beside the block; what is not done by its end is left to the next.

    Args:
        root: the state directory.
        daemon: whose runs are swept.
        now: the clock.
        site: what runs do not say themselves.
        spared: the run that the block itself looks after.
    """
    sweep = _sweep(root, daemon, now, site, spared.path)
    task = asyncio.create_task(sweep, name="taskruns: sweep")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _sweep(
    root: Path, daemon: Daemon, now: Callable[[], datetime], site: SiteDefaults, spared: Path
) -> None:
    if not await asyncio.to_thread(_is_time, root, now()):
        return
    try:
        found = await asyncio.to_thread(records, root)
    except EngineError as error:
        log.warning("nothing can be cleaned up: %s", error)
        return
    files = [file for file in found if file.path != spared]
    random.shuffle(files)  # clients that leave soon get to all of them between them
    for file in files:
        try:
            await collect_garbage(file, daemon, now, site)
        except EngineError as error:
            log.warning("%s/%s cannot be cleaned up: %s", file.namespace, file.name, error)


async def collect_garbage(
    file: StateFile, daemon: Daemon, now: Callable[[], datetime], site: SiteDefaults
) -> None:
    """Do what is due of one run that has ended or is to end.

    Raises:
        StateTrouble: its record cannot be used.
        NoDaemon: the daemon does not answer.
    """
    record = await file.read()
    if record.run is not None and _is_over(record.run) and await belongs(record, daemon):
        await Follower(file, daemon, now, site).tidy()


def _is_over(run: Object) -> bool:
    phase = text(mapping(run.get("status")).get("phase"))
    unwanted = run["metadata"].get("deletionTimestamp") or mapping(run.get("spec")).get("cancel")
    return phase in TERMINAL_PHASES or phase == Phase.STOPPING or bool(unwanted)


def _is_time(root: Path, now: datetime) -> bool:
    """Whether nobody has swept for a while; whoever asks is then the one who does."""
    mark = root / _MARK
    with suppress(OSError):
        if now.timestamp() - mark.stat().st_mtime < EVERY.total_seconds():
            return False
    with suppress(OSError):
        mark.touch()
        return True
    return False
