"""What is known of one run: the TaskRun, its Pods, and what the daemon was asked to do with them.

It is kept as one file, locked while it is changed and written in one step, so that neither a
client that dies nor a second one ever leaves or sees half of it. Versions are given as an
apiserver gives them: whatever has changed gets a new one.
"""

import asyncio
import json
import os
import re
import zlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from taskruns.core.unstructured import moment, stamp
from taskruns.engines.engine import EngineError
from taskruns.engines.objects import Draft, drafted

_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_PRIVATE = 0o700
_SUFFIX = ".json"
_LOCKS = 0x400
PULL_BEGAN, PULL_ENDED = "began", "ended"
_PULLS = 20
"""Pulls that are remembered: as many as a status has attempts."""


class StateError(EngineError):
    """The state directory cannot be used; the message says what to do."""


@dataclass(slots=True)
class Record:
    """One run. What `change` hands out may be changed in place; it is written afterwards."""

    run: Draft | None = None
    pods: dict[str, Draft] = field(default_factory=dict)
    """By name."""
    asked: dict[str, dict[str, str]] = field(default_factory=dict)
    """What the daemon was asked to do with a Pod's container, and when, by the Pod's uid: it may
    have come to pass from then on, whatever became of the client that asked."""
    home: dict[str, str] = field(default_factory=dict)
    """Of which daemon its containers are: its `id` and its `address`. Empty: there were none."""
    pulls: dict[str, dict[str, str]] = field(default_factory=dict)
    """When the image of a Pod, by its name, `began` to be pulled and `ended`. They outlast the
    Pod, as its attempt does in the TaskRun's status."""
    version: int = 0

    def live(self, pod: Mapping[str, Any]) -> Draft | None:
        """Return a Pod as it is here; None when it is gone, or another has its name."""
        live = self.pods.get(pod["metadata"]["name"])
        return live if live is not None and uid_of(live) == uid_of(pod) else None

    def asked_at(self, pod: Mapping[str, Any], what: str) -> datetime | None:
        """Return when something was asked for last; None when it never was."""
        return moment(self.asked.get(uid_of(pod), {}).get(what))

    def note(self, pod: Mapping[str, Any], what: str, now: datetime) -> None:
        """Note that something is asked for."""
        self.asked.setdefault(uid_of(pod), {})[what] = stamp(now)

    def forget(self, pod: Mapping[str, Any], what: str) -> None:
        """Forget that something was asked for: it has not come to pass and never will."""
        self.asked.get(uid_of(pod), {}).pop(what, None)

    def note_pull(self, pod: Mapping[str, Any], step: str, now: datetime) -> None:
        """Note that the pull of an image began, for the first time, or ended, for the last."""
        pull = self.pulls.setdefault(pod["metadata"]["name"], {})
        if step not in pull or step != PULL_BEGAN:
            pull[step] = stamp(now)
        while len(self.pulls) > _PULLS:
            self.pulls.pop(next(iter(self.pulls)))

    def copy(self) -> "Record":
        """Return a record of its own with the same content."""
        return Record(**{part: drafted(getattr(self, part)) for part in _PARTS})

    @property
    def empty(self) -> bool:
        """Whether nothing of the run is left."""
        return self.run is None and not self.pods


_PARTS = tuple(part.name for part in fields(Record))


class StateFile:
    """Where one run is kept."""

    def __init__(self, root: Path, namespace: str, name: str) -> None:
        self.namespace, self.name = namespace, name
        self.path = root / namespace / f"{name}{_SUFFIX}"
        # Runs share locks, so that there are not more of them with each run that ever was.
        number = zlib.crc32(f"{namespace}/{name}".encode()) % _LOCKS
        self._lock = root / ".locks" / f"{number:03x}"
        self._written = Record()

    async def read(self) -> Record:
        """Read it as it is now, without waiting for anybody."""
        return await asyncio.to_thread(self._load)

    async def read_run(self) -> Draft | None:
        """Read the TaskRun, or None where there is none.

        Raises:
            StateTrouble: it cannot be read, or has not what every TaskRun has.
        """
        run = (await self.read()).run
        try:
            for word in ("name", "creationTimestamp"):
                if run is not None:
                    run["metadata"][word].encode()
        except (KeyError, AttributeError, ValueError) as error:
            raise self._no_record() from error
        return run

    def _no_record(self) -> StateError:
        return StateError(f"{self.path} is no record of a run: move it away")

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
            raise _trouble(self.path.parent, error) from error

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
            known = {part: found[part] for part in _PARTS if part in found}
            record = Record(**{"run": found["run"], **known})
            _check_form(record)
        except FileNotFoundError as error:
            if self.path.is_symlink():
                raise StateError(
                    f"{self.path} is a link to a file that does not exist: remove it"
                ) from error
            return Record()
        except OSError as error:
            raise _trouble(self.path.parent, error) from error
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise self._no_record() from error
        return record

    def _save(self, record: Record) -> None:
        if record.empty:
            self.path.unlink(missing_ok=True)
            return
        draft = self.path.with_suffix(f".{os.getpid()}.tmp")
        try:
            with draft.open("w") as file:
                json.dump({part: getattr(record, part) for part in _PARTS}, file)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self.path)
        except OSError:
            draft.unlink(missing_ok=True)  # what a full disk holds of it is of no use
            raise


def _check_form(record: Record) -> None:
    """Raise an error where a record has not the form that everything relies on."""
    for found in (record.run, *record.pods.values()):
        if found is not None:
            for part in (found["metadata"], found.get("spec", {}), found.get("status", {})):
                part.keys()


def _give_versions(before: Record, after: Record) -> None:
    for kept, found in (
        (before.run, after.run),
        *((before.pods.get(name), pod) for name, pod in after.pods.items()),
    ):
        if found is not None and found != kept:
            after.version += 1
            found["metadata"]["resourceVersion"] = str(after.version)


def _trouble(folder: Path, error: OSError) -> StateError:
    why = error.strerror or str(error)
    return StateError(
        f"{folder} cannot be used ({why}): make it writable and see that the disk has room, "
        "or name another state directory with TASKRUNS_STATE_DIR"
    )


def records(root: Path, namespace: str | None = None) -> list[StateFile]:
    """Return the runs of one namespace or of all in a state directory, which may not exist yet.

    Raises:
        StateTrouble: the directory, or that of a namespace, cannot be read.
    """
    namespaces = [name for name in _entries(root) if _NAMESPACE.fullmatch(name)]
    return [
        StateFile(root, each, name.removesuffix(_SUFFIX))
        for each in namespaces
        if namespace in (None, each)
        for name in _entries(root / each)
        if name.endswith(_SUFFIX) and not name.startswith(".")
    ]


def _entries(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in folder.iterdir())
    except FileNotFoundError as error:
        if folder.is_symlink():
            raise _trouble(folder, error) from error
        return []
    except OSError as error:
        raise _trouble(folder, error) from error


def uid_of(found: Mapping[str, Any]) -> str:
    """Return an object's uid."""
    uid: str = found["metadata"]["uid"]
    return uid
