"""What a TaskRun must keep to that types and bounds cannot say: the rules, in CEL.

The apiserver checks them whenever a TaskRun is applied, so there is no webhook that could fail.
Each refusal is a sentence that says what to write instead. A rule with `oldSelf` looks at a change.

Values of core/v1 are opaque to CEL's type checker, which does not know their fields; `dyn(...)`
reaches them all the same, and compares them whole. Kubernetes' own `self == oldSelf` misses the
swap of one unknown field for another, so immutability is checked on maps of anything instead.

Amounts in `resources` are not looked at: of a value without a type CEL can tell whether it equals
another and no more, and every type that a CRD has for them refuses `cpu: 0.5`, which a Pod takes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from taskruns.api.conditions import TERMINAL_PHASES
from taskruns.api.names import MAX_LABEL_LENGTH
from taskruns.api.v1alpha1 import Backoff, TaskRunSpec
from taskruns.api.v1alpha1.model import DURATION_PATTERN, format_duration

MUTABLE = frozenset({"cancel", "suspend", "ttlSecondsAfterFinished"})
"""The fields of spec that may change after creation. A new field may not, unless it is put here."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: it holds where it is true."""

    holds: str
    message: str
    """What to write instead; the apiserver puts the field's path before it."""
    field: str = ""
    """The field below the rule's place that a refusal names; by default the place itself."""
    forbids: bool = False
    """Whether the value is not wrong by itself, but not allowed there or any more."""

    def to_json(self) -> dict[str, str]:
        """Return the rule as an item of x-kubernetes-validations."""
        written = {"rule": self.holds, "message": self.message}
        if self.field:
            written["fieldPath"] = f".{self.field}"
        if self.forbids:
            written["reason"] = "FieldValueForbidden"
        return written


def fixed(field: str) -> Rule:
    """Forbid to add, change or remove a field of spec."""
    new, old = f"dyn(self).{field}", f"dyn(oldSelf).{field}"
    return Rule(
        f"has({new}) == has({old}) && (!has({new}) || {new} == {old})",
        f"{field} is fixed when a TaskRun is created: create another TaskRun instead",
        field=field,
        forbids=True,
    )


def _fixed_fields() -> Iterable[str]:
    names = (field.alias for field in TaskRunSpec.model_fields.values())
    return (name for name in names if name is not None and name not in MUTABLE)


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
            "an attempt cannot take longer than the whole run: write at most the value of "
            "activeDeadlineSeconds",
            field="attemptDeadlineSeconds",
        ),
        Rule(
            "!has(self.resultPath) || !has(self.volumeMounts) || self.volumeMounts.all(mount, "
            "!(mount.mountPath + '/').startsWith(self.resultPath + '/'))",
            "a volume is mounted there: write the path of a file that is no mountPath, nor a "
            "folder above one",
            field="resultPath",
        ),
        Rule(
            "!has(oldSelf.cancel) || !oldSelf.cancel || (has(self.cancel) && self.cancel)",
            "cancel cannot be taken back: leave it true, and create another TaskRun to run again",
            field="cancel",
            forbids=True,
        ),
        *(fixed(field) for field in _fixed_fields()),
    ),
    "spec.template": (
        Rule(
            "!dyn(self).?spec.nodeName.hasValue()",
            "nodeName would go round the scheduler: write nodeSelector or affinity instead",
            field="spec",
            forbids=True,
        ),
        Rule(
            "dyn(self).?spec.restartPolicy.orValue('Never') == 'Never'",
            "write restartPolicy Never or leave it out: each retry is a new Pod, see backoffLimit",
            field="spec",
        ),
    ),
    "spec.image": (
        Rule(
            "!self.matches('[[:space:]]')",
            "write the image without a space or line break in it, such as python:3.13-slim",
        ),
    ),
    "spec.resultPath": (
        Rule(
            "self.matches('^(/[^/:[:cntrl:]]+)+$') && !self.matches('/[.][.]?(/|$)')",
            "write the absolute path of a file, such as /airflow/xcom/return.json, without a "
            "colon, . or .. in it",
        ),
    ),
    "spec.backoff": (
        Rule(
            # What is no duration is refused as such; it cannot be compared.
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
            "a rule matches in one way: write either onExitCodes or onPodConditions",
        ),
    ),
    "spec.podFailurePolicy.rules[].onExitCodes": (
        Rule(
            "self.operator != 'In' || !(0 in self.values)",
            "exit code 0 is no failure: leave it out, or write operator NotIn",
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
            "a run that has ended stays as it ended: create another TaskRun to run again",
            field="phase",
            forbids=True,
        ),
        Rule(
            "!has(oldSelf.attempt) || (has(self.attempt) && self.attempt >= oldSelf.attempt)",
            "attempt only grows: no attempt is ever made twice",
            field="attempt",
            forbids=True,
        ),
    ),
}
"""By the place in a TaskRun that the rule stands at; the empty place is the TaskRun itself."""
