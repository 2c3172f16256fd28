"""The parts of core/v1 in the CRD match those of this Kubernetes.

They are listed in full, because the equality of Kubernetes does not notice a swap of unnamed fields
where others are named. When a new Kubernetes adds a field, this test shows where to add it.
"""

from typing import Any

import pytest

from taskruns.api.crd import resource_schema
from tests.support.builders.schemas import PRESERVED
from tests.support.cluster.client import Kube

SPEC = resource_schema()["properties"]["spec"]["properties"]

CORE = {
    "env": "EnvVar",
    "envFrom": "EnvFromSource",
    "imagePullSecrets": "LocalObjectReference",
    "tolerations": "Toleration",
    "volumeMounts": "VolumeMount",
}


@pytest.fixture(scope="session")
def core(kube: Kube) -> Any:
    document = kube._request("GET", "/openapi/v3/api/v1")
    return document["components"]["schemas"]


@pytest.mark.parametrize("field", CORE)
def test_every_field_of_an_item_is_listed(core: Any, field: str) -> None:
    core_fields = core[f"io.k8s.api.core.v1.{CORE[field]}"]["properties"]
    assert SPEC[field]["items"]["properties"].keys() == core_fields.keys()


@pytest.mark.parametrize("field", CORE)
def test_the_types_match_core(core: Any, field: str) -> None:
    core_fields = core[f"io.k8s.api.core.v1.{CORE[field]}"]["properties"]
    for name, ours in SPEC[field]["items"]["properties"].items():
        assert ours["type"] == core_fields[name].get("type", "object")


def test_no_other_part_mixes_named_and_unnamed_fields() -> None:
    mixed = {name for name, schema in SPEC.items() if PRESERVED in schema.get("items", schema)}
    assert mixed == CORE.keys()


@pytest.mark.parametrize("field", sorted(SPEC.keys() - {"resultPath", "template"}))
def test_a_field_copied_from_a_pod_has_its_core_type(core: Any, field: str) -> None:
    """A field that is copied from a Pod keeps its meaning."""
    main = core["io.k8s.api.core.v1.Container"]["properties"]
    pod = core["io.k8s.api.core.v1.PodSpec"]["properties"]
    core_field = {**pod, **main}.get(field)
    if core_field is not None:
        assert SPEC[field]["type"] == core_field.get("type", "object")
