"""CEL validation rules of the CRD, for constraints that types and bounds cannot express.

The apiserver evaluates them when a TaskRun is created or updated, so no webhook is needed. Each
message says what to write instead. A rule that uses `oldSelf` checks an update only.

CEL's type checker does not know the fields of core/v1 values. `dyn(...)` gives access to them and
compares them as a whole, and its cost estimate stays within the apiserver's limit.

The apiserver evaluates the rules of spec for every write of status too, and each access to a field
copies the schemas of all fields beside it (apiextensions-apiserver, `Structural.Properties`). So
one rule holds all immutable fields, and compares them one by one only if spec has changed.

Quantities in `resources` are not checked. CEL can only compare an untyped value for equality, and
every type that a CRD offers for them refuses `cpu: 0.5`, which is valid in a Pod.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from taskruns.api.conditions import TERMINAL_PHASES
from taskruns.api.names import MAX_LABEL_LENGTH
from taskruns.api.v1alpha1 import Backoff, TaskRunSpec
from taskruns.api.v1alpha1.model import DURATION_PATTERN, format_duration

MUTABLE = frozenset({"cancel", "suspend", "ttlSecondsAfterFinished"})
"""Fields of spec that may change after creation; all other fields are immutable."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One CEL rule of the CRD."""

    holds: str
    """CEL expression that is true for a valid value."""
    message: str
    """The error and its correction; the apiserver prepends the field's path."""
    message_expression: str = ""
    """CEL expression of a message that depends on the value; replaces `message` if it succeeds."""
    field: str = ""
    """Field below the rule's path that the error names; by default the path itself."""
    forbids: bool = False
    """Whether the error is FieldValueForbidden: a valid value that is not allowed here or now."""

    def to_json(self) -> dict[str, str]:
        """Return the rule as an item of x-kubernetes-validations."""
        written = {"rule": self.holds, "message": self.message}
        if self.message_expression:
            written["messageExpression"] = self.message_expression
        if self.field:
            written["fieldPath"] = f".{self.field}"
        if self.forbids:
            written["reason"] = "FieldValueForbidden"
        return written


def immutable_fields() -> tuple[str, ...]:
    """Return the fields of spec that cannot change after creation, in the order of the models."""
    names = (field.alias for field in TaskRunSpec.model_fields.values())
    return tuple(name for name in names if name is not None and name not in MUTABLE)


def immutable(field: str) -> str:
    """Return the message for a change of an immutable field of spec."""
    return f"{field}{_IMMUTABLE}"


def _immutability(fields: Iterable[str]) -> Rule:
    """Return the rule that forbids to add, change or remove any of these fields.

    The message names the first field that differs.
    """
    unchanged = {field: _is_unchanged(field) for field in fields}
    named = [f"!({holds}) ? '{field}'" for field, holds in unchanged.items()]
    return Rule(
        f"self == oldSelf || ({' && '.join(f'({holds})' for holds in unchanged.values())})",
        f"spec{_IMMUTABLE}",
        message_expression=f"({' : '.join(named)} : 'spec') + '{_IMMUTABLE}'",
        forbids=True,
    )


def _is_unchanged(field: str) -> str:
    new, old = f"dyn(self).{field}", f"dyn(oldSelf).{field}"
    return f"has({new}) == has({old}) && (!has({new}) || {new} == {old})"


_IMMUTABLE = " is immutable: create another TaskRun instead"
_DURATION = (
    Rule(
        f"self.matches('{DURATION_PATTERN}')",
        "write a duration as numbers of at most six digits with the units h, m, s or ms, such as "
        "90s or 1h30m",
    ),
)

_FINAL = ", ".join(f"'{phase}'" for phase in sorted(TERMINAL_PHASES))
_FIRST_WAIT = format_duration(Backoff().duration)

