"""Every API request of the engine, the client and the cleanup, and the bodies of the writes."""

from dataclasses import dataclass
from typing import Any

from taskruns.api import names
from taskruns.core.plan import STOP_SECONDS, PodRef
from taskruns.core.unstructured import Object
from taskruns.engines.engine import RunRef

MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_MERGE_PATCH = "application/strategic-merge-patch+json"
"""Content types of a patch, which select its semantics."""

_METHODS = {
    "get": "GET",
    "list": "GET",
    "watch": "GET",
    "create": "POST",
    "patch": "PATCH",
    "update": "PUT",
    "delete": "DELETE",
}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A kind of request: an RBAC verb on a resource of an API group ("" for the core group)."""

    verb: str
    group: str
    resource: str
    """Plural, optionally with a subresource, as in `taskruns/status`."""
    version: str = names.VERSION
    """Version of the API group; unused for the core group, which is always v1."""

    @property
    def method(self) -> str:
        """The HTTP method of the verb."""
        return _METHODS[self.verb]

    def path(self, namespace: str = "", name: str = "") -> str:
        """Return the URL path of one object, of a namespace's collection, or of all namespaces'."""
        plural, _, subresource = self.resource.partition("/")
        group = f"/apis/{self.group}/{self.version}" if self.group else "/api/v1"
        place = f"/namespaces/{namespace}" if namespace else ""
        object_name = f"/{name}" if name else ""
        part = f"/{subresource}" if subresource else ""
        return f"{group}{place}/{plural}{object_name}{part}"


GET_RUN = Endpoint("get", names.GROUP, names.PLURAL)
LIST_RUNS = Endpoint("list", names.GROUP, names.PLURAL)
DELETE_RUN = Endpoint("delete", names.GROUP, names.PLURAL)
PATCH_RUN_STATUS = Endpoint("patch", names.GROUP, f"{names.PLURAL}/status")

GET_POD = Endpoint("get", "", "pods")
LIST_PODS = Endpoint("list", "", "pods")
CREATE_POD = Endpoint("create", "", "pods")
PATCH_POD = Endpoint("patch", "", "pods")
DELETE_POD = Endpoint("delete", "", "pods")
LIST_EVENTS = Endpoint("list", "", "events")
CREATE_EVENT = Endpoint("create", "", "events")
PATCH_EVENT = Endpoint("patch", "", "events")

CREATE_RUN = Endpoint("create", names.GROUP, names.PLURAL)
PATCH_RUN = Endpoint("patch", names.GROUP, names.PLURAL)
WATCH_RUNS = Endpoint("watch", names.GROUP, names.PLURAL)
GET_LOG = Endpoint("get", "", "pods/log")
WATCH_EVENTS = Endpoint("watch", "", "events")
LIST_DEPLOYMENTS = Endpoint("list", "apps", "deployments", "v1")


def watcher_call(path: str, *, watching: bool) -> tuple[str, str]:
    """Return RBAC verb and resource of a request by kopf: a watch, its list, or discovery."""
    plural = path.rpartition("/")[2]
    if plural not in (LIST_RUNS.resource, LIST_PODS.resource):
        return "get", "discovery"
    return "watch" if watching else "list", plural


CALLS = frozenset(
    {
        GET_RUN,
        LIST_RUNS,
        DELETE_RUN,
        PATCH_RUN_STATUS,
        GET_POD,
        LIST_PODS,
        CREATE_POD,
        PATCH_POD,
        DELETE_POD,
        LIST_EVENTS,
        CREATE_EVENT,
        PATCH_EVENT,
    }
)
"""Requests for which the engine needs permission."""

CLIENT_CALLS = frozenset(
    {CREATE_RUN, GET_RUN, LIST_RUNS, WATCH_RUNS, PATCH_RUN, DELETE_RUN, GET_LOG}
)
"""Requests for which the command line needs permission."""

CURIOUS_CALLS = frozenset({LIST_EVENTS, WATCH_EVENTS, LIST_DEPLOYMENTS, DELETE_POD})
"""Optional requests of the command line, which works without permission for them."""

GET_LEASE = Endpoint("get", "coordination.k8s.io", "leases", "v1")
CREATE_LEASE = Endpoint("create", "coordination.k8s.io", "leases", "v1")
UPDATE_LEASE = Endpoint("update", "coordination.k8s.io", "leases", "v1")
DELETE_LEASE = Endpoint("delete", "coordination.k8s.io", "leases", "v1")

LEASE_CALLS = frozenset({GET_LEASE, CREATE_LEASE, UPDATE_LEASE})
"""Requests on its Lease for which a controller with leader election needs permission.

CREATE_LEASE is never sent: an update that creates needs the permission, too.
"""

SCALE_DEPLOYMENT = Endpoint("patch", "apps", "deployments/scale", "v1")

CLEANUP_CALLS = frozenset(
    {
        GET_RUN,
        PATCH_RUN_STATUS,
        GET_POD,
        LIST_PODS,
        PATCH_POD,
        DELETE_POD,
        SCALE_DEPLOYMENT,
        DELETE_LEASE,
    }
)
"""Requests for which the cleanup before an uninstall needs permission."""


NO_MANAGED_FIELDS: list[dict[str, Any]] = [{}]
"""Value of managedFields that clears them; the apiserver then records no more owners of fields.

Source: kubernetes.io, Server-Side Apply, Clearing managedFields.
"""


def release_gate(pod: PodRef) -> dict[str, Any]:
    """Return a strategic merge patch that removes only our scheduling gate, if present.

    It also clears the Pod's managedFields, so that the writes that follow cost less.
    """
    gate = {"$patch": "delete", "name": names.GATE_CLAIM}
    metadata = {"uid": pod.uid, "managedFields": NO_MANAGED_FIELDS}
    return {"metadata": metadata, "spec": {"schedulingGates": [gate]}}


def stop_pod(pod: PodRef) -> dict[str, Any]:
    """Return a patch by which the kubelet stops the containers gracefully and keeps their logs."""
    return {"metadata": {"uid": pod.uid}, "spec": {"activeDeadlineSeconds": STOP_SECONDS}}


def release_pod(pod: PodRef) -> dict[str, Any]:
    """Return a strategic merge patch that removes only our finalizer, if present."""
    deletion = {"$deleteFromPrimitiveList/finalizers": [names.FINALIZER_OUTCOME]}
    return {"metadata": {"uid": pod.uid} | deletion}


def run_status(run: RunRef, patch: Object) -> dict[str, Any]:
    """Return a merge patch of a status with the run's uid added, as a precondition."""
    return {**patch, "metadata": {**patch["metadata"], "uid": run.uid}}


def delete_pod(pod: PodRef, resource_version: str | None) -> dict[str, Any]:
    """Return DeleteOptions for exactly this Pod, with the Pod's own grace period."""
    return _delete_options(pod.uid, resource_version)


def delete_run(run: RunRef, resource_version: str) -> dict[str, Any]:
    """Return DeleteOptions for exactly this TaskRun; its dependents are collected afterwards."""
    return _delete_options(run.uid, resource_version) | {"propagationPolicy": "Background"}


def _delete_options(uid: str, resource_version: str | None) -> dict[str, Any]:
    preconditions = {"uid": uid}
    if resource_version is not None:
        preconditions["resourceVersion"] = resource_version
    return {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": preconditions}
