"""The rendered chart: the whole at its default values, and the changes by each switch.

`golden/chart/defaults.yaml` is the rendering at default values, with one diff beside it per switch.
The CRD's schema and the dashboard have tests of their own and are left out. `pytest
--update-golden` overwrites the files.
"""

import difflib
import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

from tests.support.builders.golden import Golden
from tools import helm as helm_tool
from tools.writing import dump

CHART = Path(__file__).parents[2] / "charts" / "taskruns"
FORBIDDEN = (
    "privileged",
    "capabilities",
    "hostNamespaces",
    "hostPath",
    "hostPorts",
    "hostProbes",
    "profiles",
    "sysctls",
)
SWITCHES = {
    "image": [
        "image.repository=example.test/taskruns",
        "image.tag=1.2.3",
        "image.pullPolicy=Never",
    ],
    "image-registry": ["image.registry=example.test:5000"],
    "image-digest": [f"image.digest=sha256:{'0' * 64}", "image.tag=does-not-count"],
    "image-pull-secrets": ["image.pullSecrets[0].name=registry"],
    "global": [
        "global.imageRegistry=mirror.test",
        "image.registry=does-not-count",
        "global.imagePullSecrets[0].name=mirror",
        "image.pullSecrets[0].name=registry",
    ],
    "name": ["nameOverride=runs"],
    "full-name": ["fullnameOverride=runs"],
    "common-labels": [
        "commonLabels.team=data",
        "commonLabels.app\\.kubernetes\\.io/name=does-not-count",
    ],
    "namespaces": [
        "namespaces={team-a,team-b}",
        "roles.client.bindings[0].namespace=team-b",
        "roles.client.bindings[0].serviceAccount=runner",
    ],
    "log": ["log.format=json", "log.level=debug"],
    "workers": ["workers=2"],
    "defaults": [
        "defaults.ttlSecondsAfterFinished=-1",
        "defaults.deleteDelayDuration=2m",
        "defaults.startupTimeoutSeconds=60",
    ],
    "task-pod-defaults": [
        "taskPodDefaults.metadata.labels.team=data",
        "taskPodDefaults.spec.nodeSelector.disk=ssd",
    ],
    "no-metrics": ["metrics.enabled=false", "networkPolicy.enabled=true"],
    "metrics-port": ["metrics.port=9000"],
    "service-monitor": ["serviceMonitor.enabled=true"],
    "service-monitor-chosen": [
        "serviceMonitor.enabled=true",
        "serviceMonitor.interval=15s",
        "serviceMonitor.labels.release=stack",
    ],
    "alerts": ["alerts.enabled=true", "alerts.labels.release=stack"],
    "dashboard": [
        "dashboard.enabled=true",
        "dashboard.labels.team=data",
        "dashboard.annotations.grafana_folder=Batch",
    ],
    "no-crds": ["crds.install=false"],
    "crds-go-with-the-release": ["crds.keep=false"],
    "no-cleanup": ["cleanup.enabled=false"],
    "cleanup": ["cleanup.timeoutSeconds=300"],
    "service-account": ["serviceAccount.name=runner", "serviceAccount.annotations.team=data"],
    "foreign-service-account": ["serviceAccount.create=false", "serviceAccount.name=runner"],
    "no-service-account": ["serviceAccount.create=false"],
    "no-aggregated-roles": ["roles.aggregate=false"],
    "no-client-role": ["roles.client.create=false"],
    "client-bindings": [
        "roles.client.bindings[0].namespace=etl",
        "roles.client.bindings[0].serviceAccount=runner",
        "roles.client.bindings[1].namespace=etl",
        "roles.client.bindings[1].serviceAccount=airflow-worker",
        "roles.client.bindings[1].serviceAccountNamespace=airflow",
    ],
    "network-policy": ["networkPolicy.enabled=true"],
    "narrow-network-policy": [
        "networkPolicy.enabled=true",
        "networkPolicy.apiserverPorts={6443}",
        "networkPolicy.apiserverCIDRs={10.0.0.1/32,10.0.0.2/32}",
    ],
    "priority-class": ["priorityClass.create=true", "priorityClass.value=5"],
    "named-priority-class": ["priorityClass.create=true", "priorityClassName=controllers"],
    "one-replica": ["replicas=1"],
    "no-election": ["replicas=1", "leaderElection.enabled=false"],
    "election-times": [
        "leaderElection.leaseDuration=30s",
        "leaderElection.renewDeadline=20s",
        "leaderElection.retryPeriod=4s",
    ],
    "no-disruption-budget": ["podDisruptionBudget.enabled=false"],
    "spread": [
        "topologySpreadConstraints[0].maxSkew=1",
        "topologySpreadConstraints[0].topologyKey=rack",
        "topologySpreadConstraints[0].whenUnsatisfiable=DoNotSchedule",
    ],
    "revision-history": ["revisionHistoryLimit=2"],
    "security": [
        "podSecurityContext.runAsUser=null",
        "podSecurityContext.runAsGroup=null",
        "securityContext.seccompProfile.type=RuntimeDefault",
    ],
    "extras": [
        "extraArgs={--resync-seconds=30}",
        "extraEnv[0].name=HTTPS_PROXY",
        "extraEnv[0].value=http://proxy.test:3128",
        "extraVolumes[0].name=cluster",
        "extraVolumes[0].secret.secretName=kubeconfig",
        "extraVolumeMounts[0].name=cluster",
        "extraVolumeMounts[0].mountPath=/etc/cluster",
    ],
    "resources": ["resources.limits.memory=1Gi", "resources.limits.cpu=2"],
    "pod-metadata": ["podLabels.team=data", "podAnnotations.note=hello"],
    "deployment-metadata": ["deploymentLabels.team=data", "deploymentAnnotations.note=1e3"],
    "admission": ["admission.enabled=true"],
    "admission-of-some-namespaces": [
        "admission.enabled=true",
        "namespaces={team-a,team-b}",
        "taskPodDefaults.spec.serviceAccountName=runner",
        "admission.forbid.hostPath=false",
    ],
    "admission-without": [
        "admission.enabled=true",
        "admission.actions={Warn,Audit}",
        "admission.serviceAccounts=false",
        *(f"admission.forbid.{each}=false" for each in FORBIDDEN if each != "hostPath"),
    ],
    "placement": [
        "nodeSelector.disk=ssd",
        "tolerations[0].operator=Exists",
        "affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey=zone",
        "priorityClassName=system-cluster-critical",
    ],
}
REFUSED = {
    "a misspelt name": ["worker=3"],
    "a misspelt name inside": ["image.repo=x"],
    "an unknown log format": ["log.format=xml"],
    "an unknown log level": ["log.level=loud"],
    "no workers": ["workers=0"],
    "a negative number of replicas": ["replicas=-1"],
    "a time without a unit": ["leaderElection.leaseDuration=10"],
    "a constraint without a key": [
        "topologySpreadConstraints[0].maxSkew=1",
        "topologySpreadConstraints[0].whenUnsatisfiable=ScheduleAnyway",
    ],
    "a word for a number": ["workers=many"],
    "a delay without a unit": ["defaults.deleteDelayDuration=30"],
    "a ttl below -1": ["defaults.ttlSecondsAfterFinished=-2"],
    "no time to start": ["defaults.startupTimeoutSeconds=0"],
    "task pod defaults that are no mapping": ["taskPodDefaults=x"],
    "a metrics port that takes root": ["metrics.port=80"],
    "an interval without a unit": ["serviceMonitor.interval='30'"],
    "an unknown pull policy": ["image.pullPolicy=Sometimes"],
    "a digest that is none": ["image.digest=1.2.3"],
    "a namespace that is none": ["namespaces={Team}"],
    "a namespace twice": ["namespaces={team-a,team-a}"],
    "a misspelt key of a binding": [
        "roles.client.bindings[0].namespace=etl",
        "roles.client.bindings[0].serviceAccountName=runner",
    ],
    "a binding without a namespace": ["roles.client.bindings[0].serviceAccount=runner"],
    "a port that is a word": ["networkPolicy.apiserverPorts={https}"],
    "a priority above what is Kubernetes' own": ["priorityClass.value=1000000001"],
    "an unknown action of admission": ["admission.actions={Refuse}"],
    "a misspelt rule of admission": ["admission.forbid.hostpath=true"],
}

