"""The apiserver accepts the rendered chart with most of its options switched on."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
import yaml

from tests.api.conftest import Object, eventually, served
from tests.cluster import Cluster, ClusterError
from tests.cluster.command import run
from tests.support.absence import go_without
from tests.support.builders import schemas
from tests.support.cluster.client import Kube
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
    "admission.enabled=true",
]


@pytest.mark.usefixtures("helm")
def test_the_apiserver_accepts_every_object_of_the_chart(cluster: Cluster) -> None:
    objects = helm_tool.template(CHART, "default", VALUES)
    kinds = {each["kind"] for each in objects}
    assert {"NetworkPolicy", "PriorityClass", "RoleBinding", "ClusterRole", "ConfigMap"} <= kinds
    dry_run_apply(cluster, *objects)


def dry_run_apply(cluster: Cluster, *objects: Object) -> None:
    """Apply objects as a server-side dry run with strict validation.

    Raises:
        ClusterError: the apiserver refuses them; its message is included.
    """
    strictly = ("--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict")
    cluster.kubectl("apply", *strictly, "-f", "-", stdin=yaml.safe_dump_all(objects))


ODD = {"2024": "1234", "1e3": "1e5", "0755": "0755", "a.b": "null", "a" * 53: "true"}
"""Names of releases, and the namespaces that they are rendered for."""
ODD_VALUES = (
    *("networkPolicy.enabled=true", "priorityClass.create=true", "dashboard.enabled=true"),
    *("podLabels.a=1", "podAnnotations.b=true", "image.tag=2024", "priorityClassName=0755"),
    *("nodeSelector.c=0755", "extraArgs={1e3,5}", "serviceAccount.name=1e3"),
    *("extraEnv[0].name=A", "extraEnv[0].value=8080", "tolerations=null", "commonLabels.d=1e3"),
    *("global.imagePullSecrets[0]=1e3", "image.pullSecrets[0].name=1e3"),
)


@pytest.mark.usefixtures("helm")
def test_the_apiserver_accepts_names_that_yaml_may_misread(cluster: Cluster) -> None:
    flags = [flag for value in ODD_VALUES for flag in ("--set", value)]
    rendered = "---\n".join(
        helm_tool.render(CHART, namespace, *flags, release=release)
        for release, namespace in ODD.items()
    )
    for namespace in ODD.values():
        cluster.kubectl("create", "namespace", namespace)
    try:
        strictly = ("--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict")
        cluster.kubectl("apply", *strictly, "-f", "-", stdin=rendered)
    finally:
        cluster.kubectl("delete", "namespace", *ODD.values(), "--wait=false")


# ---------------------------------------------------------------------------- owners

DEFINITION = "customresourcedefinition/taskruns.taskruns.dev"
OWNED = ("meta.helm.sh/release-name=former", "meta.helm.sh/release-namespace=gone")


@contextmanager
def owned(cluster: Cluster, thing: str) -> Iterator[None]:
    """Mark an existing object as owned by a deleted release, for the block."""
    cluster.kubectl("annotate", "--overwrite", thing, *OWNED)
    try:
        yield
    finally:
        marks = [f"{mark.partition('=')[0]}-" for mark in OWNED]
        cluster.kubectl("annotate", thing, *marks)


def install(cluster: Cluster, *flags: str, chart: Path = CHART) -> str:
    """Install a release as a server-side dry run; return Helm's output."""
    target = ["--namespace", "default", "--kubeconfig", str(cluster.kubeconfig)]
    command = [
        str(helm_tool.PROGRAM),
        "install",
        "taskruns",
        str(chart),
        *target,
        "--dry-run=server",
    ]
    done = subprocess.run(
        [*command, *flags], capture_output=True, text=True, timeout=120, check=False
    )
    return f"{done.stdout}{done.stderr}"


@pytest.mark.usefixtures("helm", "definition")
def test_the_crd_of_another_release_is_used_unchanged(cluster: Cluster) -> None:
    with owned(cluster, DEFINITION):
        output = install(cluster)
    assert "kind: CustomResourceDefinition" not in output
    assert 'taskruns.dev/definition-of: "gone/former"' in output
    assert "belongs to the release gone/former, which upgrades it" in output


