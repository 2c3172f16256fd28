"""Nodes for a test to break: bringing them, choosing them, and waiting for what is on them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.cluster import Cluster
from tests.cluster.node import SPARE_LABEL
from tests.support.builders.manifests import pod_spec
from tests.support.cluster.client import PODS, Kube, Object, Resource
from tests.support.cluster.run import Run
from tests.support.cluster.watch_recorder import Journal

AWAY = ("node.kubernetes.io/unreachable", "node.kubernetes.io/not-ready")
"""The taints of a node that is not heard of, or says that it is not well."""

PATIENT = 180
"""Seconds in which every run of a module has got where it is meant to be hit."""

_NODES = Resource("/api/v1", "nodes", namespaced=False)


@contextmanager
def spare(cluster: Cluster, journal: Journal, *numbers: int) -> Iterator[None]:
    """Bring nodes, and take them away once nothing is on them any more."""
    try:
        for number in numbers:
            cluster.add_node(number, progress=print)
        yield
        names = {cluster.node(number) for number in numbers}
        journal.wait(lambda: None if _occupied(journal, names) else True, 60, "nodes are empty")
    finally:
        for number in numbers:
            cluster.remove_node(number)


def on(number: int, *tolerated: str, away_seconds: int | None = None, **pod: Any) -> Object:
    """A template whose Pod goes to a spare node, and elsewhere when it cannot have it.

    Args:
        number: the node's.
        tolerated: keys of further taints that it puts up with.
        away_seconds: how long it stays on a node that is lost; Kubernetes' own is 300.
        pod: further fields of the Pod's spec.
    """
    chosen = {"key": SPARE_LABEL, "operator": "In", "values": [str(number)]}
    prefers = {"weight": 100, "preference": {"matchExpressions": [chosen]}}
    node_affinity = {"preferredDuringSchedulingIgnoredDuringExecution": [prefers]}
    tolerations: list[Object] = [
        {"key": key, "operator": "Exists"} for key in (SPARE_LABEL, *tolerated)
    ]
    if away_seconds is not None:
        patience = {"effect": "NoExecute", "tolerationSeconds": away_seconds}
        tolerations += ({"key": key, "operator": "Exists", **patience} for key in AWAY)
    return pod_spec(
        **{
            "affinity": {"nodeAffinity": node_affinity},
            "tolerations": tolerations,
            "terminationGracePeriodSeconds": 1,
            **pod,
        }
    )


def in_place(run: Run) -> None:
    """Wait until a run is where it is meant to be hit: preparing, or else at work."""
    if "initContainers" in run.spec["template"]["spec"]:
        run.preparing(seconds=PATIENT)
    else:
        run.main_started(seconds=PATIENT)


def leaves_a_lost_node(run: Run) -> bool:
    """Whether a run's Pod is evicted as soon as its node counts as lost."""
    tolerated = run.spec["template"]["spec"]["tolerations"]
    return any(each.get("tolerationSeconds") == 0 for each in tolerated)


def readiness(kube: Kube, node: str) -> Object:
    """What is told of a node's being ready: the condition, with the time of its last word on it."""
    found = kube.get(_NODES, None, node)
    assert found is not None, f"there is no node {node}"
    conditions: list[Object] = found["status"]["conditions"]
    return next(each for each in conditions if each["type"] == "Ready")


def _occupied(journal: Journal, names: set[str]) -> bool:
    pods = journal.present(PODS)
    return any(pod["spec"].get("nodeName") in names for pod in pods)
