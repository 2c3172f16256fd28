"""The reconcile loop: observe a run, decide, apply the plan, until nothing is left to do now."""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime

from taskruns.clock import Clock
from taskruns.core.decide import decide
from taskruns.core.defaults import SiteDefaults
from taskruns.core.facts import read_pod
from taskruns.core.message import describe_owner
from taskruns.core.plan import (
    Action,
    ConfirmPodGone,
    ConfirmRunGone,
    CreatePod,
    DeletePod,
    DeleteRun,
    DiscardPod,
    Findings,
    ObserveGeneration,
    Plan,
    PodRef,
    ReadPodEvents,
    Refusal,
    RefusalKind,
    ReleaseGate,
    ReleasePod,
    StopPod,
)
from taskruns.core.status import status_patch
from taskruns.core.unstructured import Object, mapping
from taskruns.engines.cache import Cache, RunKey, View
from taskruns.engines.engine import (
    AlreadyExists,
    Conflict,
    Engine,
    EngineError,
    Refused,
    Unavailable,
)

MAX_ROUNDS = 20
"""Maximum number of plans in one reconcile. The longest regular sequence has fewer than ten."""


class NotSettled(Exception):
    """A run still had something to do after MAX_ROUNDS plans; retry it later."""


async def reconcile(
    key: RunKey,
    cache: Cache,
    engine: Engine,
    now: Clock,
    site: SiteDefaults,
) -> datetime | None:
    """Apply plans for one run until nothing is left to do now.

    Returns:
        The time of the next reconcile if no event comes before, or None.

    Raises:
        NotSettled: MAX_ROUNDS plans were not enough.
        Unavailable: the runtime is unavailable.
    """
    findings = Findings()
    for _ in range(MAX_ROUNDS):
        view = cache.view(key)
        plan = decide(view.run, view.pods, now(), findings, site)
        if plan.idle:
            _log_plan(plan, ())
            return plan.wake_at
        try:
            new_findings = await apply(plan, view, cache, engine)
        except Conflict:
            await refresh(view, cache, engine)  # the watch may not have delivered the change yet
            continue
        findings = merge_findings(findings, new_findings)
    raise NotSettled(f"the run did not settle within {MAX_ROUNDS} plans")


log = logging.getLogger(__name__)

NOTHING_FOUND = Findings()


async def apply(plan: Plan, view: View, cache: Cache, engine: Engine) -> Findings:
    """Apply a plan that was decided on `view`; return what its actions found.

    One line is logged, even after an error: at info level if something was written, otherwise at
    debug level.

    Raises:
        Conflict: an object has changed since; the rest of the plan was not applied.
        Unavailable: the runtime is unavailable.
    """
    written: list[str] = []
    try:
        return await _apply(plan, view, cache, engine, written)
    finally:
        _log_plan(plan, written)


async def _apply(
    plan: Plan, view: View, cache: Cache, engine: Engine, written: list[str]
) -> Findings:
    if plan.status is not None and view.run is not None:
        patch = status_patch(view.run, plan.status)
        run = await engine.write_status(view.ref, patch)
        _take_run(run, view, cache)
        for event in plan.events if run is not None else ():
            engine.record_event(view.ref, event)
        # Without the message: it may contain output of the task.
        written.append(f"status {plan.status.phase} {plan.status.reason}")
    findings = NOTHING_FOUND
    for action in plan.actions:
        new_findings = await _act(action, view, cache, engine)
        findings = merge_findings(findings, new_findings)
        if not isinstance(action, _READS) and new_findings.refusal is None:
            written.append(type(action).__name__)
    return findings


_READS = (ConfirmPodGone, ConfirmRunGone, ReadPodEvents)


def _log_plan(plan: Plan, written: Sequence[str]) -> None:
    changes = ", ".join(written)
    log.log(
        logging.INFO if written else logging.DEBUG,
        "%s, %s: %s",
        plan.situation,
        plan.rule or "no rule",
        changes or "no change",
        extra={"values": {"situation": plan.situation, "rule": plan.rule, "wrote": changes}},
    )


async def refresh(view: View, cache: Cache, engine: Engine) -> Object | None:
    """Read a run live into the cache; return it, or None if it is gone.

    The name of a run that is not cached comes from a label, which any user can write. A read by
    that name is no proof that the run is gone, so only a cached run is dropped.
    """
    name = view.ref.name
    live = await engine.read_run(view.key.namespace, name) if name else None
    if live is not None and live["metadata"]["uid"] == view.key.uid:
        cache.keep_run(live)
        return live
    if view.run is not None:
        cache.drop_run(view.key.uid)
    return None


def merge_findings(findings: Findings, more: Findings) -> Findings:
    """Merge findings; a refusal remains until the end of the reconcile unless a newer one comes."""
    return Findings(
        gone={**findings.gone, **more.gone},
        run_gone=findings.run_gone or more.run_gone,
        refusal=more.refusal or findings.refusal,
        events={**findings.events, **more.events},
        observed=findings.observed or more.observed,
    )


async def _act(action: Action, view: View, cache: Cache, engine: Engine) -> Findings:
    match action:
        case CreatePod(manifest):
            return await _create(manifest, view, cache, engine)
        case ConfirmPodGone() | ConfirmRunGone():
            return await _confirm(action, view, cache, engine)
        case ReadPodEvents(pod):
            return Findings(events={pod.uid: tuple(await engine.read_pod_events(pod))})
        case DiscardPod(pod, resource_version):
            await _discard(pod, resource_version, view, cache, engine)
        case DeleteRun():
            await _delete_run(view, cache, engine)
        case ObserveGeneration(generation):
            return await _observe(generation, view, cache, engine)
        case ReleaseGate() | StopPod() | ReleasePod() | DeletePod():
            await _write(action, view, cache, engine)
    return NOTHING_FOUND


