"""Writes of clients to a record: create, patch and delete a TaskRun, as in an apiserver."""

import re
import uuid
from collections.abc import Mapping
from datetime import datetime

from pydantic import ValidationError

from taskruns.api import names
from taskruns.api.v1alpha1 import TaskRun
from taskruns.core.unstructured import Draft, Object, drafted, merged, stamp
from taskruns.engines.docker.engine import mark_run_deleted
from taskruns.engines.docker.state_file import StateFile, uid_of
from taskruns.engines.engine import AlreadyExists, EngineError

_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")


class InvalidRun(EngineError):
    """The manifest is not a valid TaskRun; the message says what to write instead."""


async def create_run(
    file: StateFile, manifest: Object, now: datetime, home: Mapping[str, str] | None = None
) -> Object:
    """Create a TaskRun.

    Args:
        file: State file of the run.
        manifest: The TaskRun.
        now: Current time.
        home: The daemon that owns the run, as in a record; None assigns it to the first daemon on
            which it is followed.

    Raises:
        InvalidRun: The manifest is not valid.
        AlreadyExists: A TaskRun of that name exists.
        StateError: The state directory cannot be used.
    """
    run: Draft = drafted(manifest)
    metadata = run.setdefault("metadata", {})
    metadata |= {
        "name": file.name,
        "namespace": file.namespace,
        "uid": str(uuid.uuid4()),
        "creationTimestamp": stamp(now),
        "generation": 1,
        "resourceVersion": "0",
    }
    run["status"] = {"observedGeneration": -1}
    _check(run)
    async with file.change() as record:
        if record.run is not None:
            raise AlreadyExists(
                f"TaskRun {file.name} already exists: delete it, or choose another name"
            )
        record.run = run
        record.home = dict(home or {})
    return run


async def patch_run(file: StateFile, patch: Object, uid: str | None = None) -> Object | None:
    """Apply a merge patch to a TaskRun; return it, or None if none with that uid exists.

    Raises:
        InvalidRun: The patched TaskRun would not be valid.
        StateError: The state directory cannot be used.
    """
    async with file.change() as record:
        if record.run is None or uid not in (None, uid_of(record.run)):
            return None
        changed = merged(record.run, patch)
        if changed.get("spec") != record.run.get("spec"):
            changed["metadata"]["generation"] += 1
        _check(changed)
        record.run = changed
    return record.run


async def delete_run(file: StateFile, now: datetime) -> None:
    """Delete a TaskRun; its follower stops a running container with its grace period.

    Raises:
        StateError: The state directory cannot be used.
    """
    async with file.change() as record:
        mark_run_deleted(record, now)


def _check(run: Object) -> None:
    name = run["metadata"]["name"]
    if len(name) > names.MAX_LABEL_LENGTH or not re.fullmatch(names.NAME, name):
        raise InvalidRun(
            f"metadata.name {name!r}: write at most {names.MAX_LABEL_LENGTH} lower-case letters, "
            "digits, - and ."
        )
    namespace = run["metadata"]["namespace"]
    if len(namespace) > names.MAX_LABEL_LENGTH or not _NAMESPACE.fullmatch(namespace):
        raise InvalidRun(
            f"namespace {namespace!r}: write at most {names.MAX_LABEL_LENGTH} lower-case letters, "
            "digits and -"
        )
    if (run.get("apiVersion"), run.get("kind")) != (names.API_VERSION, names.KIND):
        raise InvalidRun(f"write apiVersion: {names.API_VERSION} and kind: {names.KIND}")
    try:
        TaskRun.model_validate(run)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidRun(f"{where}: {first['msg']}") from error
