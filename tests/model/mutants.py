"""Faults put into the code of the product, each of which the model must find.

A requirement of the apiserver is dropped in the simulated engine, which stands for a request that
does not contain it.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

from taskruns.api.conditions import Phase
from taskruns.api.v1alpha1 import TaskRun
from taskruns.core.plan import Findings, Plan, PodRef, ReleaseGate, ReleasePod
from taskruns.core.pods import build_pod
from taskruns.core.rules import due, ended
from taskruns.core.situation import DecisionContext, Due, Ended
from taskruns.core.unstructured import Object, drafted
from taskruns.engines import reconcile
from taskruns.engines.cache import Cache, View
from taskruns.engines.engine import Engine, RunRef
from tests.simulation import Kind
from tests.simulation.engine import MemoryEngine

Mutant = Callable[[], AbstractContextManager[Any]]

_write_status, _delete_pod = MemoryEngine.write_status, MemoryEngine.delete_pod


def _build_ungated(*arguments: Any) -> dict[str, Any]:
    pod = build_pod(*arguments)
    pod["spec"] = {key: value for key, value in pod["spec"].items() if key != "schedulingGates"}
    return pod


def _release_unclaimed(situation: Due, _: DecisionContext) -> Plan | None:
    pod = situation.candidate
    return Plan(actions=(ReleaseGate(pod.ref),)) if pod is not None and pod.gated else None


async def _write_any_version(engine: MemoryEngine, run: RunRef, patch: Object) -> Object | None:
    live = engine._run(run)
    metadata = {} if live is None else {"resourceVersion": live["metadata"]["resourceVersion"]}
    return await _write_status(engine, run, {**patch, "metadata": metadata})


async def _claim_any_version(engine: MemoryEngine, run: RunRef, patch: Object) -> Object | None:
    is_claim = patch["status"].get("phase") == Phase.PENDING
    return await (_write_any_version if is_claim else _write_status)(engine, run, patch)


async def _delete_any_uid(engine: MemoryEngine, pod: PodRef, _: str | None = None) -> Object | None:
    live = engine._store.get(Kind.POD, pod.namespace, pod.name)
    return None if live is None else engine._cluster.delete_pod(drafted(live))


async def _discard_unread(
    pod: PodRef, resource_version: str, view: View, cache: Cache, engine: Engine
) -> None:
    del resource_version
    reconcile._take_pod(await engine.delete_pod(pod), pod, view, cache)


async def _confirm_from_cache(pod: PodRef, view: View, cache: Cache, engine: Engine) -> Findings:
    del view, engine
    return Findings(gone={pod.uid: cache.drop_pod(pod.uid)})


def _release_first(situation: Ended, _: DecisionContext) -> Plan | None:
    return Plan(actions=(ReleasePod(situation.pod.ref),)) if situation.pod.held else None


MUTANTS: Mapping[str, Mutant] = {
    "a Pod is created without the gate": lambda: patch.object(due, "build_pod", _build_ungated),
    "the gate is removed before the claim": lambda: patch.object(
        due, "RULES", (_release_unclaimed, *due.RULES)
    ),
    "a claim is written over any version": lambda: patch.object(
        MemoryEngine, "write_status", _claim_any_version
    ),
    "a status is written over any version": lambda: patch.object(
        MemoryEngine, "write_status", _write_any_version
    ),
    "a Pod is deleted whatever its uid": lambda: patch.object(
        MemoryEngine, "delete_pod", _delete_any_uid
    ),
    "an unclaimed Pod is discarded without a live read": lambda: patch.object(
        reconcile, "_discard", _discard_unread
    ),
    "a missing Pod is not read live": lambda: patch.object(
        reconcile, "_confirm_pod_gone", _confirm_from_cache
    ),
    "an ended run's outcome is judged again": lambda: patch.object(
        TaskRun, "is_terminal", property(lambda _: False)
    ),
    "the finalizer is removed before the outcome is recorded": lambda: patch.object(
        ended, "ENDED_RULES", (_release_first, *ended.ENDED_RULES)
    ),
}
