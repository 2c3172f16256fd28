"""Observe, decide, apply, until nothing is left to do now."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime

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
from taskruns.core.unstructured import mapping
from taskruns.engines.cache import Cache, RunKey, View
from taskruns.engines.engine import (
    AlreadyExists,
    Conflict,
    Engine,
    EngineError,
    Object,
    Refused,
    Unavailable,
)

MAX_ROUNDS = 20
"""Plans that one reconcile carries out. The longest honest chain is under ten."""


class NotSettled(Exception):
    """A run still wanted something after MAX_ROUNDS plans; it is to be tried again later."""


async def reconcile(
    key: RunKey,
    cache: Cache,
    engine: Engine,
    now: Callable[[], datetime],
    site: SiteDefaults,
) -> datetime | None:
    """Bring one run as far as it can get now; return when to look again without an event.

    Raises:
        NotSettled: it changed faster than it could be followed.
        Unavailable: the runtime could not answer.
    """
    findings = Findings()
    for _ in range(MAX_ROUNDS):
        view = cache.view(key)
        plan = decide(view.run, view.pods, now(), findings, site)
        if plan.idle:
            return plan.wake_at
        try:
            found = await apply(plan, view, cache, engine)
        except Conflict:
            await refresh(view, cache, engine)  # the watch may be later than the next look
            continue
        findings = together(findings, found)
    raise NotSettled(f"{key} changed faster than it could be followed")


log = logging.getLogger(__name__)

NOTHING_FOUND = Findings()


async def apply(plan: Plan, view: View, cache: Cache, engine: Engine) -> Findings:
    """Carry out a plan that was decided on `view`.

    Raises:
        Conflict: something has changed since; the rest of the plan was not carried out.
        Unavailable: the runtime could not answer.
    """
    if plan.status is not None and view.run is not None:
        patch = status_patch(view.run, plan.status)
        written = await engine.write_status(view.ref, patch)
        _take_run(written, view, cache)
        for event in plan.events if written is not None else ():
            engine.record_event(view.ref, event)
        if "phase" in patch["status"]:
            # The reason alone: a message may carry what the task has printed.
            log.info("%s: %s", plan.status.phase, plan.status.reason)
    findings = NOTHING_FOUND
    for action in plan.actions:
        log.debug("%s", type(action).__name__)
        found = await _act(action, view, cache, engine)
        findings = together(findings, found)
    return findings


async def refresh(view: View, cache: Cache, engine: Engine) -> Object | None:
    """Read a run live; return None when it is gone.

    A run that is not seen is named by labels, which anybody can write: they are no proof that a
    run of another name is gone, so it is not forgotten for good.
    """
    name = view.ref.name
    live = await engine.read_run(view.key.namespace, name) if name else None
    if live is not None and live["metadata"]["uid"] == view.key.uid:
        cache.put_run(live)
        return live
    if view.run is not None:
        cache.drop_run(view.key.uid)
    return None


def together(findings: Findings, more: Findings) -> Findings:
    """Add findings to others; a refusal stands until the look is over."""
    return Findings(
        gone={**findings.gone, **more.gone},
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
        there = await engine.read_pod(view.key.namespace, name)
        if there is None:
            raise Conflict(f"pod {name} was there and is gone") from None
        if read_pod(there).owner_uid != view.key.uid:
            message = f"The name of the run's Pod is taken: {name} is {describe_owner(there)}"
            return Findings(refusal=Refusal(RefusalKind.NAME_TAKEN, message))
        cache.keep_pod(there, view.key)
    return NOTHING_FOUND


async def _discard(
    pod: PodRef, resource_version: str, view: View, cache: Cache, engine: Engine
) -> None:
    live = await refresh(view, cache, engine)
    seen = view.run["metadata"]["resourceVersion"] if view.run else None
    if live is None:
        raise Conflict(f"the TaskRun of pod {pod.name} is gone")
    if live["metadata"]["resourceVersion"] != seen:
        raise Conflict(f"the TaskRun of pod {pod.name} has changed")
    log.warning("discarding Pod %s, which nobody has claimed", pod.name)
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
    """Write observedGeneration alone: of a run that has ended, the cache holds a part only."""
    seen = mapping(mapping(view.run).get("metadata")).get("resourceVersion")
    patch = {
        "metadata": {"resourceVersion": seen},
        "status": {"observedGeneration": generation},
    }
    try:
        _take_run(await engine.write_status(view.ref, patch), view, cache)
    except (Conflict, Unavailable):
        raise
    except EngineError as error:  # nothing of the run depends on it
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


async def _confirm_run_gone(view: View, cache: Cache, engine: Engine) -> Findings:
    if await refresh(view, cache, engine) is None:
        return Findings(gone={view.key.uid: None})
    return NOTHING_FOUND


def _take_pod(answer: Object | None, pod: PodRef, view: View, cache: Cache) -> None:
    if answer is None:
        cache.drop_pod(pod.uid)
    elif cache.put_pod(answer) is None:
        cache.keep_pod(answer, view.key)


def _take_run(answer: Object | None, view: View, cache: Cache) -> None:
    if answer is None:
        cache.drop_run(view.key.uid)
    else:
        cache.put_run(answer)