async def _confirm(
    action: ConfirmPodGone | ConfirmRunGone, view: View, cache: Cache, engine: Engine
) -> Findings:
    if isinstance(action, ConfirmPodGone):
        return await _confirm_pod_gone(action.pod, view, cache, engine)
    return await _confirm_run_gone(view, cache, engine)


async def _write(
    action: ReleaseGate | StopPod | ReleasePod | DeletePod, view: View, cache: Cache, engine: Engine
) -> None:
    pod = action.pod
    if isinstance(action, ReleasePod) and action.resource_version is not None:
        await _confirm_version(pod, action.resource_version, view, cache, engine)
    if isinstance(action, DeletePod) and action.resource_version is not None:
        await _delete_as_seen(pod, action.resource_version, view, cache, engine)
    else:
        _take_pod(await _WRITES[type(action)](engine, pod), pod, view, cache)


_WRITES: Mapping[type[Action], Callable[[Engine, PodRef], Awaitable[Object | None]]] = {
    ReleaseGate: lambda engine, pod: engine.release_gate(pod),
    StopPod: lambda engine, pod: engine.stop_pod(pod),
    ReleasePod: lambda engine, pod: engine.release_pod(pod),
    DeletePod: lambda engine, pod: engine.delete_pod(pod),
}


async def _create(manifest: Object, view: View, cache: Cache, engine: Engine) -> Findings:
    try:
        cache.put_pod(await engine.create_pod(manifest))
    except Refused as refused:
        return Findings(refusal=refused.refusal)
    except AlreadyExists:
        name = manifest["metadata"]["name"]
        existing = await engine.read_pod(view.key.namespace, name)
        if existing is None:
            raise Conflict(f"Pod {name} was deleted since its create was rejected") from None
        if read_pod(existing).owner_uid != view.key.uid:
            message = f"The name of the run's Pod is taken: {name} is {describe_owner(existing)}"
            return Findings(refusal=Refusal(RefusalKind.NAME_TAKEN, message))
        cache.keep_pod(existing, view.key)
    return NOTHING_FOUND


async def _discard(
    pod: PodRef, resource_version: str, view: View, cache: Cache, engine: Engine
) -> None:
    live = await refresh(view, cache, engine)
    decided_on = view.run["metadata"]["resourceVersion"] if view.run else None
    if live is None:
        raise Conflict(f"the TaskRun of Pod {pod.name} no longer exists")
    if live["metadata"]["resourceVersion"] != decided_on:
        raise Conflict(f"the TaskRun of Pod {pod.name} has changed")
    log.warning("discarding unclaimed Pod %s", pod.name)
    await _delete_as_seen(pod, resource_version, view, cache, engine)


async def _delete_as_seen(
    pod: PodRef, resource_version: str, view: View, cache: Cache, engine: Engine
) -> None:
    try:
        _take_pod(await engine.delete_pod(pod, resource_version), pod, view, cache)
    except Conflict:
        await _confirm_pod_gone(pod, view, cache, engine)
        raise


async def _observe(generation: int, view: View, cache: Cache, engine: Engine) -> Findings:
    """Write observedGeneration alone: the cache contains only a part of an ended run."""
    resource_version = mapping(mapping(view.run).get("metadata")).get("resourceVersion")
    patch = {
        "metadata": {"resourceVersion": resource_version},
        "status": {"observedGeneration": generation},
    }
    try:
        _take_run(await engine.write_status(view.ref, patch), view, cache)
    except (Conflict, Unavailable):
        raise
    except EngineError as error:  # no decision depends on it
        log.warning("observedGeneration cannot be written: %s", error)
    return Findings(observed=True)


async def _delete_run(view: View, cache: Cache, engine: Engine) -> None:
    if view.run is not None:
        version = view.run["metadata"]["resourceVersion"]
        _take_run(await engine.delete_run(view.ref, version), view, cache)


async def _confirm_pod_gone(pod: PodRef, view: View, cache: Cache, engine: Engine) -> Findings:
    live = await engine.read_pod(pod.namespace, pod.name)
    if live is None or live["metadata"]["uid"] != pod.uid:
        return Findings(gone={pod.uid: cache.drop_pod(pod.uid)})
    cache.keep_pod(live, view.key)
    return NOTHING_FOUND


async def _confirm_version(
    pod: PodRef, resource_version: str, view: View, cache: Cache, engine: Engine
) -> None:
    """Read a Pod live; raise Conflict if it has another version, which is then cached."""
    live = await engine.read_pod(pod.namespace, pod.name)
    if live is None or live["metadata"]["uid"] != pod.uid:
        cache.drop_pod(pod.uid)
        raise Conflict(f"Pod {pod.name} no longer exists")
    if live["metadata"]["resourceVersion"] != resource_version:
        cache.keep_pod(live, view.key)
        raise Conflict(f"Pod {pod.name} has changed")


async def _confirm_run_gone(view: View, cache: Cache, engine: Engine) -> Findings:
    if await refresh(view, cache, engine) is None:
        return Findings(run_gone=True)
    return NOTHING_FOUND


def _take_pod(response: Object | None, pod: PodRef, view: View, cache: Cache) -> None:
    if response is None:
        cache.drop_pod(pod.uid)
    elif cache.put_pod(response) is None:
        cache.keep_pod(response, view.key)


def _take_run(response: Object | None, view: View, cache: Cache) -> None:
    if response is None:
        cache.drop_run(view.key.uid)
    else:
        cache.put_run(response)
