"""Distribution of the tests to several workers, each with a cluster of its own.

`make test` starts pytest-xdist with `-n`. Most of a cluster test's time is waiting, and the tests
of different workers wait at the same time. A work unit is one module with one kind of installation.
Work units are given out in this order:

1. Tests that need no cluster, long modules first. If one fails, the others are not run.
2. Tests that need a cluster without an installed controller.
3. Tests of an installation. A worker keeps to one kind while there are such tests, because every
   change of kind uninstalls and installs; it never returns to the tests of 2.

The longest unit of all, the whole tier `tests/airflow`, starts before 2.
"""

from pathlib import PurePosixPath

import pytest
from typing_extensions import override
from xdist.dsession import DSession
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

NO_CLUSTER, NO_INSTALLATION, INSTALLED = range(3)
_KINDS = ("helm", "manifest", "process")
_TIERS_WITHOUT_CLUSTER = ("unit", "contracts")
_ONE_UNIT = ("airflow",)
"""Tiers whose modules share fixtures that are too expensive to be made twice."""
_SECONDS_PER_TEST = 2
"""Assumed duration of a test whose work unit `SECONDS` does not know."""
SECONDS = {
    "tests/unit/cli/test_streams.py": 5,
    "tests/unit/core/test_properties.py": 2,
    "tests/contracts/test_chart_names.py": 2,
    "tests/contracts/test_chart.py": 2,
    "tests/contracts/test_sizes.py": 2,
    "tests/operator/test_leader_election.py": 30,
    "tests/airflow": 600,
    "tests/e2e/test_airflow_examples.py@process": 300,
    "tests/e2e/test_outages.py@helm": 300,
    "tests/e2e/test_lost_answers.py@process": 250,
    "tests/e2e/test_crashes.py@process": 200,
    "tests/e2e/test_upgrade.py@helm": 150,
    "tests/e2e/test_lost_nodes.py@process": 150,
    "tests/e2e/test_airflow_docker.py": 140,
    "tests/e2e/test_startup.py@helm": 120,
    "tests/e2e/test_namespaces.py@process": 90,
    "tests/e2e/test_uninstall.py@process": 70,
}
"""Durations of long work units, so that these are started early."""


class ClusterScheduling(LoadScopeScheduling):
    """Assign whole work units to workers, in the order that this module describes."""

    def __init__(self, config: pytest.Config, log: Producer | None = None) -> None:
        super().__init__(config, log)
        self._kinds: dict[WorkerController, str] = {}
        self.skipped = 0
        """Number of tests that were not run because a cheaper test had failed."""

    @override
    def _split_scope(self, nodeid: str) -> str:
        return scope_of(nodeid)

    @override
    def _assign_work_unit(self, node: WorkerController) -> None:
        self._drop_expensive_after_failure()
        if not self.workqueue:
            node.shutdown()
            return
        scope = self._next_scope(node)
        self._kinds[node] = kind_of(scope)
        self.workqueue.move_to_end(scope, last=False)
        super()._assign_work_unit(node)

    def _next_scope(self, node: WorkerController) -> str:
        ranks = {rank_of(scope) for scope in self.workqueue}
        rank = min(ranks)
        if rank == NO_CLUSTER:
            scopes = [scope for scope in self.workqueue if rank_of(scope) == rank]
            return max(scopes, key=lambda scope: SECONDS.get(scope, 0))
        if first := [scope for scope in self.workqueue if _tier(scope) in _ONE_UNIT]:
            return first[0]
        own = self._kinds.get(node, "")
        if own and INSTALLED in ranks:
            rank = INSTALLED
        candidates = [scope for scope in self.workqueue if rank_of(scope) == rank]
        kinds = {kind_of(scope) for scope in candidates}
        kind = own if own in kinds else max(sorted(kinds), key=self._need_of)
        return max((s for s in candidates if kind_of(s) == kind), key=self._seconds)

    def _need_of(self, kind: str) -> float:
        """Return the seconds of waiting work of a kind for each worker, if one more takes it."""
        waiting = sum(self._seconds(scope) for scope in self.workqueue if kind_of(scope) == kind)
        return waiting / (1 + list(self._kinds.values()).count(kind))

    def _seconds(self, scope: str) -> int:
        return SECONDS.get(scope, _SECONDS_PER_TEST * len(self.workqueue[scope]))

    def _drop_expensive_after_failure(self) -> None:
        session = self.config.pluginmanager.get_plugin("dsession")
        if not isinstance(session, DSession) or not session.countfailures or self._past_cheap():
            return
        for scope in [scope for scope in self.workqueue if rank_of(scope) > NO_CLUSTER]:
            self.skipped += len(self.workqueue.pop(scope))

    def _past_cheap(self) -> bool:
        return any(
            rank_of(scope) > NO_CLUSTER for units in self.assigned_work.values() for scope in units
        )


def scope_of(nodeid: str) -> str:
    """Return the work unit of a test: its module, with the kind of installation that it uses."""
    module, _, test = nodeid.partition("::")
    if _tier(module) in _ONE_UNIT:
        return str(PurePosixPath(module).parent)
    parameters = test.partition("[")[2].rstrip("]").split("-")
    kind = next((each for each in parameters if each in _KINDS), None)
    return f"{module}@{kind}" if kind and _tier(module) == "e2e" else module


def kind_of(scope: str) -> str:
    """Return the kind of installation that a work unit uses, or an empty string."""
    return "process" if _tier(scope) in _ONE_UNIT else scope.partition("@")[2]


def rank_of(scope: str) -> int:
    if _tier(scope) in _TIERS_WITHOUT_CLUSTER:
        return NO_CLUSTER
    return INSTALLED if kind_of(scope) else NO_INSTALLATION


def _tier(path: str) -> str:
    parts = PurePosixPath(path).parts
    return parts[1] if len(parts) > 1 else ""
