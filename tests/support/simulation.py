"""A simulated cluster with controllers, driven step by step by a test."""

from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from datetime import datetime, timedelta
from typing import Any

from taskruns.core.defaults import SiteDefaults
from taskruns.core.unstructured import Object
from taskruns.engines.cache import Cache, RunKey, Versions, key_of_pod, version
from taskruns.engines.engine import Unavailable
from taskruns.engines.quota_queue import QuotaQueue
from taskruns.engines.reconcile import NotSettled, reconcile
from taskruns.operator.resync import behind as missed
from taskruns.operator.resync import still_behind
from taskruns.operator.watch import PROGRESS_SECONDS, EventHandler
from tests.simulation import Change, Cluster, Kind, MemoryEngine
from tests.support.faults.request_faults import Crashed, Fault, FaultyEngine, Request

RETRY = timedelta(seconds=1)
LONG = timedelta(days=30)
MOST_UNSETTLED = 50
"""Reconciles that may end without a result, as after faults; a run with more never ends."""
MOST_EVENTS = 20_000
"""Limit of events in one wait; a clean-up that never ends causes more."""


class Controller:
    """One controller process: its own cache, its own watches, one reconcile at a time.

    It does what the operator does, without kopf: the operator's own handler takes the watch events,
    which updates the cache and enqueues runs. Each queued run is reconciled, and reconciled again
    at its wake-up time.
    """

    def __init__(self, cluster: Cluster, site: SiteDefaults) -> None:
        self._cluster = cluster
        self._site = site
        self.answers = MemoryEngine(cluster)
        self.engine = FaultyEngine(self.answers)
        self.unsettled = 0
        cluster.store.observe(self._on_change)
        self.restart()

    def restart(self, behind: int = 0) -> None:
        """Start with an empty state and a fresh list, as a restarted process does.

        Args:
            behind: number of the latest changes that the list lacks and the watches report later.
        """
        self.cache = Cache()
        self.events = EventHandler(self.cache, self._ask, self._ask_later, lambda _uid: None)
        self.unseen: dict[Kind, deque[Change]] = {kind: deque() for kind in Kind}
        self.queue: dict[RunKey, None] = {}
        self.turnstile = QuotaQueue(
            self.engine, self.cache, lambda: self._cluster.agenda.now, self._ask
        )
        self.alarms: dict[RunKey, datetime] = {}
        self._behind: Mapping[str, int] = {}
        self._key: RunKey | None = None
        self._work: Coroutine[Request, Fault, datetime | None] | None = None
        self.next_request: Request | None = None
        for kind in Kind:
            self.relist(kind, behind)

    def relist(self, kind: Kind, behind: int = 0) -> None:
        """Start a watch again with a list, as after 410 Gone; `behind` is as for `restart`."""
        objects, later = self._cluster.store.as_of(behind)
        listed = [obj for obj in objects if obj.kind is kind]
        self.unseen[kind].clear()
        if kind is Kind.POD:
            pods = [each.object for each in listed if key_of_pod(each.object) is not None]
            self._watched = {pod["metadata"]["uid"]: pod for pod in pods}
        for change in listed:
            self._take_in(change)
        for change in later:
            if change.kind is kind:
                self._on_change(change)

    def _ask(self, key: RunKey) -> None:
        self.queue[key] = None

    def _ask_later(self, key: RunKey) -> None:
        at = self._cluster.agenda.now + timedelta(seconds=PROGRESS_SECONDS)
        self.alarms[key] = min(at, self.alarms.get(key, at))

    def resync(self, behind: int = 0) -> None:
        """Compare the cache with a list, as the operator does; `behind` is as for `restart`.

        A controller whose watch has missed a change for longer than an interval is restarted.
        """
        before = self.cache.versions()
        objects, _ = self._cluster.store.as_of(behind)
        listed = Versions(_versions(objects, Kind.RUN), _versions(objects, Kind.POD))
        for uid in before.runs.keys() - listed.runs.keys():
            self.cache.lose_run(uid)
        for uid in before.pods.keys() - listed.pods.keys():
            self.cache.lose_pod(uid)
        kept = self.cache.versions()
        late, self._behind = still_behind(self._behind, listed, kept), missed(listed, kept)
        if late:
            self.restart()
        self.queue |= dict.fromkeys(self.cache.unfinished())

    def _on_change(self, change: Change) -> None:
        if change.kind is Kind.POD:
            self._on_pod(change)
        else:
            self.unseen[Kind.RUN].append(change)

    def _on_pod(self, change: Change) -> None:
        """Queue the event of a watch by our label, which is DELETED for a Pod that loses it."""
        uid = change.object["metadata"]["uid"]
        before = self._watched.pop(uid, None)
        if key_of_pod(change.object) is not None:
            if change.type != "DELETED":
                self._watched[uid] = change.object
            self.unseen[Kind.POD].append(change)
        elif before is not None:
            self.unseen[Kind.POD].append(Change("DELETED", Kind.POD, before))

    def see(self, kind: Kind, count: int | None = None) -> None:
        """Process the next events of a watch: `count` of them, or all when it is None."""
        events = self.unseen[kind]
        for _ in range(len(events) if count is None else min(count, len(events))):
            self._take_in(events.popleft())

    def miss(self, kind: Kind) -> None:
        """Lose all events of a watch that have not been processed."""
        self.unseen[kind].clear()

    def _take_in(self, change: Change) -> None:
        event: Any = {"type": change.type, "object": change.object}
        take = self.events.take_run if change.kind is Kind.RUN else self.events.take_pod
        take(event)

    def ring(self) -> None:
        """Enqueue the runs whose wake-up time has come."""
        for key, moment in list(self.alarms.items()):
            if moment <= self._cluster.agenda.now:
                del self.alarms[key]
                self.queue[key] = None

    @property
    def busy(self) -> bool:
        """Whether a request is about to be sent."""
        return self._work is not None

    def begin(self) -> bool:
        """Begin the next queued run; return whether a reconcile is in progress."""
        if self._work is not None or not self.queue:
            return self._work is not None
        self._key = next(iter(self.queue))
        del self.queue[self._key]
        self.alarms.pop(self._key, None)
        clock = self._cluster.agenda
        self._work = reconcile(self._key, self.cache, self.turnstile, lambda: clock.now, self._site)
        self._go(None)
        return True

    def step(self, fault: Fault = Fault.ARRIVES) -> None:
        """Apply a fault to the pending request, and advance to the next request."""
        self._go(fault)

    def _go(self, fault: Fault | None) -> None:
        work, key = self._work, self._key
        assert work is not None
        assert key is not None
        try:
            self.next_request = work.send(fault)  # type: ignore[arg-type]
        except StopIteration as stop:
            self._rest(key, stop.value)
        except Unavailable:
            self._rest(key, self._cluster.agenda.now + RETRY)
        except NotSettled:
            self.unsettled += 1
            assert self.unsettled < MOST_UNSETTLED, "a run does not come to rest"
            self._rest(key, self._cluster.agenda.now + RETRY)
        except Crashed:
            self.restart()

    def _rest(self, key: RunKey, alarm: datetime | None) -> None:
        self._work = self.next_request = None
        if alarm is not None:
            self.alarms[key] = min(alarm, self.alarms.get(key, alarm))

    def work(self) -> bool:
        """Process all events and all queued runs; return whether there were any."""
        worked = False
        while self.busy or any(self.unseen.values()) or self.queue:
            for kind in Kind:
                self.see(kind)
            while self.begin():
                while self.busy:
                    self.step()
            worked = True
        return worked


