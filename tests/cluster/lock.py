"""File locks between commands, which the kernel releases when a process ends."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.error import ClusterError
from tests.cluster.progress import Progress

INTERVAL = 0.05
PATIENCE = 45 * 60.0  # the longest operation under a lock is a first build


@contextmanager
def held(path: Path, resource: str, progress: Progress | None = None) -> Iterator[None]:
    """Hold a lock for the block, and wait for another holder first.

    Args:
        path: the lock file.
        resource: the locked resource, for messages.
        progress: receives a line if the lock must be waited for.

    Raises:
        ClusterError: another command has held the lock for 45 minutes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = _take(path)
    if descriptor is None and progress:
        progress.say(f"another command uses {resource}: waiting for it")
    end = time.monotonic() + PATIENCE
    while descriptor is None:
        if time.monotonic() > end:
            raise ClusterError(
                f"another command has used {resource} for {PATIENCE / 60:.0f} minutes"
            )
        time.sleep(INTERVAL)
        descriptor = _take(path)
    try:
        yield
    finally:
        os.close(descriptor)


@contextmanager
def held_if_free(path: Path) -> Iterator[bool]:
    """Hold a lock for the block if it is free; yield whether it is held."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = _take(path)
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _take(path: Path) -> int | None:
    """Return a descriptor with the lock, or None.

    A file that was removed or replaced after it was opened is not a valid lock.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_ino == path.stat().st_ino:
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(descriptor)
    return None
