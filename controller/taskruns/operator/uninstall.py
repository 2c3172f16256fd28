"""`taskruns-controller cleanup`: release every Pod before the controller is uninstalled."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import NoReturn

from typing_extensions import override

from taskruns import clock
from taskruns.clock import Clock
from taskruns.core.defaults import SiteDefaults
from taskruns.core.facts import PodFacts, read_pod
from taskruns.core.plan import PodRef
from taskruns.core.unstructured import Object
from taskruns.engines.cache import Cache, RunKey
from taskruns.engines.engine import EngineError, EngineWrapper, RunRef
from taskruns.engines.kubernetes import Connection, NoConfiguration, connect, listing
from taskruns.engines.kubernetes.endpoints import DELETE_LEASE, MERGE_PATCH, SCALE_DEPLOYMENT
from taskruns.engines.kubernetes.engine import KubernetesEngine
from taskruns.engines.kubernetes.listing import EVERYWHERE, count_selected
from taskruns.engines.reconcile import NotSettled, reconcile
from taskruns.operator import structured_logging
from taskruns.operator.settings import (
    CONTEXT,
    KUBECONFIG,
    LOG_FORMAT,
    NAMESPACES,
    Option,
    Parser,
    namespaced_name,
    switch,
    whole,
)
from taskruns.operator.structured_logging import Format

AT_ONCE = 8
"""Number of runs that are processed at the same time."""

_A_YEAR = timedelta(days=365)
_NO_DEFAULTS = SiteDefaults(-1, _A_YEAR, int(_A_YEAR.total_seconds()))
"""Site defaults under which nothing is deleted or stopped; the controller's are unknown here."""


class NoRequests(EngineError):
    """A request was refused because it starts something or deletes a TaskRun."""


class NoCreates(EngineWrapper):
    """Engine that records outcomes and releases Pods, but starts nothing and deletes no TaskRun."""

    @override
    async def create_pod(self, manifest: Object) -> NoReturn:
        raise NoRequests("no Pod is created during a cleanup")

    @override
    async def release_gate(self, pod: PodRef) -> NoReturn:
        raise NoRequests("no Pod is started during a cleanup")

    @override
    async def delete_run(self, run: RunRef, resource_version: str) -> NoReturn:
        raise NoRequests("no TaskRun is deleted during a cleanup")


class Uninstall:
    """Releases the Pods of some namespaces, or of EVERYWHERE."""

    def __init__(self, connection: Connection, namespaces: Sequence[str], now: Clock) -> None:
        self._connection = connection
        self._engine = NoCreates(KubernetesEngine(connection))
        self._namespaces = namespaces
        self._now = now
        self._free = asyncio.Semaphore(AT_ONCE)

    async def preview(self) -> list[str]:
        """Return one line per Pod that has to be released or deleted, and change nothing.

        Raises:
            EngineError: the Pods cannot be listed.
        """
        lines: list[str] = []
        for namespace in self._namespaces:
            cache, strays = await self._read(namespace)
            pods = [pod for key in set(cache.keys()) for pod in _facts(cache, key)]
            lines += [f"{_name(pod.ref)}: {_fate(pod)}" for pod in pods if _needs(pod)]
            lines += [f"{_name(stray)}: released" for stray in strays]
        return sorted(lines)

    async def release_pods(self, *, patient: bool) -> int:
        """Process every Pod once; return the number of Pods that had to be released or deleted.

        Args:
            patient: leave two kinds of Pods for the next call: those whose run could not be
                processed now, and those that are being deleted but have not ended, because their
                outcome is still unknown.

        Raises:
            NotAllowed: a namespace may not be listed; the others have been processed.
            EngineError: the Pods cannot be listed.
        """
        number, denied = 0, None
        for namespace in self._namespaces:
            try:
                number += await self._release_in(namespace, patient=patient)
            except listing.NotAllowed as error:
                denied = error
        if denied is not None:
            raise denied
        return number

    async def _release_in(self, namespace: str, *, patient: bool) -> int:
        cache, strays = await self._read(namespace)
        pending = {key for key in set(cache.keys()) if any(map(_needs, _facts(cache, key)))}
        number = sum(_needs(pod) for key in pending for pod in _facts(cache, key))
        runs = (self._process_run(key, cache, patient=patient) for key in pending)
        await asyncio.gather(*runs, *(self._release(stray) for stray in strays))
        return number + len(strays)

    async def _read(self, namespace: str) -> tuple[Cache, list[PodRef]]:
        """List the Pods with our label, and those without it that still have our finalizer."""
        cache = Cache()
        ours = await listing.list_ours(self._connection, namespace)
        for pod in ours:
            cache.put_pod(pod)
        known = {pod["metadata"]["uid"] for pod in ours}
        held = await listing.list_held(self._connection, namespace)
        return cache, [read_pod(pod).ref for pod in held if pod["metadata"]["uid"] not in known]

    async def _process_run(self, key: RunKey, cache: Cache, *, patient: bool) -> None:
        alive = True
        async with self._free:
            try:
                alive = await self._settle(key, cache)
            except (EngineError, NotSettled) as error:
                log.warning("%s: %s", _name(_facts(cache, key)[0].ref), error)
                if patient:
                    return
        for pod in _facts(cache, key):
            unfinished = alive and pod.deleting and not pod.ended
            if pod.held and not (patient and unfinished):
                await self._release(pod.ref, _fate(pod))

    async def _settle(self, key: RunKey, cache: Cache) -> bool:
        """Delete Pods that were never started, and record the outcomes of those that have ended.

        Returns:
            Whether the TaskRun exists and is not being deleted.
        """
        for pod in _facts(cache, key):
            if _unstarted(pod) and not pod.deleting:
                log.info("%s: deleted, because it never started", _name(pod.ref))
                response = await self._engine.delete_pod(pod.ref, pod.resource_version)
                if response is None:
                    cache.drop_pod(pod.ref.uid)
                else:
                    cache.put_pod(response)
        view = cache.view(key)
        run = await self._engine.read_run(key.namespace, view.ref.name)
        if run is None or run["metadata"]["uid"] != key.uid:
            return False
        cache.put_run(run)
        if any(pod.ended for pod in _facts(cache, key)):
            try:
                await reconcile(key, cache, self._engine, self._now, _NO_DEFAULTS)
            except NoRequests as refusal:
                log.debug("%s", refusal)
        return "deletionTimestamp" not in run["metadata"]

    async def _release(self, pod: PodRef, fate: str = "released") -> None:
        async with self._free:
            try:
                await self._engine.release_pod(pod)
            except EngineError as error:
                log.warning("%s: %s", _name(pod), error)
            else:
                log.info("%s: %s", _name(pod), fate)


