"""What is known of one run: the TaskRun, its Pods, and which of them were told to start.

It is kept as one file, locked while it is changed and written in one step, so that neither a
client that dies nor a second one ever leaves or sees half of it. Versions are given as an
apiserver gives them: whatever has changed gets a new one.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from taskruns.engines.draft import Draft, drafted
from taskruns.engines.port import EngineError

_PRIVATE = 0o700


class StateTrouble(EngineError):
    """The state directory cannot be used; the message says what to do."""


@dataclass(slots=True)
class Record:
    """One run. What `change` hands out may be changed in place; it is written afterwards."""

    run: Draft | None = None
    pods: dict[str, Draft] = field(default_factory=dict)
    """By name."""
    starts: dict[str, str] = field(default_factory=dict)
    """When a Pod's container was told to start, by the Pod's uid: it may have run from then on."""
    version: int = 0

    def copy(self) -> "Record":
        """Return a record of its own with the same content."""
        return Record(
            drafted(self.run), drafted(self.pods), drafted(self.starts), version=self.version
        )

    @property
    def empty(self) -> bool:
        """Whether nothing of the run is left."""
        return self.run is None and not self.pods


class RecordFile:
    """Where one run is kept."""

    def __init__(self, root: Path, namespace: str, name: str) -> None:
        self.namespace, self.name = namespace, name
        self.path = root / namespace / f"{name}.json"
        self._lock = root / ".locks" / f"{namespace}.{name}"
        self._written = Record()

    async def read(self) -> Record:
        """Read it as it is now, without waiting for anybody."""
        return await asyncio.to_thread(self._load)

    @asynccontextmanager
    async def change(self) -> AsyncIterator[Record]:
        """Hold the lock; what has changed by the end is written, unless an error ends it.

        Raises:
            StateTrouble: the state directory cannot be written to.
        """
        from filelock import AsyncFileLock  # noqa: PLC0415 - whoever only reads needs no lock

        try:
            await asyncio.to_thread(self._prepare)
            async with AsyncFileLock(self._lock):
                self._written = await asyncio.to_thread(self._load)
                record = self._written.copy()
                yield record
                await self.write(record)
        except OSError as error:
            raise _trouble(self.path, error) from error

    async def write(self, record: Record) -> None:
        """Write what has changed so far; only for whoever holds the lock by `change`."""
        if record != self._written:
            _give_versions(self._written, record)
            await asyncio.to_thread(self._save, record)
            self._written = record.copy()

    def results(self, pod_uid: str) -> Path:
        """Where the last words of a Pod's container are kept."""
        return self.path.with_suffix(".words") / pod_uid

    def _prepare(self) -> None:
        for folder in (self.path.parent, self._lock.parent):
            folder.mkdir(parents=True, exist_ok=True, mode=_PRIVATE)

    def _load(self) -> Record:
        try:
            found = json.loads(self.path.read_text())
        except FileNotFoundError:
            return Record()
        except OSError as error:
            raise _trouble(self.path, error) from error
        except ValueError as error:
            raise StateTrouble(f"{self.path} is no record of a run: move it away") from error
        return Record(found["run"], found["pods"], found["starts"], found["version"])

    def _save(self, record: Record) -> None:
        if record.empty:
            self.path.unlink(missing_ok=True)
            return
        draft = self.path.with_suffix(f".{os.getpid()}.tmp")
        parts = ("run", "pods", "starts", "version")
        with draft.open("w") as file:
            json.dump({part: getattr(record, part) for part in parts}, file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.path)


def _give_versions(before: Record, after: Record) -> None:
    for kept, found in (
        (before.run, after.run),
        *((before.pods.get(name), pod) for name, pod in after.pods.items()),
    ):
        if found is not None and found != kept:
            after.version += 1
            found["metadata"]["resourceVersion"] = str(after.version)


def _trouble(path: Path, error: OSError) -> StateTrouble:
    why = error.strerror or str(error)
    return StateTrouble(
        f"{path.parent} cannot be used ({why}): make it writable and see that the disk has room, "
        "or name another state directory with TASKRUNS_STATE_DIR"
    )


def records(root: Path) -> list[RecordFile]:
    """Return every run that is kept in a state directory."""
    found = sorted(root.glob("*/*.json"))
    return [RecordFile(root, path.parent.name, path.stem) for path in found]


def uid_of(found: Mapping[str, Any]) -> str:
    """Return an object's uid."""
    uid: str = found["metadata"]["uid"]
    return uid
