"""State file of one run: the TaskRun, its Pods, and the requests that were sent to the daemon.

The file is locked while it is changed and is replaced atomically, so no client leaves or reads a
partial record, even if it dies. As in an apiserver, every changed object gets a new
`resourceVersion`.
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

from taskruns.core.unstructured import Draft, drafted, moment, stamp
from taskruns.engines.engine import EngineError

_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_PRIVATE = 0o700
_SUFFIX = ".json"
_LOCKS = 0x400
PULL_BEGAN, PULL_ENDED = "began", "ended"
_PULLS = 20
"""Number of image pulls that a record keeps; a status keeps as many attempts."""


class StateError(EngineError):
    """The state directory or a record cannot be used; the message says what to do."""


@dataclass(slots=True)
class Record:
    """Content of one state file. `change` yields one to edit in place, then writes it."""

    run: Draft | None = None
    pods: dict[str, Draft] = field(default_factory=dict)
    """Pods by name."""
    requests: dict[str, dict[str, str]] = field(default_factory=dict)
    """Times of the requests that were sent to the daemon, by Pod uid and kind of request.

    A request may take effect at any time after that, even if the client that sent it has died.
    """
    home: dict[str, str] = field(default_factory=dict)
    """`id` and `address` of the daemon that owns the run; empty if there is no owner yet."""
    pulls: dict[str, dict[str, str]] = field(default_factory=dict)
    """Times at which an image pull `began` and `ended`, by Pod name.

    They are kept after the Pod is removed, as its attempt is kept in the TaskRun's status.
    """
    version: int = 0

    def live(self, pod: Mapping[str, Any]) -> Draft | None:
        """Return a Pod as recorded, or None if it is gone or another Pod has its name."""
        live = self.pods.get(pod["metadata"]["name"])
        return live if live is not None and uid_of(live) == uid_of(pod) else None

    def requested_at(self, pod: Mapping[str, Any], request: str) -> datetime | None:
        """Return when a kind of request was last sent for a Pod, or None."""
        return moment(self.requests.get(uid_of(pod), {}).get(request))

    def note(self, pod: Mapping[str, Any], request: str, now: datetime) -> None:
        """Record that a request is sent."""
        self.requests.setdefault(uid_of(pod), {})[request] = stamp(now)

    def forget(self, pod: Mapping[str, Any], request: str) -> None:
        """Remove a request that has not taken effect and never will."""
        self.requests.get(uid_of(pod), {}).pop(request, None)

    def note_pull(self, pod: Mapping[str, Any], step: str, now: datetime) -> None:
        """Record the first start or the latest end of an image pull."""
        pull = self.pulls.setdefault(pod["metadata"]["name"], {})
        if step not in pull or step != PULL_BEGAN:
            pull[step] = stamp(now)
        while len(self.pulls) > _PULLS:
            self.pulls.pop(next(iter(self.pulls)))

    def copy(self) -> "Record":
        """Return a deep copy of the record."""
        return Record(**{part: drafted(getattr(self, part)) for part in _KEYS})

    @property
    def empty(self) -> bool:
        """Whether the record has neither a TaskRun nor Pods."""
        return self.run is None and not self.pods


_KEYS = {part.name: part.name for part in fields(Record)} | {"requests": "asked"}
"""Keys of the file, by field of a record."""


class StateFile:
    """File and lock of one run in a state directory."""

    def __init__(self, root: Path, namespace: str, name: str) -> None:
        self.namespace, self.name = namespace, name
        self.path = root / namespace / f"{name}{_SUFFIX}"
        # Runs share a fixed number of lock files; otherwise every run would leave one behind.
        number = zlib.crc32(f"{namespace}/{name}".encode()) % _LOCKS
        self._lock = root / ".locks" / f"{number:03x}"
        self._written = Record()

    async def read(self) -> Record:
        """Return the current record without waiting for the lock."""
        return await asyncio.to_thread(self._load)

    async def read_run(self) -> Draft | None:
        """Return the TaskRun, or None.

        Raises:
            StateError: The file cannot be read, or the TaskRun lacks a required field.
        """
        return await asyncio.to_thread(self.load_run)

    def load_run(self) -> Draft | None:
        """Return the TaskRun as `read_run` does, but block."""
        run = self._load().run
        try:
            for word in ("name", "creationTimestamp"):
                if run is not None:
                    run["metadata"][word].encode()
        except (KeyError, AttributeError, ValueError) as error:
            raise self._no_record() from error
        return run

    def _no_record(self) -> StateError:
        return StateError(f"{self.path} is not a record of a run: move it away")

    @asynccontextmanager
    async def change(self) -> AsyncIterator[Record]:
        """Hold the lock and yield the record; write its changes at the end, unless an error occurs.

        Raises:
            StateError: The state directory cannot be written to.
        """
        from filelock import AsyncFileLock  # noqa: PLC0415 - clients that only read do not need it

        try:
            await asyncio.to_thread(self._prepare)
            async with AsyncFileLock(self._lock):
                self._written = await asyncio.to_thread(self._load)
                record = self._written.copy()
                yield record
                await self.write(record)
        except OSError as error:
            raise _unusable(self.path.parent, error) from error

    async def write(self, record: Record) -> None:
        """Write the changes made so far; to be called only inside a `change` block."""
        if record != self._written:
            _give_versions(self._written, record)
            await asyncio.to_thread(self._save, record)
            self._written = record.copy()

    def message_file(self, pod_uid: str) -> Path:
        """Return the path of the termination message file of a Pod."""
        return self.path.with_suffix(".words") / pod_uid

    def _prepare(self) -> None:
        for folder in (self.path.parent, self._lock.parent):
            folder.mkdir(parents=True, exist_ok=True, mode=_PRIVATE)

    def _load(self) -> Record:
        try:
            content = json.loads(self.path.read_text())
            parts = {part: content[key] for part, key in _KEYS.items() if key in content}
            record = Record(**{"run": content["run"], **parts})
            _check_form(record)
        except FileNotFoundError as error:
            if self.path.is_symlink():
                raise StateError(
                    f"{self.path} is a link to a file that does not exist: remove it"
                ) from error
            return Record()
        except OSError as error:
            raise _unusable(self.path.parent, error) from error
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
                json.dump({key: getattr(record, part) for part, key in _KEYS.items()}, file)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self.path)
        except OSError:
            draft.unlink(missing_ok=True)  # a full disk leaves a partial file
            raise


def _check_form(record: Record) -> None:
    """Raise an error unless metadata, spec and status of every object are mappings."""
    for manifest in (record.run, *record.pods.values()):
        if manifest is not None:
            for part in (
                manifest["metadata"],
                manifest.get("spec", {}),
                manifest.get("status", {}),
            ):
                part.keys()


def _give_versions(before: Record, after: Record) -> None:
    for previous, current in (
        (before.run, after.run),
        *((before.pods.get(name), pod) for name, pod in after.pods.items()),
    ):
        if current is not None and current != previous:
            after.version += 1
            current["metadata"]["resourceVersion"] = str(after.version)


def _unusable(folder: Path, error: OSError) -> StateError:
    why = error.strerror or str(error)
    return StateError(
        f"{folder} cannot be used ({why}): make it writable, free disk space, or set another state "
        "directory with TASKRUNS_STATE_DIR"
    )


def records(root: Path, namespace: str | None = None) -> list[StateFile]:
    """Return the state files of one namespace, or of all; empty if the directory does not exist.

    Raises:
        StateError: The directory, or that of a namespace, cannot be read.
    """
    namespaces = [name for name in _entries(root) if _NAMESPACE.fullmatch(name)]
    return [
        StateFile(root, folder, name.removesuffix(_SUFFIX))
        for folder in namespaces
        if namespace in (None, folder)
        for name in _entries(root / folder)
        if name.endswith(_SUFFIX) and not name.startswith(".")
    ]


def _entries(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in folder.iterdir())
    except FileNotFoundError as error:
        if folder.is_symlink():
            raise _unusable(folder, error) from error
        return []
    except OSError as error:
        raise _unusable(folder, error) from error


def uid_of(manifest: Mapping[str, Any]) -> str:
    """Return the uid of an object."""
    uid: str = manifest["metadata"]["uid"]
    return uid
