"""The chart and the controller agree on the controller's settings."""

import json
from functools import cache
from pathlib import Path

import pytest

from taskruns.api.v1alpha1.model import DURATION_PATTERN
from taskruns.operator import settings
from tools import helm as helm_tool

CHART = Path(__file__).parents[2] / "charts" / "taskruns"

pytestmark = pytest.mark.usefixtures("helm")


@cache
def _told(*values: str) -> settings.Settings:
    (deployment,) = [
        each
        for each in helm_tool.template(CHART, "taskruns-system", values)
        if each["kind"] == "Deployment"
    ]
    (controller,) = deployment["spec"]["template"]["spec"]["containers"]
    return settings.read(controller["args"], {})


def test_the_chart_leaves_the_defaults_of_the_controller_as_they_are() -> None:
    default, rendered = settings.read([], {}), _told()
    # They are reached from outside the Pod, and the chart chooses the Lease.
    elsewhere = {"probes_host", "metrics_host", "lease"}
    for name in set(settings.Settings.__slots__) - elsewhere:
        assert getattr(rendered, name) == getattr(default, name), name


@pytest.mark.parametrize(
    "value",
    [
        "log.format=json",
        "log.level=debug",
        "log.level=warning",
        "log.level=error",
        "workers=1",
        "namespaces={team-a}",
        f"namespaces={{team-a,b,0d,{'c' * 63}}}",
        "workers=256",
        "leaderElection.leaseDuration=1h",
        "leaderElection.renewDeadline=9.5s",
        "leaderElection.retryPeriod=100ms",
        "metrics.enabled=false",
        "metrics.port=1024",
        "metrics.port=65535",
        "defaults.ttlSecondsAfterFinished=-1",
        "defaults.ttlSecondsAfterFinished=2147483647",
        "defaults.deleteDelayDuration=1h30m0.5s",
        "defaults.startupTimeoutSeconds=1",
        "defaults.startupTimeoutSeconds=2147483647",
    ],
)
def test_what_the_schema_allows_the_controller_understands(value: str) -> None:
    assert _told(value) != _told()


def test_the_template_of_the_chart_is_what_the_controller_reads(tmp_path: Path) -> None:
    values = ["taskPodDefaults.metadata.labels.team=data", "taskPodDefaults.spec.nodeSelector.a=b"]
    objects = helm_tool.template(CHART, "taskruns-system", values)
    (config,) = [each for each in objects if each["kind"] == "ConfigMap"]
    (deployment,) = [each for each in objects if each["kind"] == "Deployment"]
    pod = deployment["spec"]["template"]["spec"]
    (volume,), (controller,) = pod["volumes"], pod["containers"]
    (mount,) = controller["volumeMounts"]
    assert volume["configMap"]["name"] == config["metadata"]["name"]
    ((name, content),) = config["data"].items()
    assert f"--pod-template={mount['mountPath']}/{name}" in controller["args"]
    (tmp_path / name).write_text(content)
    assert settings.read_pod_template(str(tmp_path / name)) == {
        "metadata": {"labels": {"team": "data"}},
        "spec": {"nodeSelector": {"a": "b"}},
    }


def test_a_duration_is_written_alike_in_the_chart_and_in_a_task_run() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    delay = schema["properties"]["defaults"]["properties"]["deleteDelayDuration"]
    times = schema["properties"]["leaderElection"]["properties"]
    for each in (delay, times["leaseDuration"], times["renewDeadline"], times["retryPeriod"]):
        assert each["pattern"] == DURATION_PATTERN
