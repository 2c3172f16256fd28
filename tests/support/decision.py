"""Shorthands with which tests call `decide`."""

from collections.abc import Mapping
from typing import Any

from taskruns.api.v1alpha1 import TaskRunStatus
from taskruns.core.decide import decide
from taskruns.core.defaults import SiteDefaults
from taskruns.core.plan import Findings, Plan, Refusal, RefusalKind
from tests.support.builders.objects import RUN_UID, at

Raw = Mapping[str, Any]

SITE = SiteDefaults()
NOTHING_FOUND = Findings()


def plan_for(
    run: Raw | None,
    *pods: Raw,
    seconds: float = 0,
    findings: Findings = NOTHING_FOUND,
    site: SiteDefaults = SITE,
) -> Plan:
    """Return the plan that `decide` makes at the given seconds after T0."""
    return decide(run, pods, at(seconds), findings, site)


def status_for(
    run: Raw | None, *pods: Raw, seconds: float = 0, findings: Findings = NOTHING_FOUND
) -> TaskRunStatus:
    """Return the status that `decide` plans to write; fail if it plans no write."""
    plan = plan_for(run, *pods, seconds=seconds, findings=findings)
    assert plan.status is not None, plan
    return plan.status


def refused(kind: RefusalKind, message: str = "the server's words") -> Findings:
    return Findings(refusal=Refusal(kind, message))


def gone(uid: str, last_seen: Raw | None = None) -> Findings:
    return Findings(gone={uid: last_seen}, run_gone=uid == RUN_UID)
