"""A namespace whose quota allows one Pod, and a Pod that uses it up until it is deleted."""

from tests.cluster import Cluster
from tests.support.builders.manifests import IMAGE
from tests.support.cluster.client import PODS, Kube, Resource

FULL = "full"
"""ID of the Airflow connection whose namespace this is."""

_QUOTAS = Resource("/api/v1", "resourcequotas")
_QUOTA = "one-pod"
_TAKER = "in-the-way"
_NEVER = [{"name": "example.test/never"}]


def fill(cluster: Cluster, kube: Kube, namespace: str) -> None:
    """Set a quota, and use it up with a Pod that is never scheduled."""
    quota = {"metadata": {"name": _QUOTA}, "spec": {"hard": {"pods": "1"}}}
    kube.create(_QUOTAS, namespace, quota)
    # Until the quota has been counted, the apiserver refuses every create.
    counted = "--for=jsonpath={.status.hard}"
    cluster.kubectl("wait", "-n", namespace, f"resourcequota/{_QUOTA}", counted)
    spec = {"containers": [{"name": "main", "image": IMAGE}], "schedulingGates": _NEVER}
    kube.create(PODS, namespace, {"metadata": {"name": _TAKER}, "spec": spec})


def make_room(kube: Kube, namespace: str) -> None:
    """Delete that Pod, so that one Pod at a time has room."""
    kube.delete(PODS, namespace, _TAKER)
