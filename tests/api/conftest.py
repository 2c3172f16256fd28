"""A real apiserver with the CRD, and with a copy of the CRD for these tests alone.

The copy differs in its names only. No controller watches it, so a status stays as a test wrote it,
and other users of the cluster are not affected. It is deleted after the tests.
"""

import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pytest

from taskruns.api import names
from taskruns.api.crd import crd
from tests.api.crd_copy import Api
from tests.cluster import Cluster, ClusterError
from tests.support.cluster.client import DEFINITIONS, NAMESPACES, Kube, Refused, Resource
from tests.support.cluster.definition import serve_definition

Object = dict[str, Any]
T = TypeVar("T")

_SECONDS_TO_SERVE = 30


@pytest.fixture(scope="session")
def kube(cluster: Cluster) -> Iterator[Kube]:
    kube = Kube(cluster.kubeconfig)
    yield kube
    kube.close()


@pytest.fixture(scope="session")
def definition(cluster: Cluster, kube: Kube) -> Object:
    """Provide the CRD itself as the apiserver returns it."""
    serve_definition(cluster)
    served_crd = served(kube, crd()["metadata"]["name"])
    # The apiserver explains fields later than it serves the resource.
    eventually(lambda: cluster.kubectl("explain", names.SHORT_NAME), ClusterError)
    return served_crd


@pytest.fixture(scope="session")
def api(kube: Kube) -> Iterator[Api]:
    suffix = uuid.uuid4().hex[:8]
    group, plural = f"t{suffix}.api-tests.dev", f"copies{suffix}"
    copy = crd()
    copy["metadata"]["name"] = f"{plural}.{group}"
    copy["spec"]["group"] = group
    copy["spec"]["names"] = {"plural": plural, "kind": f"Copy{suffix}", "singular": f"copy{suffix}"}
    resource = Resource(f"/apis/{group}/v1alpha1", plural)
    namespace = kube.create(NAMESPACES, None, {"metadata": {"generateName": "api-"}})
    name = namespace["metadata"]["name"]
    try:
        kube.create(DEFINITIONS, None, copy)
        served(kube, copy["metadata"]["name"])
        api = Api(kube, resource, name, group, plural, copy["spec"]["names"]["kind"])
        eventually(lambda: kube.list(resource, name), Refused)
        yield api
    finally:
        kube.delete(DEFINITIONS, None, copy["metadata"]["name"])
        kube.delete(NAMESPACES, None, name)


def served(kube: Kube, name: str) -> Object:
    """Wait until a CRD is established; return it."""

    def look() -> Object:
        crd_object = kube.get(DEFINITIONS, None, name) or {}
        conditions = crd_object.get("status", {}).get("conditions") or ()
        assert any(each["type"] == "Established" for each in conditions), conditions
        return crd_object

    return eventually(look, AssertionError)


def eventually(attempt: Callable[[], T], failure: type[Exception]) -> T:
    """Retry until an attempt succeeds; return its result.

    The apiserver serves an established CRD, and finds it by name, only after a short delay.
    """
    deadline = time.monotonic() + _SECONDS_TO_SERVE
    while True:
        try:
            return attempt()
        except failure:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.1)
