"""The apiserver takes what the chart renders when much of it is switched on."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import yaml

from tests.api.conftest import Object, eventually, served
from tests.cluster import Cluster, ClusterError
from tests.cluster.command import run
from tests.support import schemas
from tests.support.absence import go_without
from tests.support.cluster_client import Kube
from tools import helm as helm_tool

CHART = Path(__file__).parents[2] / "charts" / "taskruns"
VALUES = [
    "commonLabels.team=data",
    "roles.client.bindings[0].namespace=default",
    "roles.client.bindings[0].serviceAccount=airflow-worker",
    "roles.client.bindings[0].serviceAccountNamespace=airflow",
    "networkPolicy.enabled=true",
    "networkPolicy.apiserverCIDRs={10.0.0.1/32}",
    "priorityClass.create=true",
    "podSecurityContext.runAsUser=null",
    f"image.digest=sha256:{'0' * 64}",
    "image.pullSecrets[0].name=registry",
    "extraArgs={--resync-seconds=30}",
    "extraEnv[0].name=HTTPS_PROXY",
    "extraEnv[0].value=http://proxy.test:3128",
    "extraVolumes[0].name=cluster",
    "extraVolumes[0].secret.secretName=kubeconfig",
    "extraVolumeMounts[0].name=cluster",
    "extraVolumeMounts[0].mountPath=/etc/cluster",
    "taskPodDefaults.spec.nodeSelector.disk=ssd",
]


@pytest.mark.usefixtures("helm")
def test_the_apiserver_takes_every_object_of_the_chart(cluster: Cluster) -> None:
    objects = helm_tool.template(CHART, "default", VALUES)
    kinds = {each["kind"] for each in objects}
    assert {"NetworkPolicy", "PriorityClass", "RoleBinding", "ClusterRole", "ConfigMap"} <= kinds
    take(cluster, *objects)


def take(cluster: Cluster, *objects: Object) -> None:
    """Have the apiserver look at objects as if it were to store them; it refuses what is unknown.

    Raises:
        ClusterError: it does not take them; its words are in the message.
    """
    strictly = ("--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict")
    cluster.kubectl("apply", *strictly, "-f", "-", stdin=yaml.safe_dump_all(objects))


# ---------------------------------------------------------------------------- for Prometheus

OPERATOR = "github.com/prometheus-operator/prometheus-operator"
PINNED = Path(__file__).with_name("prometheus-operator")
KINDS = {"ServiceMonitor": "servicemonitors", "PrometheusRule": "prometheusrules"}
FOR_PROMETHEUS = [
    "commonLabels.team=data",
    "serviceMonitor.enabled=true",
    "serviceMonitor.interval=1m30s",
    "serviceMonitor.labels.release=prometheus",
    "alerts.enabled=true",
    "alerts.labels.release=prometheus",
]


@pytest.fixture(scope="module")
def for_prometheus(cluster: Cluster, kube: Kube, helm: Path) -> Iterator[list[Object]]:
    """What the chart makes for the Prometheus operator, where its kinds are known."""
    assert helm.exists()
    files = [f"--filename={path}" for path in definitions()]
    cluster.kubectl("apply", "--server-side", *files)
    try:
        for plural in KINDS.values():
            served(kube, f"{plural}.monitoring.coreos.com")
            eventually(partial(cluster.kubectl, "get", plural), ClusterError)
        objects = helm_tool.template(CHART, "default", FOR_PROMETHEUS)
        yield [each for each in objects if each["kind"] in KINDS]
    finally:
        cluster.kubectl("delete", *files)


def definitions() -> list[Path]:
    """Fetch the definitions of the two kinds: four megabytes, once for a machine."""
    try:
        told = run(["go", "-C", PINNED, "mod", "download", "-json", OPERATOR], within=120).stdout
    except ClusterError as error:
        go_without(f"no kinds of the Prometheus operator: {error}")
    folder = Path(json.loads(told)["Dir"]) / "example/prometheus-operator-crd"
    return [folder / f"monitoring.coreos.com_{plural}.yaml" for plural in KINDS.values()]


def test_the_prometheus_operators_kinds_take_what_is_made_for_them(
    cluster: Cluster, for_prometheus: list[Object]
) -> None:
    assert {each["kind"] for each in for_prometheus} == {*KINDS}
    take(cluster, *for_prometheus)


@pytest.mark.parametrize(
    ("kind", "path", "value", "words"),
    [
        ("ServiceMonitor", ("spec", "endpoints", 0, "intervall"), "30s", "not declared"),
        ("ServiceMonitor", ("spec", "endpoints", 0, "interval"), "often", "should match"),
        ("PrometheusRule", ("spec", "groups", 0, "rules", 0, "four"), "5m", "not declared"),
        ("PrometheusRule", ("spec", "groups", 0, "rules", 0, "for"), "long", "should match"),
    ],
)
def test_they_would_refuse_another(
    cluster: Cluster,
    for_prometheus: list[Object],
    kind: str,
    path: schemas.Path,
    value: str,
    words: str,
) -> None:
    (made,) = (each for each in for_prometheus if each["kind"] == kind)
    with pytest.raises(ClusterError, match=words):
        take(cluster, schemas.replaced(made, path, value))
