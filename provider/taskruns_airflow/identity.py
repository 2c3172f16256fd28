"""Identity of one try of an Airflow task, and its name, labels and annotation on a TaskRun.

A TaskRun's name is a pure function of the try. A create that is sent twice therefore makes one
TaskRun, and the TaskRun of a dead worker is found again. The name contains a hash. The parts of
the identity are stored in an annotation, and in labels for users and lookups.
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
"""Label with a hash of DAG, DAG run, task and map index. It is the same for every try, so a try
finds the TaskRuns of earlier ones. Every TaskRun of Airflow has it, and no other TaskRun."""

ANNOTATION_TRY = "airflow.taskruns.dev/try"
"""Annotation with the try that a TaskRun belongs to, as JSON."""

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
    """-1 if the task is not mapped."""
    try_number: int
    max_tries: int
    """Distinguishes a clear, which changes it, from a retry, which does not."""
    run_start: str = ""
    """Start time of the DAG run, to the microsecond. It changes when a DAG run is deleted and
    created again, and when it is cleared after its end."""
    instance: str = ""
    """Airflow 3's id of the task instance, a UUID that is new for every try and every clear. Empty
    on Airflow 2."""
    dag_version: str = ""
    """Airflow 3's id of the DAG version; no two deployments share one. Empty on Airflow 2."""
    deployment: str = ""
    """Base URL of the Airflow 2 deployment. Empty on Airflow 3, whose ids are unique."""

    @property
    def key(self) -> str:
        """Unique key of the try."""
        if self.instance:
            return self.instance
        parts = (self.deployment, self.run_start, self.max_tries, self.try_number)
        return _digest(self._task, *parts, length=64)

    @property
    def name(self) -> str:
        """Name of the try's TaskRun: DAG and task, as far as they fit, and a hash of the key."""
        mapped = "" if self.map_index < 0 else str(self.map_index)
        task = _readable(self.task_id, _READABLE_LENGTH // 2 - len(mapped))
        dag = _readable(self.dag_id, _READABLE_LENGTH // 2 - 1)
        return "-".join(part for part in (dag, task, mapped, _digest(self.key)) if part)

    def named(self, prefix: str) -> str:
        """Return the name of the try's TaskRun with the given prefix."""
        readable = _readable(prefix, _READABLE_LENGTH)
        return f"{readable}-{_digest(self.key)}" if readable else self.name

    @property
    def labels(self) -> dict[str, str]:
        """Labels of the try's TaskRun and Pods, with the keys that KubernetesPodOperator uses."""
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
        """Annotation with the exact parts of the try; read by `of`."""
        parts = {key: value for key, value in asdict(self).items() if value != ""}
        return {ANNOTATION_TRY: json.dumps(parts, sort_keys=True)}

    @classmethod
    def of(cls, annotations: Mapping[str, str]) -> Self | None:
        """Return the try that a TaskRun belongs to; None without a valid annotation."""
        try:
            parts = json.loads(annotations.get(ANNOTATION_TRY, ""))
            known = {field.name: parts[field.name] for field in fields(cls) if field.name in parts}
            own = cls(**known)
        except (ValueError, TypeError):
            return None
        return own if own.well_formed else None

    @property
    def well_formed(self) -> bool:
        """Whether every part has the right type; a user may have edited the annotation."""
        return all(type(value) is type_ for value, type_ in self._typed())

    def _typed(self) -> list[tuple[object, object]]:
        return [(getattr(self, field.name), field.type) for field in fields(self)]

    @property
    def _task(self) -> str:
        return json.dumps([self.dag_id, self.run_id, self.task_id, self.map_index])


def format_time(at: datetime | None) -> str:
    """Return a time as text that sorts chronologically; empty for None."""
    return at.astimezone(UTC).isoformat(timespec="microseconds") if at else ""


def label_value(text: str) -> str:
    """Return `text` as a label value: unchanged if it is valid, otherwise cut and hashed."""
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
