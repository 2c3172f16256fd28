"""Spare nodes that a test may break: adding them, and placing Pods on them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.cluster import Cluster
from tests.cluster.node import SPARE_LABEL
from tests.support.builders.manifests import pod_spec
from tests.support.cluster.client import PODS, Kube, Object, Resource
from tests.support.cluster.run import Run
from tests.support.cluster.watch_recorder import WatchRecorder

AWAY = ("node.kubernetes.io/unreachable", "node.kubernetes.io/not-ready")
"""Taints of a node that is unreachable or not ready."""

PATIENT = 180
"""Limit for every run of a module to reach the point of its disruption, in seconds."""

_NODES = Resource("/api/v1", "nodes", namespaced=False)


@contextmanager
def spare(cluster: Cluster, watch_recorder: WatchRecorder, *numbers: int) -> Iterator[None]:
    """Add nodes for the block; afterwards wait until they are empty, and remove them."""
    try:
        for number in numbers:
            cluster.add_node(number, progress=print)
        yield
        names = {cluster.node(number) for number in numbers}
        watch_recorder.wait(
            lambda: None if _occupied(watch_recorder, names) else True, 60, "nodes are empty"
        )
    finally:
        for number in numbers:
            cluster.remove_node(number)


def on(number: int, *tolerated: str, away_seconds: int | None = None, **pod: Any) -> Object:
    """Return a template whose Pod prefers a spare node and otherwise goes elsewhere.

    Args:
        number: number of the node.
        tolerated: keys of further taints that the Pod tolerates.
        away_seconds: how long the Pod stays on a lost node; the default of Kubernetes is 300.
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
    """Wait until a run is at its point of disruption: an init container or main has started."""
    if "initContainers" in run.spec["template"]["spec"]:
        run.preparing(seconds=PATIENT)
    else:
        run.main_started(seconds=PATIENT)


def leaves_a_lost_node(run: Run) -> bool:
    """Return whether a run's Pod is evicted as soon as its node counts as lost."""
    tolerated = run.spec["template"]["spec"]["tolerations"]
    return any(each.get("tolerationSeconds") == 0 for each in tolerated)


def readiness(kube: Kube, node: str) -> Object:
    """Return a node's Ready condition."""
    node_object = kube.get(_NODES, None, node)
    assert node_object is not None, f"there is no node {node}"
    conditions: list[Object] = node_object["status"]["conditions"]
    return next(each for each in conditions if each["type"] == "Ready")


def _occupied(watch_recorder: WatchRecorder, names: set[str]) -> bool:
    pods = watch_recorder.present(PODS)
    return any(pod["spec"].get("nodeName") in names for pod in pods)