pytestmark = pytest.mark.usefixtures("helm")


@cache
def _render(*settings: str) -> str:
    objects = helm_tool.template(CHART, "taskruns-system", settings)
    for each in objects:
        if each["kind"] == "CustomResourceDefinition":
            each["spec"] = "..."
        if each["metadata"].get("labels", {}).get("grafana_dashboard"):
            each["data"] = "..."
    return "---\n".join(dump(each) for each in objects)


def test_the_chart_at_its_default_values(golden: Golden) -> None:
    golden.compare("chart/defaults.yaml", _render())


@pytest.mark.parametrize("switch", SWITCHES)
def test_a_switch_changes_what_it_says(golden: Golden, switch: str) -> None:
    lines = difflib.unified_diff(
        _render().splitlines(keepends=True),
        _render(*SWITCHES[switch]).splitlines(keepends=True),
        fromfile="defaults",
        tofile=switch,
        n=2,
    )
    # Without line numbers, a change to one object does not alter the diffs of the others.
    changes = re.sub(r"^@@ .* @@$", "@@", "".join(lines), flags=re.MULTILINE)
    assert changes
    golden.compare(f"chart/{switch}.diff", changes)


def test_a_chart_is_rendered_as_by_the_program_helm() -> None:
    flags = ["--set", "log.format=json"]
    command = [str(helm_tool.PROGRAM), "template", "x", str(CHART), "--namespace", "a", *flags]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert helm_tool.render(CHART, "a", *flags, release="x") == printed