def _facts(cache: Cache, key: RunKey) -> list[PodFacts]:
    return [read_pod(pod) for pod in cache.view(key).pods]


def _needs(pod: PodFacts) -> bool:
    return pod.held or _unstarted(pod)


def _unstarted(pod: PodFacts) -> bool:
    """Whether the run owns the Pod and our gate is still on it; the label alone is no proof."""
    return pod.gated and pod.owner_uid == pod.run_uid


def _fate(pod: PodFacts) -> str:
    if _unstarted(pod):
        return "deleted, because it never started"
    return "released, because it has ended" if pod.ended else "released; it continues to run"


def _name(pod: PodRef) -> str:
    return f"{pod.namespace}/{pod.name}"


log = logging.getLogger(__name__)

COMMAND = "cleanup"

PAUSE_SECONDS = 1.0
"""Delay between two rounds, or two checks of the controller's Pod, in seconds."""

PATIENCE_SECONDS = 30.0
"""Maximum wait, in seconds, for Pods that are being deleted and for runs that cannot be processed.
Afterwards their Pods are released all the same."""

STOP_CHECKS = 40
"""Maximum number of checks of the controller's Pod, which never ends on a lost node."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of the command."""

    deployment: tuple[str, str] | None
    """Namespace and name of the controller's Deployment, if it is to be scaled to 0 first."""
    lease: tuple[str, str] | None
    """Namespace and name of the Lease to delete, if there is one."""
    namespaces: tuple[str, ...] | None
    """Namespaces to clean up; None for every namespace of the cluster."""
    timeout: int
    """Time limit for releasing Pods, in seconds; a round in progress is completed."""
    dry_run: bool
    log_format: Format
    kubeconfig: str | None
    context: str | None


_OPTIONS = (
    Option("--deployment", "NAMESPACE/NAME", None, namespaced_name,
           "the controller's Deployment, which is scaled to 0 first, because a running controller "
           "keeps creating Pods"),
    Option("--lease", "NAMESPACE/NAME", None, namespaced_name,
           "the Lease of the controllers' leader election, which is deleted once they have "
           "stopped"),
    NAMESPACES,
    Option("--timeout", "SECONDS", "120", whole(1, 86400), "time limit"),
    switch("--dry-run", "print each Pod with its action, and change nothing"),
    LOG_FORMAT,
    KUBECONFIG,
    CONTEXT,
)  # fmt: skip

_DESCRIPTION = """\
Releases every Pod of TaskRuns, so that no Pod waits for a controller that was uninstalled:

  - a Pod that has ended is released after its outcome is recorded in its TaskRun;
  - a running Pod is released and continues to run; the next controller adopts it;
  - a Pod that never started is deleted; the next controller creates another one.

TaskRuns are not deleted. Stop the controller first (--deployment does so). The command can be
repeated."""

