"""Notices what another client has written into a record: one watch a folder, whoever looks on.

A watch takes a thread. A triggerer may follow hundreds of runs of one folder.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from weakref import WeakKeyDictionary

from watchfiles import awatch

log = logging.getLogger(__name__)

logging.getLogger("watchfiles").setLevel(logging.WARNING)  # it tells of every change

_WATCH_MILLISECONDS = 50

_watches: "WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Path, _Watch]]" = WeakKeyDictionary()


@contextmanager
def watching(path: Path, tell: Callable[[], None]) -> Iterator[None]:
    """Call `tell` whenever a file is written, while the block runs; its folder must be there."""
    ours = _watches.setdefault(asyncio.get_running_loop(), {})
    watch = ours.setdefault(path.parent, _Watch(path.parent))
    watch.join(path, tell)
    try:
        yield
    finally:
        watch.leave(path, tell)
        if watch.idle:
            watch.stop()
            del ours[path.parent]


class _Watch:
    """The watch of one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._told: dict[str, list[Callable[[], None]]] = {}
        self._task: asyncio.Task[None] | None = None

    @property
    def idle(self) -> bool:
        """Whether nobody looks on any more."""
        return not self._told

    def join(self, path: Path, tell: Callable[[], None]) -> None:
        """Begin to tell somebody about a file."""
        self._told.setdefault(str(path), []).append(tell)
        if self._task is None:
            self._task = asyncio.create_task(self._watch(), name="taskruns: watch a folder")

    def leave(self, path: Path, tell: Callable[[], None]) -> None:
        """Tell somebody no more."""
        self._told[str(path)].remove(tell)
        if not self._told[str(path)]:
            del self._told[str(path)]

    def stop(self) -> None:
        """End it."""
        if self._task is not None:
            self._task.cancel()

    async def _watch(self) -> None:
        try:
            async for changes in awatch(self._folder, step=_WATCH_MILLISECONDS, recursive=False):
                for path in {path for _, path in changes} & self._told.keys():
                    for tell in self._told[path]:
                        tell()
        except OSError as error:
            # Such as too many watches of this user: whoever looks on looks by the clock, too.
            log.warning("%s cannot be watched, changes are noticed late: %s", self._folder, error)