RULES: Mapping[str, tuple[Rule, ...]] = {
    "": (
        Rule(
            f"self.metadata.name.size() <= {MAX_LABEL_LENGTH}",
            f"the name of a TaskRun becomes a label of its Pods: write at most {MAX_LABEL_LENGTH} "
            "characters",
            field="metadata",
        ),
    ),
    "spec": (
        Rule(
            "has(self.image) || (has(self.template) && "
            "dyn(self.template).?spec.containers.hasValue())",
            "write image, or a main container in template.spec.containers",
            field="image",
        ),
        Rule(
            "!has(self.attemptDeadlineSeconds) || !has(self.activeDeadlineSeconds) || "
            "self.attemptDeadlineSeconds <= self.activeDeadlineSeconds",
            "an attempt cannot exceed the deadline of the run: write at most the value of "
            "activeDeadlineSeconds",
            field="attemptDeadlineSeconds",
        ),
        Rule(
            "!has(self.resultPath) || !has(self.volumeMounts) || self.volumeMounts.all(mount, "
            "!(mount.mountPath + '/').startsWith(self.resultPath + '/'))",
            "a volume is mounted at or below this path: write a path that neither equals nor "
            "contains a mountPath",
            field="resultPath",
        ),
        Rule(
            "!has(oldSelf.cancel) || !oldSelf.cancel || (has(self.cancel) && self.cancel)",
            "cancel cannot be reset: leave it true, and create another TaskRun to run again",
            field="cancel",
            forbids=True,
        ),
        _immutability(immutable_fields()),
    ),
    "spec.template": (
        Rule(
            "!dyn(self).?spec.nodeName.hasValue()",
            "nodeName bypasses the scheduler: write nodeSelector or affinity instead",
            field="spec",
            forbids=True,
        ),
        Rule(
            "dyn(self).?spec.restartPolicy.orValue('Never') == 'Never'",
            "restartPolicy must be Never, because each retry is a new Pod: leave it out, and set "
            "backoffLimit",
            field="spec",
        ),
    ),
    "spec.image": (
        Rule(
            "!self.matches('[[:space:]]')",
            "an image cannot contain white space: write a reference such as python:3.13-slim",
        ),
    ),
    "spec.resultPath": (
        Rule(
            "self.matches('^(/[^/:[:cntrl:]]+)+$') && !self.matches('/[.][.]?(/|$)')",
            "write the absolute path of a file, such as /airflow/xcom/return.json, without colons "
            "and without . or .. as a part",
        ),
    ),
    "spec.backoff": (
        Rule(
            # Another rule rejects invalid durations, on which duration() would fail.
            f"!has(self.cap) || !self.cap.matches('{DURATION_PATTERN}') || "
            f"(has(self.duration) && !self.duration.matches('{DURATION_PATTERN}')) || "
            f"duration(self.cap) >= "
            f"duration(has(self.duration) ? self.duration : '{_FIRST_WAIT}')",
            f"write a cap that is at least duration ({_FIRST_WAIT} unless given), or leave it out",
            field="cap",
        ),
    ),
    "spec.podFailurePolicy.rules[]": (
        Rule(
            "has(self.onExitCodes) != has(self.onPodConditions)",
            "a failure policy rule has one criterion: write either onExitCodes or onPodConditions",
        ),
    ),
    "spec.podFailurePolicy.rules[].onExitCodes": (
        Rule(
            "self.operator != 'In' || !(0 in self.values)",
            "exit code 0 is not a failure: leave it out, or write operator NotIn",
            field="values",
        ),
    ),
    "spec.backoff.duration": _DURATION,
    "spec.backoff.cap": _DURATION,
    "spec.podGC.deleteDelayDuration": _DURATION,
    "status": (
        Rule(
            f"!has(oldSelf.phase) || !(oldSelf.phase in [{_FINAL}]) || "
            "(has(self.phase) && self.phase == oldSelf.phase)",
            "a final phase is immutable: create another TaskRun to run again",
            field="phase",
            forbids=True,
        ),
        Rule(
            "!has(oldSelf.attempt) || (has(self.attempt) && self.attempt >= oldSelf.attempt)",
            "attempt cannot decrease: no attempt is created twice",
            field="attempt",
            forbids=True,
        ),
    ),
}
"""Rules by the path of the field that they are attached to; the empty path is the TaskRun."""
