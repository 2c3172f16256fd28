"""The apiserver takes what the chart renders when much of it is switched on."""

from pathlib import Path

import pytest
import yaml

from tests.cluster import Cluster
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
    strictly = ("apply", "--server-side", "--force-conflicts", "--dry-run=server")
    cluster.kubectl(*strictly, "--validate=strict", "-f", "-", stdin=yaml.safe_dump_all(objects))
