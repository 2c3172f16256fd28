"""The one decision: what a run needs next, from what is seen of it and the time.

It names the situation, and the first of that situation's rules that has an answer decides.
The same arguments always give the same plan, whoever asks and however often.
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
    Ownerless,
    Situation,
    Underway,
    Unreadable,
    Vanished,
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
    """Decide what to do about a run.

    Args:
        run: the TaskRun in wire form; None when it is not seen.
        pods: every Pod that carries the run's uid as a label, owned by it or not.
        now: the time, in UTC.
        findings: what earlier plans of the same look have found out.
        site: the administrator's defaults.
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
            plan = _together(plan, collect_pods(situation, context))
    if plan.status is None:
        return _with_generation(plan, mapping(run), context)
    generation = situation.run.metadata.generation
    status = plan.status.model_copy(update={"observed_generation": generation})
    return replace(plan, status=status, events=events_of(situation.run, status, now))


def _with_generation(plan: Plan, run: Mapping[str, Any], context: DecisionContext) -> Plan:
    """Have observedGeneration follow a change that needs nothing else, such as another TTL.

    Clients such as `helm upgrade --wait` wait for it. A run without a phase has no status yet.
    """
    status = mapping(run.get("status"))
    generation = number(mapping(run.get("metadata")).get("generation"))
    if generation is None or status.get("observedGeneration") == generation:
        return plan
    if not text(status.get("phase")) or not plan.idle or context.findings.observed:
        return plan
    return replace(plan, actions=(ObserveGeneration(generation),))


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
    situation: Due | Underway | Ended | Vanished, context: DecisionContext
) -> Plan:
    match situation:
        case Due():
            return _first(due.RULES, situation, context)
        case Underway():
            return _first(underway.RULES, situation, context)
        case Ended():
            return _first(ended.ENDED_RULES, situation, context)
        case Vanished():
            return _first(ended.VANISHED_RULES, situation, context)
        case _:
            assert_never(situation)


def _first(rules: Iterable[Rule[S]], situation: S, context: DecisionContext) -> Plan:
    answers = (rule(situation, context) for rule in rules)
    return next((plan for plan in answers if plan is not None), Plan())


def _together(plan: Plan, tidying: Plan) -> Plan:
    """Join a situation's answer and the clean-up; Pods are let go before their TaskRun is."""
    return Plan(
        status=plan.status,
        actions=(*tidying.actions, *plan.actions),
        wake_at=deadlines.earliest(plan.wake_at, tidying.wake_at),
    )
