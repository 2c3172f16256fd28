"""File watches that notice changes of a state file by other clients.

All files of a folder share one watch, because a watch takes a thread and an Airflow triggerer may
follow hundreds of runs of one folder.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from weakref import WeakKeyDictionary

log = logging.getLogger(__name__)

logging.getLogger("watchfiles").setLevel(logging.WARNING)  # it logs every change

_WATCH_MILLISECONDS = 50
_DELAY_SECONDS = 0.5
"""Time after which a watch begins, in seconds; changes before that are noticed then.

The import of watchfiles would delay the start of a container.
"""

_watches: "WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Path, _Watch]]" = WeakKeyDictionary()


@contextmanager
def watching(path: Path, callback: Callable[[], None]) -> Iterator[None]:
    """Call `callback` at every change of a file while the block runs; its folder must exist."""
    ours = _watches.setdefault(asyncio.get_running_loop(), {})
    watch = ours.setdefault(path.parent, _Watch(path.parent))
    watch.join(path, callback)
    try:
        yield
    finally:
        watch.leave(path, callback)
        if watch.idle:
            watch.stop()
            del ours[path.parent]


class _Watch:
    """Watch of one folder, with the callbacks per file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._callbacks: dict[str, list[Callable[[], None]]] = {}
        self._task: asyncio.Task[None] | None = None

    @property
    def idle(self) -> bool:
        """Whether no callback is registered."""
        return not self._callbacks

    def join(self, path: Path, callback: Callable[[], None]) -> None:
        """Register a callback for a file; start the watch if it is the first."""
        self._callbacks.setdefault(str(path), []).append(callback)
        if self._task is None:
            self._task = asyncio.create_task(self._watch(), name="taskruns: watch a folder")

    def leave(self, path: Path, callback: Callable[[], None]) -> None:
        """Unregister a callback of a file."""
        self._callbacks[str(path)].remove(callback)
        if not self._callbacks[str(path)]:
            del self._callbacks[str(path)]

    def stop(self) -> None:
        """Stop the watch."""
        if self._task is not None:
            self._task.cancel()

    async def _watch(self) -> None:
        await asyncio.sleep(_DELAY_SECONDS)
        watchfiles = await asyncio.to_thread(import_module, "watchfiles")
        for callback in [each for callbacks in self._callbacks.values() for each in callbacks]:
            callback()
        try:
            async for changes in watchfiles.awatch(
                self._folder, step=_WATCH_MILLISECONDS, recursive=False
            ):
                for path in {path for _, path in changes} & self._callbacks.keys():
                    for callback in self._callbacks[path]:
                        callback()
        except OSError as error:
            # For example, the user's limit of watches is reached. Followers also sync at intervals.
            log.warning("%s cannot be watched, changes take effect late: %s", self._folder, error)
