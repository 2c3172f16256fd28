"""A Job's `podFailurePolicy`, field for field, so that one pastes in unchanged.

Source: batch/v1 PodFailurePolicy. `FailIndex` belongs to indexed Jobs and is refused.
"""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field

from taskruns.api.v1alpha1.model import Model

_ATOMIC: dict[str, Any] = {"x-kubernetes-list-type": "atomic"}
_SET: dict[str, Any] = {"x-kubernetes-list-type": "set"}

ExitCode = Annotated[int, Field(ge=-(2**31), le=2**31 - 1)]


class FailureAction(StrEnum):
    """What a matching rule makes of a failed attempt."""

    FAIL_JOB = "FailJob"
    IGNORE = "Ignore"
    COUNT = "Count"


class ExitCodeOperator(StrEnum):
    """How an exit code is compared with a rule's values."""

    IN = "In"
    NOT_IN = "NotIn"


class OnExitCodes(Model):
    """Matches by the exit code of a container."""

    container_name: str | None = Field(
        None,
        max_length=63,
        description="Name of the container that is looked at, which may be an init container. "
        "Default: every container.",
    )
    operator: ExitCodeOperator = Field(
        description="In: the code is one of values. NotIn: it is none of them. "
        "A container that exited with 0 matches neither."
    )
    values: list[ExitCode] = Field(
        min_length=1,
        max_length=255,
        description="Exit codes, each once; for In not 0, which is no failure.",
        json_schema_extra=_SET,
    )


class OnPodCondition(Model):
    """Matches by a condition of the Pod."""

    type: str = Field(
        min_length=1, max_length=316, description="Type of the condition, such as DisruptionTarget."
    )
    status: str | None = Field(
        None,
        description="Status that it must have. Default: True.",
        json_schema_extra={"enum": ["True", "False", "Unknown"]},
    )


class FailureRule(Model):
    """One rule: what to do about attempts that failed in one way."""

    action: FailureAction = Field(
        description="FailJob: the run fails at once. Ignore: the attempt is repeated without "
        "being counted, at most 100 attempts in all. Count: it counts for backoffLimit. "
        "FailIndex belongs to indexed Jobs."
    )
    on_exit_codes: OnExitCodes | None = Field(
        None, description="Matches by exit code. Default: none, then onPodConditions is needed."
    )
    on_pod_conditions: list[OnPodCondition] | None = Field(
        None,
        min_length=1,
        max_length=20,
        description="Matches by any of these conditions of the Pod. Default: none, then "
        "onExitCodes is needed.",
        json_schema_extra=_ATOMIC,
    )


class PodFailurePolicy(Model):
    """Rules for failed attempts; the first that matches decides."""

    rules: list[FailureRule] = Field(
        max_length=20,
        description="Rules in their order; an attempt that none matches is judged as usual.",
        json_schema_extra=_ATOMIC,
    )