_EXAMPLES = """\
examples:
  taskruns-controller cleanup --deployment taskruns-system/taskruns --dry-run
  taskruns-controller cleanup --deployment taskruns-system/taskruns
  taskruns-controller cleanup --namespaces team-a,team-b --timeout 300

exit codes: 0 no Pod is left; 1 Pods are left, or cannot be listed; 2 invalid settings"""


def read(argv: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """Read the settings from flags, else environment variables, else defaults.

    Raises:
        SystemExit: 2 after a message about a wrong value, 0 after --help.
    """
    parser = Parser(f"taskruns-controller {COMMAND}", _DESCRIPTION, _EXAMPLES, _OPTIONS)
    return Settings(**parser.read(argv, environment))


def main(argv: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run the command; return its exit code."""
    options = read(argv, environment)
    structured_logging.configure(options.log_format, logging.INFO)
    try:
        return asyncio.run(_run(options))
    except NoConfiguration as error:
        log.critical("cannot connect to a cluster: %s", error)
    except EngineError as error:
        log.critical("the cleanup failed: %s", error)
    return 1


async def _run(options: Settings) -> int:
    connection = await connect(options.kubeconfig, options.context, AT_ONCE)
    try:
        namespaces = options.namespaces or (EVERYWHERE,)
        uninstall = Uninstall(connection, namespaces, clock.now)
        if options.dry_run:
            return await _show(uninstall)
        if options.deployment is not None:
            await _end_controller(connection, *options.deployment)
        if options.lease is not None:
            await _delete_lease(connection, *options.lease)
        return await release_all(uninstall, options.timeout)
    finally:
        await connection.close()


async def _show(uninstall: Uninstall) -> int:
    lines = await uninstall.preview()
    for line in lines:
        log.info("%s", line)
    log.info("%d Pods; none was changed (--dry-run)", len(lines))
    return 0


async def _end_controller(connection: Connection, namespace: str, name: str) -> None:
    """Scale the controller's Deployment to 0, and wait until its Pod is gone.

    Raises:
        EngineError: the Deployment cannot be scaled, or its Pods cannot be listed.
    """
    path = SCALE_DEPLOYMENT.path(namespace, name)
    body = {"spec": {"replicas": 0}}
    response = await connection.send(SCALE_DEPLOYMENT, path, body, content_type=MERGE_PATCH)
    if response.code == HTTPStatus.NOT_FOUND:
        log.warning("Deployment %s/%s not found; continuing", namespace, name)
        return
    if not response.ok:
        raise EngineError(f"Deployment {namespace}/{name} is not scaled to 0: {response.message}")
    log.info("scaled Deployment %s/%s to 0; it stays at 0 if the cleanup fails", namespace, name)
    selector = response.body["status"]["selector"]
    for _ in range(STOP_CHECKS):
        if not await count_selected(connection, namespace, selector):
            log.info("the controller has stopped")
            return
        await asyncio.sleep(PAUSE_SECONDS)
    log.warning("the controller's Pod still exists; continuing all the same")


async def _delete_lease(connection: Connection, namespace: str, name: str) -> None:
    """Delete the Lease. A Lease that stays does no harm, so a failure is only logged."""
    try:
        response = await connection.send(DELETE_LEASE, DELETE_LEASE.path(namespace, name))
    except EngineError as error:
        log.warning("Lease %s/%s is not deleted: %s", namespace, name, error)
        return
    if not response.ok and response.code != HTTPStatus.NOT_FOUND:
        log.warning("Lease %s/%s is not deleted: %s", namespace, name, response.message)


async def release_all(uninstall: Uninstall, seconds: float) -> int:
    """Process Pods in rounds until a round finds nothing to do; return the exit code.

    Args:
        uninstall: the Pods to process.
        seconds: time limit, in seconds; no round begins after it.
    """
    loop = asyncio.get_running_loop()
    started, left = loop.time(), "the Pods could not be listed"
    patience = min(PATIENCE_SECONDS, seconds / 2)
    while (elapsed := loop.time() - started) <= seconds:
        try:
            number = await uninstall.release_pods(patient=elapsed < patience)
        except EngineError as error:
            log.warning("%s; retrying", error)
        else:
            if not number:
                log.info("no Pod waits for the controller")
                return 0
            left = f"{number} Pods had to be released or deleted in the last round"
        await asyncio.sleep(PAUSE_SECONDS)
    log.error("the cleanup is not complete after %g s: %s", seconds, left)
    log.error("if Pods are still created, stop the controller (--deployment) and run this again")
    return 1
