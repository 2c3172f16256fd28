"""TaskRuns as the apiserver serves them, under the names of any CRD."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.support.cluster.client import Kube, Refused, Resource

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Api:
    """The objects of the copied CRD in one namespace."""

    kube: Kube
    resource: Resource
    namespace: str
    group: str
    plural: str
    kind: str

    def manifest(self, spec: Object | None, name: str = "") -> Object:
        metadata = {"name": name} if name else {"generateName": "run-"}
        head = {"apiVersion": f"{self.group}/v1alpha1", "kind": self.kind, "metadata": metadata}
        return head if spec is None else head | {"spec": spec}

    def create(self, spec: Object | None, name: str = "") -> Object:
        return self.kube.create(self.resource, self.namespace, self.manifest(spec, name))

    def read(self, run: Object) -> Object:
        run_object = self.kube.get(self.resource, self.namespace, run["metadata"]["name"])
        assert run_object is not None
        return run_object

    def replace(self, run: Object, spec: Object) -> Object:
        """Replace the spec of an existing run, as `kubectl replace` does."""
        name = run["metadata"]["name"]
        path = self.resource.path(self.namespace, name)
        query = {"fieldValidation": "Strict"}
        return self.kube._request("PUT", path, query, self.manifest(spec, name) | _version(run))

    def report(self, run: Object, status: Object) -> Object:
        """Merge into a run's status, as the controller does."""
        name = run["metadata"]["name"]
        return self.kube.merge(
            self.resource, self.namespace, name, {"status": status}, subresource="status"
        )


def _version(run: Object) -> Object:
    kept = ("name", "namespace", "resourceVersion", "uid")
    return {"metadata": {key: run["metadata"][key] for key in kept}}


def answer(request: Callable[[], Object]) -> Object | Refused:
    """Return the apiserver's response or its refusal."""
    try:
        return request()
    except Refused as refused:
        return refused
