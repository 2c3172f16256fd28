"""`decide`: the function that computes the plan for a run from its objects and the time.

It classifies the situation; the first rule of that situation that returns a plan decides.
The function is pure: the same arguments always give the same plan.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar, assert_never

from taskruns.core import deadlines
from taskruns.core.defaults import SiteDefaults
from taskruns.core.events import events_of
from taskruns.core.plan import Findings, ObserveGeneration, Plan
from taskruns.core.pod_gc import collect_pods
from taskruns.core.rules import deleting, due, ended, no_attempt, underway
from taskruns.core.situation import (
    DecisionContext,
    Deleting,
    Due,
    Ended,
    Finished,
    Missing,
    Ownerless,
    Situation,
    Underway,
    Unreadable,
    classify,
)
from taskruns.core.unstructured import mapping, number, text

S = TypeVar("S")
Rule = Callable[[S, DecisionContext], Plan | None]


def decide(
    run: Mapping[str, Any] | None,
    pods: Iterable[Mapping[str, Any]],
    now: datetime,
    findings: Findings,
    site: SiteDefaults,
) -> Plan:
    """Compute the plan for a run.

    Args:
        run: the TaskRun in wire form; None if it is not in the cache.
        pods: all Pods whose label names the run's uid, owned by the run or not.
        now: the time, in UTC.
        findings: results of earlier plans of the same reconcile.
        site: the administrator's defaults.

    Returns:
        Plan: status, actions, Events and wake-up time. The empty plan means that nothing is to
        be done until an object changes.
    """
    context = DecisionContext(now, findings, site)
    situation = classify(run, pods, findings)
    plan = _answer(situation, context)
    match situation:
        case Ownerless():
            return plan
        case Unreadable() | Deleting():
            pass
        case _:
            plan = _merge(plan, collect_pods(situation, context))
    if plan.status is None:
        return _with_generation(plan, mapping(run), context)
    generation = situation.run.metadata.generation
    status = plan.status.model_copy(update={"observed_generation": generation})
    return replace(plan, status=status, events=events_of(situation.run, status, now))


def _with_generation(plan: Plan, run: Mapping[str, Any], context: DecisionContext) -> Plan:
    """Add a write of observedGeneration to an idle plan if the run's generation has changed.

    This covers changes that need no other write, such as a new TTL; clients such as
    `helm upgrade --wait` wait for observedGeneration. A run without a phase has no status yet.
    """
    status = mapping(run.get("status"))
    generation = number(mapping(run.get("metadata")).get("generation"))
    if generation is None or status.get("observedGeneration") == generation:
        return plan
    if not text(status.get("phase")) or not plan.idle or context.findings.observed:
        return plan
    return replace(plan, actions=(ObserveGeneration(generation),), rule="observe_generation")


def _answer(situation: Situation, context: DecisionContext) -> Plan:
    match situation:
        case Ownerless():
            return _first(no_attempt.OWNERLESS_RULES, situation, context)
        case Deleting():
            return _first(deleting.RULES, situation, context)
        case Unreadable():
            return _first(no_attempt.UNREADABLE_RULES, situation, context)
        case Finished():
            return _first(no_attempt.FINISHED_RULES, situation, context)
        case _:
            return _answer_for_attempt(situation, context)


def _answer_for_attempt(
    situation: Due | Underway | Ended | Missing, context: DecisionContext
) -> Plan:
    match situation:
        case Due():
            return _first(due.RULES, situation, context)
        case Underway():
            return _first(underway.RULES, situation, context)
        case Ended():
            return _first(ended.ENDED_RULES, situation, context)
        case Missing():
            return _first(ended.MISSING_RULES, situation, context)
        case _:
            assert_never(situation)


def _first(rules: Iterable[Rule[S]], situation: S, context: DecisionContext) -> Plan:
    name = type(situation).__name__
    for rule in rules:
        plan = rule(situation, context)
        if plan is not None:
            return replace(plan, situation=name, rule=rule.__name__)
    return Plan(situation=name)


def _merge(plan: Plan, clean_up: Plan) -> Plan:
    """Merge a situation's plan with the clean-up; Pods are released before their TaskRun."""
    rules = ("" if plan.idle else plan.rule, collect_pods.__name__)
    return replace(
        plan,
        actions=(*clean_up.actions, *plan.actions),
        wake_at=deadlines.earliest(plan.wake_at, clean_up.wake_at),
        rule="+".join(filter(None, rules)) if clean_up.actions else plan.rule,
    )