@pytest.mark.usefixtures("helm", "definition")
def test_a_crd_of_another_version_is_reported_with_the_handover_command(
    cluster: Cluster, tmp_path: Path
) -> None:
    chart = shutil.copytree(CHART, tmp_path / "taskruns")
    template = chart / "templates/crd.yaml"
    text = template.read_text()
    column = "description: Reason for the phase."
    assert column in text
    template.write_text(text.replace(column, "description: Other."))
    with owned(cluster, DEFINITION):
        output = install(cluster, chart=chart)
    assert "exists in another version, and belongs to the release gone/former" in output
    assert "kubectl annotate --overwrite customresourcedefinition taskruns" in output


@pytest.mark.usefixtures("helm", "definition")
def test_a_crd_applied_by_kubectl_is_adopted_with_take_ownership(cluster: Cluster) -> None:
    assert "invalid ownership metadata" in install(cluster)
    assert "kind: CustomResourceDefinition" in install(cluster, "--take-ownership")


@pytest.mark.usefixtures("helm", "definition")
def test_a_cluster_role_of_another_release_is_refused_with_a_message(cluster: Cluster) -> None:
    cluster.kubectl("create", "clusterrole", "taskruns", "--verb=get", "--resource=pods")
    try:
        with owned(cluster, "clusterrole/taskruns"):
            output = install(cluster, "--take-ownership")
    finally:
        cluster.kubectl("delete", "clusterrole", "taskruns")
    assert "the ClusterRole taskruns belongs to the release gone/former, whose controller" in output


@pytest.mark.usefixtures("helm", "definition")
def test_a_deployment_created_without_helm_is_refused_with_a_message(cluster: Cluster) -> None:
    cluster.kubectl("create", "deployment", "taskruns", "--image=busybox:1", "--replicas=0")
    try:
        output = install(cluster, "--take-ownership")
    finally:
        cluster.kubectl("delete", "deployment", "taskruns")
    assert "the Deployment taskruns in the namespace default was created without Helm" in output
    assert "kubectl label --overwrite -f manifests/install.yaml" in output


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
def prometheus_objects(cluster: Cluster, kube: Kube, helm: Path) -> Iterator[list[Object]]:
    """Provide the chart's objects for the Prometheus operator, with their kinds installed."""
    assert helm.exists()
    files = [f"--filename={path}" for path in prometheus_crds()]
    cluster.kubectl("apply", "--server-side", *files)
    try:
        for plural in KINDS.values():
            served(kube, f"{plural}.monitoring.coreos.com")
            eventually(partial(cluster.kubectl, "get", plural), ClusterError)
        objects = helm_tool.template(CHART, "default", FOR_PROMETHEUS)
        yield [each for each in objects if each["kind"] in KINDS]
    finally:
        cluster.kubectl("delete", *files)


def prometheus_crds() -> list[Path]:
    """Download the definitions of the two kinds: four megabytes, once per machine."""
    try:
        output = run(["go", "-C", PINNED, "mod", "download", "-json", OPERATOR], within=120).stdout
    except ClusterError as error:
        go_without(f"no kinds of the Prometheus operator: {error}")
    folder = Path(json.loads(output)["Dir"]) / "example/prometheus-operator-crd"
    return [folder / f"monitoring.coreos.com_{plural}.yaml" for plural in KINDS.values()]


def test_the_prometheus_operators_crds_accept_the_charts_objects(
    cluster: Cluster, prometheus_objects: list[Object]
) -> None:
    assert {each["kind"] for each in prometheus_objects} == {*KINDS}
    dry_run_apply(cluster, *prometheus_objects)


@pytest.mark.parametrize(
    ("kind", "path", "value", "expected"),
    [
        ("ServiceMonitor", ("spec", "endpoints", 0, "intervall"), "30s", "not declared"),
        ("ServiceMonitor", ("spec", "endpoints", 0, "interval"), "often", "should match"),
        ("PrometheusRule", ("spec", "groups", 0, "rules", 0, "four"), "5m", "not declared"),
        ("PrometheusRule", ("spec", "groups", 0, "rules", 0, "for"), "long", "should match"),
    ],
)
def test_the_prometheus_operators_crds_refuse_an_invalid_object(
    cluster: Cluster,
    prometheus_objects: list[Object],
    kind: str,
    path: schemas.Path,
    value: str,
    expected: str,
) -> None:
    (made,) = (each for each in prometheus_objects if each["kind"] == kind)
    with pytest.raises(ClusterError, match=expected):
        dry_run_apply(cluster, schemas.replaced(made, path, value))