def _versions(objects: list[Change], kind: Kind) -> dict[str, int]:
    """Return the versions by uid that a list of a kind returns; of Pods, those with our label."""
    listed = [each.object for each in objects if each.kind is kind]
    return {
        obj["metadata"]["uid"]: version(obj)
        for obj in listed
        if kind is Kind.RUN or key_of_pod(obj) is not None
    }


class Simulation:
    """A cluster and its controllers; one controller by default."""

    def __init__(
        self, cluster: Cluster | None = None, site: SiteDefaults | None = None, controllers: int = 1
    ) -> None:
        self.cluster = cluster or Cluster()
        self.site = site or SiteDefaults()
        self.controllers = [Controller(self.cluster, self.site) for _ in range(controllers)]

    @property
    def now(self) -> datetime:
        return self.cluster.agenda.now

    def run(self, name: str = "hello", namespace: str = "default") -> Object | None:
        return self.cluster.store.get(Kind.RUN, namespace, name)

    def status(self, name: str = "hello") -> Any:
        run = self.run(name)
        assert run is not None, f"TaskRun {name} is gone"
        return run.get("status") or {}

    def pods(self) -> list[Object]:
        return list(self.cluster.store.all(Kind.POD))

    def settle(self) -> None:
        """Run the controllers until none has anything to do at the present time."""
        for controller in self.controllers:
            controller.ring()
        # A list, not a generator: every controller must work before the next round begins.
        while any([controller.work() for controller in self.controllers]):  # noqa: C419
            for controller in self.controllers:
                controller.ring()

    def next_moment(self) -> datetime | None:
        """Return the time of the next event of the cluster or wake-up of a controller, or None."""
        alarms = [moment for c in self.controllers for moment in c.alarms.values()]
        moments = [self.cluster.agenda.next_moment, *alarms]
        return min((moment for moment in moments if moment is not None), default=None)

    def until(self, met: Callable[[], bool] = lambda: False, within: timedelta = LONG) -> None:
        """Advance time, event by event, until a condition is met or no event is left.

        Raises:
            AssertionError: the next event is later than `within`, there are more than MOST_EVENTS,
                or a reconcile did not settle.
        """
        end = self.now + within
        self.settle()
        for _ in range(MOST_EVENTS):
            moment = self.next_moment()
            if met() or moment is None:
                return
            assert moment <= end, f"it did not come to that within {within}"
            self.cluster.agenda.advance_to(moment)
            self.settle()
            assert not any(c.unsettled for c in self.controllers), "a run does not come to rest"
        raise AssertionError("the cluster does not come to rest")

    def advance(self, seconds: float) -> None:
        """Advance time by exactly this many seconds, and process every event on the way."""
        end = self.now + timedelta(seconds=seconds)
        self.settle()
        while (moment := self.next_moment()) is not None and moment <= end:
            self.cluster.agenda.advance_to(moment)
            self.settle()
        self.cluster.agenda.advance_to(end)
        self.settle()
