"""Every request that we can make. There is no other way to make one.

A request is built from its `Call`, so this table cannot miss one; a test compares it with the
chart's role. Kubernetes' own generated methods are passed by: importing them costs 130 MiB and a
second, and each is only a verb, a path and a timeout.
"""

from dataclasses import dataclass

from taskruns.api import names

MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_MERGE_PATCH = "application/strategic-merge-patch+json"
"""Content types of a patch, which say how it is to be read."""

_METHODS = {
    "get": "GET",
    "list": "GET",
    "watch": "GET",
    "create": "POST",
    "patch": "PATCH",
    "delete": "DELETE",
}


@dataclass(frozen=True, slots=True)
class Call:
    """One kind of request: an RBAC verb on a resource of a group ("" for the core group)."""

    verb: str
    group: str
    resource: str
    """A plural, or a plural and its subresource as in `taskruns/status`."""
    version: str = names.VERSION
    """Of the group, where there is one; the core group's is always v1."""

    @property
    def method(self) -> str:
        """The HTTP method of the verb."""
        return _METHODS[self.verb]

    def path(self, namespace: str = "", name: str = "") -> str:
        """Where the request goes: one object, a namespace's collection, or all namespaces'."""
        plural, _, subresource = self.resource.partition("/")
        group = f"/apis/{self.group}/{self.version}" if self.group else "/api/v1"
        place = f"/namespaces/{namespace}" if namespace else ""
        one = f"/{name}" if name else ""
        part = f"/{subresource}" if subresource else ""
        return f"{group}{place}/{plural}{one}{part}"


GET_RUN = Call("get", names.GROUP, names.PLURAL)
LIST_RUNS = Call("list", names.GROUP, names.PLURAL)
DELETE_RUN = Call("delete", names.GROUP, names.PLURAL)
PATCH_RUN_STATUS = Call("patch", names.GROUP, f"{names.PLURAL}/status")

GET_POD = Call("get", "", "pods")
LIST_PODS = Call("list", "", "pods")
CREATE_POD = Call("create", "", "pods")
PATCH_POD = Call("patch", "", "pods")
DELETE_POD = Call("delete", "", "pods")
LIST_EVENTS = Call("list", "", "events")
CREATE_EVENT = Call("create", "", "events")
PATCH_EVENT = Call("patch", "", "events")

CREATE_RUN = Call("create", names.GROUP, names.PLURAL)
PATCH_RUN = Call("patch", names.GROUP, names.PLURAL)
WATCH_RUNS = Call("watch", names.GROUP, names.PLURAL)
GET_LOG = Call("get", "", "pods/log")
WATCH_EVENTS = Call("watch", "", "events")
LIST_DEPLOYMENTS = Call("list", "apps", "deployments", "v1")


def watcher_call(path: str, *, watching: bool) -> tuple[str, str]:
    """Name verb and resource of a request that kopf makes: a watch, its list, or discovery."""
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
"""What the engine needs to be allowed to do."""

CLIENT_CALLS = frozenset(
    {CREATE_RUN, GET_RUN, LIST_RUNS, WATCH_RUNS, PATCH_RUN, DELETE_RUN, GET_LOG}
)
"""What the command line needs to be allowed to do."""

CURIOUS_CALLS = frozenset({LIST_EVENTS, WATCH_EVENTS, LIST_DEPLOYMENTS, DELETE_POD})
"""What it does where it may, and does without where not."""

SCALE_DEPLOYMENT = Call("patch", "apps", "deployments/scale", "v1")

CLEANUP_CALLS = frozenset(
    {GET_RUN, PATCH_RUN_STATUS, GET_POD, LIST_PODS, PATCH_POD, DELETE_POD, SCALE_DEPLOYMENT}
)
"""What cleaning up before an uninstall needs to be allowed to do."""