def test_every_value_has_a_switch_that_shows_what_it_changes() -> None:
    page = (CHART.parents[1] / "docs/values.md").read_text()
    values = re.findall(r"^\| `(\S+)` \| `", page, re.MULTILINE)
    assert len(values) > 40
    settings = [setting for switch in SWITCHES.values() for setting in switch]
    shown = {v for v in values if any(re.match(rf"{re.escape(v)}[.\[=]", s) for s in settings)}
    assert set(values) == shown


@pytest.mark.parametrize("settings", REFUSED.values(), ids=REFUSED)
def test_the_schema_refuses(settings: list[str]) -> None:
    with pytest.raises(ValueError, match="schema"):
        helm_tool.template(CHART, "taskruns-system", settings)


def test_with_a_list_of_namespaces_nothing_belongs_to_the_whole_cluster() -> None:
    served = ["team-a", "team-b"]
    settings = [f"namespaces={{{','.join(served)}}}", "crds.install=false"]
    objects = helm_tool.template(CHART, "taskruns-system", settings)
    assert all(each["metadata"].get("namespace") for each in objects)
    roles = [each for each in objects if each["kind"] == "Role"]
    assert {each["metadata"]["namespace"] for each in roles} == {*served, "taskruns-system"}


POLICY = "admission.enabled=true"
INCOMPLETE = {
    "a policy without a rule": [
        POLICY,
        "admission.serviceAccounts=false",
        *(f"admission.forbid.{each}=false" for each in FORBIDDEN),
    ],
    "Deny and Warn": [POLICY, "admission.actions={Deny,Warn}"],
}


@pytest.mark.parametrize("message", INCOMPLETE)
def test_a_policy_that_does_nothing_or_that_kubernetes_refuses_is_refused(message: str) -> None:
    with pytest.raises(ValueError, match=message):
        helm_tool.template(CHART, "taskruns-system", INCOMPLETE[message])


def test_a_policy_without_an_action_is_refused() -> None:
    flags = ("--set", POLICY, "--set-json", "admission.actions=[]")
    with pytest.raises(ValueError, match=r"admission\.actions is empty"):
        helm_tool.render(CHART, "taskruns-system", *flags)


def _validations(*settings: str) -> list[str]:
    objects = helm_tool.template(CHART, "taskruns-system", (POLICY, *settings))
    (policy,) = (each for each in objects if each["kind"] == "ValidatingAdmissionPolicy")
    return [each["expression"] for each in policy["spec"]["validations"]]


@pytest.mark.parametrize("rule", FORBIDDEN)
def test_each_value_of_admission_removes_its_own_rule_alone(rule: str) -> None:
    everything, rest = _validations(), _validations(f"admission.forbid.{rule}=false")
    removed = [each for each in everything if each not in rest]
    assert rest == [each for each in everything if each in rest]
    assert len(removed) == (2 if rule == "profiles" else 1)


def test_a_binding_outside_the_namespaces_that_are_served_is_refused() -> None:
    binding = ["bindings[0].namespace=b", "bindings[0].serviceAccount=runner"]
    settings = ["namespaces={a}", *(f"roles.client.{each}" for each in binding)]
    with pytest.raises(ValueError, match="names the namespace b, which is not in namespaces"):
        helm_tool.template(CHART, "taskruns-system", settings)


def test_several_controllers_without_an_election_are_refused() -> None:
    settings = ["replicas=2", "leaderElection.enabled=false"]
    with pytest.raises(ValueError, match="without an election set replicas to 1"):
        helm_tool.template(CHART, "taskruns-system", settings)


def test_helm_finds_nothing_to_complain_about(helm: Path) -> None:
    lint = subprocess.run(
        [helm, "lint", "--strict", CHART], capture_output=True, text=True, check=False
    )
    assert lint.returncode == 0, lint.stdout + lint.stderr
