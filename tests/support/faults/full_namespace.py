"""A namespace with room for one Pod, which is taken until somebody makes room."""

from tests.cluster import Cluster
from tests.support.builders.manifests import IMAGE
from tests.support.cluster.client import PODS, Kube, Resource

FULL = "full"
"""The Airflow connection that leads there."""

_QUOTAS = Resource("/api/v1", "resourcequotas")
_QUOTA = "one-pod"
_TAKER = "in-the-way"
_NEVER = [{"name": "example.test/never"}]


def fill(cluster: Cluster, kube: Kube, namespace: str) -> None:
    """Set a quota, and use it up by a Pod that no node gets."""
    quota = {"metadata": {"name": _QUOTA}, "spec": {"hard": {"pods": "1"}}}
    kube.create(_QUOTAS, namespace, quota)
    # Before it is counted, every create is refused.
    counted = "--for=jsonpath={.status.hard}"
    cluster.kubectl("wait", "-n", namespace, f"resourcequota/{_QUOTA}", counted)
    spec = {"containers": [{"name": "main", "image": IMAGE}], "schedulingGates": _NEVER}
    kube.create(PODS, namespace, {"metadata": {"name": _TAKER}, "spec": spec})


def make_room(kube: Kube, namespace: str) -> None:
    """Take that Pod away: the next has its place, and when that has ended another."""
    kube.delete(PODS, namespace, _TAKER)
