"""Whose run is it: one try of one Airflow task, and how a TaskRun says that it belongs to it.

A TaskRun's name is a pure function of the try, so that a create which is sent twice makes one
TaskRun, and what a dead worker has created is found again. Names carry a hash; the parts stand
in an annotation, and in labels for people and for look-ups.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any, Self

from taskruns.api.names import MAX_LABEL_LENGTH

LABEL_TASK = "airflow.taskruns.dev/task"
"""A hash of DAG, DAG run, task and map index: the same for every try, so that a try finds those
before it. It is on every TaskRun of Airflow's, and on nothing else."""

ANNOTATION_TRY = "airflow.taskruns.dev/try"
"""The try that a TaskRun belongs to, as JSON."""

_HASH_LENGTH = 10
_READABLE_LENGTH = MAX_LABEL_LENGTH - _HASH_LENGTH - 1
_NOT_IN_LABELS = re.compile(r"[^A-Za-z0-9_.-]+")
_NOT_IN_NAMES = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Try:
    """One try of one task instance."""

    dag_id: str
    task_id: str
    run_id: str
    map_index: int
    """-1 where the task is not mapped."""
    try_number: int
    max_tries: int
    """What tells a clear from a retry: a clear moves it, a retry does not."""
    run_start: str = ""
    """When the DAG run started, to the microsecond: a DAG run that is deleted and created again
    has another, and so has one that was cleared after its end."""
    instance: str = ""
    """Airflow 3's id of the task instance: new for every try and every clear, unique in the world.
    Empty on Airflow 2."""
    dag_version: str = ""
    """Airflow 3's id of the DAG's version: no two deployments share one. Empty on Airflow 2."""
    deployment: str = ""
    """What tells one Airflow 2 from another; empty on Airflow 3, whose ids do."""

    @property
    def key(self) -> str:
        """What no other try shares."""
        if self.instance:
            return self.instance
        parts = (self.deployment, self.run_start, self.max_tries, self.try_number)
        return _digest(self._task, *parts, length=64)

    @property
    def name(self) -> str:
        """The name of its TaskRun: DAG and task, as far as they fit, and a hash of the key."""
        mapped = "" if self.map_index < 0 else str(self.map_index)
        task = _readable(self.task_id, _READABLE_LENGTH // 2 - len(mapped))
        dag = _readable(self.dag_id, _READABLE_LENGTH // 2 - 1)
        return "-".join(part for part in (dag, task, mapped, _digest(self.key)) if part)

    def named(self, prefix: str) -> str:
        """Return the name of its TaskRun where the task itself says how it begins."""
        readable = _readable(prefix, _READABLE_LENGTH)
        return f"{readable}-{_digest(self.key)}" if readable else self.name

    @property
    def labels(self) -> dict[str, str]:
        """What its TaskRun and its Pods are found by; KubernetesPodOperator's keys among them."""
        parts = {
            "dag_id": self.dag_id,
            "task_id": self.task_id,
            "run_id": self.run_id,
            "try_number": str(self.try_number),
        }
        if self.map_index >= 0:
            parts["map_index"] = str(self.map_index)
        return {LABEL_TASK: self.task_label} | {k: label_value(v) for k, v in parts.items()}

    @property
    def task_label(self) -> str:
        """The value of `LABEL_TASK`."""
        return _digest(self._task, length=32)

    @property
    def annotations(self) -> dict[str, str]:
        """The exact parts, for whoever reads them back."""
        told = {key: value for key, value in asdict(self).items() if value != ""}
        return {ANNOTATION_TRY: json.dumps(told, sort_keys=True)}

    @classmethod
    def of(cls, annotations: Mapping[str, str]) -> Self | None:
        """Read the try that a TaskRun belongs to; None when it tells of none."""
        try:
            told = json.loads(annotations.get(ANNOTATION_TRY, ""))
            known = {field.name: told[field.name] for field in fields(cls) if field.name in told}
            found = cls(**known)
        except (ValueError, TypeError):
            return None
        return found if found.well_formed else None

    @property
    def well_formed(self) -> bool:
        """Whether every part has its type: an annotation can be edited by anybody."""
        return all(type(value) is type_ for value, type_ in self._typed())

    def _typed(self) -> list[tuple[object, object]]:
        return [(getattr(self, field.name), field.type) for field in fields(self)]

    @property
    def _task(self) -> str:
        return json.dumps([self.dag_id, self.run_id, self.task_id, self.map_index])


def moment(at: datetime | None) -> str:
    """Write a moment so that two of them sort as they came; empty for none."""
    return at.astimezone(UTC).isoformat(timespec="microseconds") if at else ""


def label_value(text: str) -> str:
    """Return `text` as a label's value: as it is where that is allowed, else cut and hashed."""
    safe = _NOT_IN_LABELS.sub("_", text).strip("_.-")
    if safe == text and len(text) <= MAX_LABEL_LENGTH:
        return text
    kept = safe[: MAX_LABEL_LENGTH - _HASH_LENGTH - 1].rstrip("_.-")
    return f"{kept}-{_digest(text)}" if kept else _digest(text)


def _readable(text: str, length: int) -> str:
    return _NOT_IN_NAMES.sub("-", text.lower()).strip("-")[:length].strip("-")


def _digest(*parts: Any, length: int = _HASH_LENGTH) -> str:
    text = parts[0] if len(parts) == 1 else json.dumps(parts)
    return hashlib.sha256(str(text).encode()).hexdigest()[:length]
