"""Tests of KubernetesPodOperator's parameters: each is accepted, or refused with a replacement."""

import inspect
import runpy
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator as Original
from airflow.providers.cncf.kubernetes.secret import Secret
from airflow.providers.cncf.kubernetes.utils.pod_manager import OnKillAction
from airflow.providers.common.compat.sdk import DAG, AirflowSkipException
from kubernetes.client import models as k8s

from taskruns.api.v1alpha1 import TaskRun
from taskruns_airflow.compat import KubernetesPodOperator
from taskruns_airflow.compat.kubernetes_pod_parameters import ALL, EARLIER, PARAMETERS
from taskruns_airflow.compat.parameters import Fate, page
from taskruns_airflow.failures import TaskRunMisconfigured
from taskruns_airflow.identity import Try

OWN = Try("sales", "load", "manual", -1, 1, 0, "2026-11-25T04:00:00.000001+00:00", "i1")
MIGRATION = Path(__file__).parents[2] / "docs/airflow-migration.md"
SECRETS = [
    Secret(*parts)  # type: ignore[no-untyped-call]  # untyped in Airflow
    for parts in (("env", "password", "db", "p"), ("env", None, "all"), ("volume", "/keys", "keys"))
]


def spec_of(**arguments: Any) -> dict[str, Any]:
    task = KubernetesPodOperator(task_id="load", **{"image": "a", **arguments})
    spec: dict[str, Any] = task.build_task_run(OWN)["spec"]
    return spec


def pod_of(**arguments: Any) -> dict[str, Any]:
    pod: dict[str, Any] = spec_of(**arguments)["template"]["spec"]
    return pod


def test_every_parameter_of_the_installed_provider_has_a_row() -> None:
    own = set(inspect.signature(Original.__init__).parameters) - {"self", "kwargs"}
    assert own == {each.name for each in PARAMETERS}
    assert len(PARAMETERS) == 73


def test_every_parameter_is_in_the_constructors_signature() -> None:
    known = set(inspect.signature(KubernetesPodOperator.__init__).parameters)
    assert {each.name for each in ALL} <= known


def test_the_page_shows_every_row() -> None:
    text = MIGRATION.read_text()
    assert page(PARAMETERS) in text, page(PARAMETERS)
    assert page(EARLIER) in text, page(EARLIER)


def test_only_an_image_is_required() -> None:
    spec = spec_of()
    assert spec.keys() == {"image", "template", "podGC"}
    assert spec["template"]["spec"] == {"containers": [{"name": "base"}]}


TAKEN: list[tuple[str, Any, dict[str, Any]]] = [
    ("image", "b", {"image": "b"}),
    ("cmds", ["sh", "-c"], {"command": ["sh", "-c"]}),
    ("arguments", ["a"], {"args": ["a"]}),
    ("volume_mounts", [k8s.V1VolumeMount(name="v", mount_path="/v")],
     {"volumeMounts": [{"name": "v", "mountPath": "/v"}]}),
    ("volumes", [k8s.V1Volume(name="v", empty_dir=k8s.V1EmptyDirVolumeSource())],
     {"volumes": [{"name": "v", "emptyDir": {}}]}),
    ("env_vars", {"A": "b"}, {"env": [{"name": "A", "value": "b"}]}),
    ("env_vars", [k8s.V1EnvVar(name="A", value="b")], {"env": [{"name": "A", "value": "b"}]}),
    ("env_from", [k8s.V1EnvFromSource(secret_ref=k8s.V1SecretEnvSource(name="s"))],
     {"envFrom": [{"secretRef": {"name": "s"}}]}),
    ("secrets", SECRETS, {
        "env": [{"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "p"}}}],
        "envFrom": [{"secretRef": {"name": "all"}}],
        "volumes": [{"name": "airflow-secret-2", "secret": {"secretName": "keys"}}],
        "volumeMounts": [{"name": "airflow-secret-2", "mountPath": "/keys", "readOnly": True}]}),
    ("startup_timeout_seconds", 5, {"startupTimeoutSeconds": 5}),
    ("schedule_timeout_seconds", 6, {"scheduleTimeoutSeconds": 6}),
    ("get_logs", True, {"podGC": {"deleteDelayDuration": "10m"}}),
    ("image_pull_policy", "Never", {"imagePullPolicy": "Never"}),
    ("container_resources", k8s.V1ResourceRequirements(limits={"cpu": "1"}),
     {"resources": {"limits": {"cpu": "1"}}}),
    ("affinity", {"nodeAffinity": {}}, {"affinity": {"nodeAffinity": {}}}),
    ("node_selector", {"disk": "ssd"}, {"nodeSelector": {"disk": "ssd"}}),
    ("node_selectors", {"disk": "ssd"}, {"nodeSelector": {"disk": "ssd"}}),
    ("image_pull_secrets", "a, b", {"imagePullSecrets": [{"name": "a"}, {"name": "b"}]}),
    ("image_pull_secrets", [k8s.V1LocalObjectReference(name="a")],
     {"imagePullSecrets": [{"name": "a"}]}),
    ("service_account_name", "loader", {"serviceAccountName": "loader"}),
    ("tolerations", [k8s.V1Toleration(operator="Exists")],
     {"tolerations": [{"operator": "Exists"}]}),
    ("container_security_context", {"runAsUser": 7}, {"securityContext": {"runAsUser": 7}}),
    ("do_xcom_push", True, {"resultPath": "/airflow/xcom/return.json"}),
    ("xcom_push", True, {"resultPath": "/airflow/xcom/return.json"}),
    ("priority_class_name", "high", {"priorityClassName": "high"}),
    ("pod_runtime_info_envs", [k8s.V1EnvVar(name="IP", value_from=k8s.V1EnvVarSource(
        field_ref=k8s.V1ObjectFieldSelector(field_path="status.podIP")))],
     {"env": [{"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]}),
    ("configmaps", ["c"], {"envFrom": [{"configMapRef": {"name": "c"}}]}),
    ("active_deadline_seconds", 9, {"attemptDeadlineSeconds": 9}),
    ("on_finish_action", "delete_succeeded_pod",
     {"podGC": {"deleteDelayDuration": "10m", "strategy": "OnPodSuccess"}}),
    ("on_finish_action", "delete_active_pod",
     {"podGC": {"deleteDelayDuration": "10m", "strategy": "Never"}}),
    ("is_delete_operator_pod", False,
     {"podGC": {"deleteDelayDuration": "10m", "strategy": "Never"}}),
    ("is_delete_operator_pod", True,
     {"podGC": {"deleteDelayDuration": "10m", "strategy": "OnPodCompletion"}}),
]  # fmt: skip
OF_THE_POD: list[tuple[str, Any, dict[str, Any]]] = [
    ("ports", [k8s.V1ContainerPort(container_port=80)],
     {"containers": [{"name": "base", "ports": [{"containerPort": 80}]}]}),
    ("base_container_name", "app", {"containers": [{"name": "app"}]}),
    ("runtime_class_name", "gvisor", {"runtimeClassName": "gvisor"}),
    ("automount_service_account_token", False, {"automountServiceAccountToken": False}),
    ("hostnetwork", True, {"hostNetwork": True}),
    ("host_aliases", [k8s.V1HostAlias(ip="10.0.0.1", hostnames=["a"])],
     {"hostAliases": [{"ip": "10.0.0.1", "hostnames": ["a"]}]}),
    ("security_context", k8s.V1PodSecurityContext(fs_group=7),
     {"securityContext": {"fsGroup": 7}}),
    ("dnspolicy", "None", {"dnsPolicy": "None"}),
    ("dns_config", k8s.V1PodDNSConfig(searches=["a"]), {"dnsConfig": {"searches": ["a"]}}),
    ("hostname", "h", {"hostname": "h"}),
    ("subdomain", "s", {"subdomain": "s"}),
    ("schedulername", "s", {"schedulerName": "s"}),
    ("full_pod_spec", k8s.V1Pod(spec=k8s.V1PodSpec(containers=[], host_ipc=True)),
     {"hostIPC": True}),
    ("pod_template_dict", {"kind": "Pod", "metadata": {"name": "x"}, "spec": {
        "restartPolicy": "Always", "containers": [{"name": "x", "image": "y"}, {"name": "z"}]}},
     {"containers": [{"name": "base"}, {"name": "z"}]}),
    ("init_containers", [k8s.V1Container(name="i", image="b")],
     {"initContainers": [{"name": "i", "image": "b"}]}),
    ("termination_grace_period", 0, {"terminationGracePeriodSeconds": 0}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value", "expected"), TAKEN)
def test_a_parameter_becomes_its_field(name: str, value: Any, expected: dict[str, Any]) -> None:
    assert spec_of(**{name: value}).items() >= expected.items()


@pytest.mark.parametrize(("name", "value", "expected"), OF_THE_POD)
def test_a_parameter_becomes_its_field_of_the_pod(
    name: str, value: Any, expected: dict[str, Any]
) -> None:
    assert pod_of(**{name: value}).items() >= expected.items()


OF_THE_OPERATOR: dict[str, Any] = {
    "namespace": "jobs",
    "in_cluster": True,
    "cluster_context": "c",
    "config_file": "/k",
    "kubernetes_conn_id": "k",
    "deferrable": True,
    "skip_on_exit_code": 99,
}


def test_parameters_without_a_field_reach_the_operator() -> None:
    task = KubernetesPodOperator(task_id="load", image="a", **OF_THE_OPERATOR)
    assert {name: getattr(task, name) for name in OF_THE_OPERATOR} == OF_THE_OPERATOR


REFUSED: dict[str, Any] = {
    "random_name_suffix": False,
    "reattach_on_restart": False,
    "durable": False,
    "xcom_sidecar_container_security_context": {"runAsUser": 7},
    "on_kill_action": "keep_pod",
    "callbacks": [object],
    "progress_callback": print,
    "trigger_kwargs": {"a": 1},
    "log_formatter": "{}{}".format,
    "resources": {"request_memory": "1Gi"},
}
NEEDLESS: dict[str, Any] = {
    "startup_check_interval_seconds": 1,
    "base_container_status_polling_interval": 5,
    "log_events_on_failure": True,
    "log_events_on_startup": False,
    "poll_interval": 10,
    "log_pod_spec_on_failure": False,
    "termination_message_policy": "FallbackToLogsOnError",
    "logging_interval": 3,
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_unsupported_parameter_is_refused_by_name_when_the_dag_is_parsed(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name}: "):
        KubernetesPodOperator(task_id="load", image="a", **{name: REFUSED[name]})


def test_one_error_names_all_unsupported_parameters() -> None:
    with pytest.raises(ValueError, match=r"durable: .*callbacks: .*log_formatter: "):
        KubernetesPodOperator(task_id="load", image="a", **REFUSED)


@pytest.mark.parametrize("name", NEEDLESS)
def test_a_parameter_without_effect_is_logged(name: str) -> None:
    task = KubernetesPodOperator(task_id="load", image="a", **{name: NEEDLESS[name]})
    assert [note.partition(" ")[0] for note in task._notes] == [name]


def test_harmless_values_are_accepted_without_a_note() -> None:
    defaults = inspect.signature(Original.__init__).parameters
    values = {each.name: defaults[each.name].default for each in PARAMETERS}
    task = KubernetesPodOperator(task_id="load", **(values | {"image": "a"}))
    assert task._notes == []


@pytest.mark.parametrize(
    "arguments",
    [
        {"callbacks": ()},
        {"trigger_kwargs": {}},
        {"xcom_sidecar_container_security_context": {}},
        {"on_kill_action": OnKillAction.DELETE_POD},
        {"reattach_on_restart": True, "durable": True, "random_name_suffix": True},
        {"termination_message_policy": "", "log_formatter": None},
    ],
)
def test_empty_values_have_no_effect(arguments: dict[str, Any]) -> None:
    assert KubernetesPodOperator(task_id="load", image="a", **arguments)._notes == []


def test_every_parameter_is_tested_here() -> None:
    tables = {row[0] for row in TAKEN + OF_THE_POD}
    apart = {"name", "labels", "annotations", "pod_template_file"}
    logs = {"container_logs", "init_container_logs", "container_name_log_prefix_enabled"}
    tried = tables | apart | logs | set(OF_THE_OPERATOR) | set(REFUSED) | set(NEEDLESS)
    assert tried == {each.name for each in ALL}
    assert set(NEEDLESS) == {each.name for each in ALL if each.fate is Fate.NEEDLESS}


def test_the_argument_name_is_the_prefix_of_the_task_runs_name() -> None:
    made = KubernetesPodOperator(task_id="load", image="a", name="Pi").build_task_run(OWN)
    assert made["metadata"]["name"] == OWN.named("pi")
    assert OWN.named("pi").startswith("pi-")
    assert OWN.named("...") == OWN.name


def test_labels_and_annotations_are_on_task_run_and_pods() -> None:
    task = KubernetesPodOperator(
        task_id="load", image="a", labels={"a": None, "b": "c"}, annotations={"d": "e"}
    )
    made = task.build_task_run(OWN)
    for metadata in (made["metadata"], made["spec"]["template"]["metadata"]):
        assert metadata["labels"].items() >= {"a": "", "b": "c"}.items()
        assert metadata["annotations"]["d"] == "e"


def test_mutate_gets_the_task_run_that_is_created() -> None:
    manifests: list[Any] = []
    task = KubernetesPodOperator(
        task_id="load",
        image="a",
        name="pi",
        full_pod_spec={"metadata": {"namespace": "jobs"}},
        mutate=lambda made: manifests.append(deepcopy(made)),
    )
    made = task.build_task_run(OWN)
    assert manifests == [made]
    assert (made["metadata"]["name"], made["metadata"]["namespace"]) == (OWN.named("pi"), "jobs")


def test_a_pod_template_file_sets_the_namespace(tmp_path: Path) -> None:
    (tmp_path / "pod.yaml").write_text(
        "kind: Pod\nmetadata: {name: x, namespace: jobs}\n"
        "spec: {containers: [{name: base, envFrom: [{secretRef: {name: s}}]}]}\n"
    )
    task = KubernetesPodOperator(
        task_id="load", image="a", pod_template_file=str(tmp_path / "pod.yaml"), configmaps=["c"]
    )
    made = task.build_task_run(OWN)
    assert made["metadata"]["namespace"] == "jobs"
    assert made["spec"]["envFrom"] == [
        {"secretRef": {"name": "s"}},
        {"configMapRef": {"name": "c"}},
    ]


def test_a_missing_template_file_fails_the_task() -> None:
    with pytest.raises(TaskRunMisconfigured, match="pod_template_file: No such file"):
        spec_of(pod_template_file="nowhere.yaml")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"durable": False}, "durable: "),
        ({"on_finish_action": "burn"}, "write one of delete_pod"),
        (
            {"on_finish_action": "keep_pod", "pod_gc": {"strategy": "Never"}},
            "pod_gc: cannot be combined with on_finish_action",
        ),
        ({"pod_template_dict": {"a": 1}, "pod_template_file": "b"}, "are both set; remove one"),
        (
            {"full_pod_spec": {"spec": {}}, "template": {"spec": {}}},
            "template: cannot be combined with full_pod",
        ),
        ({"cmds": ["a"], "command": ["b"]}, "command: set both by this name and as cmds"),
        (
            {"node_selectors": {}, "node_selector": {}},
            "node_selector: set both by this name and as node_selectors",
        ),
        (
            {"init_container_logs": True, "get_logs": False},
            "init_container_logs: contradicts get_logs=False",
        ),
    ],
)
def test_an_unsupported_value_is_refused_when_the_dag_is_parsed_mapped_or_not(
    arguments: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(
        ValueError, match=f"KubernetesPodOperator: unsupported arguments: .*{sentence}"
    ):
        KubernetesPodOperator(task_id="load", image="a", **arguments)
    with pytest.raises(
        ValueError, match=f"KubernetesPodOperator: unsupported arguments: .*{sentence}"
    ):
        KubernetesPodOperator.partial(task_id="load", image="a", **arguments)


def test_defaults_of_the_dag_keep_their_meaning() -> None:
    defaults = {"security_context": {"fsGroup": 7}, "cmds": ["a"], "do_xcom_push": True}
    start = datetime(2026, 1, 1, tzinfo=UTC)
    with DAG("sales", schedule=None, start_date=start, default_args=defaults):
        task = KubernetesPodOperator(task_id="load", image="a")
    spec = task.build_task_run(OWN)["spec"]
    assert spec["template"]["spec"]["securityContext"] == {"fsGroup": 7}
    assert "securityContext" not in spec
    assert (spec["command"], "resultPath" in spec) == (["a"], True)


def test_templates_are_rendered_in_its_own_parameters() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    with DAG("sales", schedule=None, start_date=start):
        task = KubernetesPodOperator(
            task_id="load", image="a", cmds=["{{ params.x }}"], env_vars={"A": "{{ params.x }}"}
        )
    task.render_template_fields({"params": {"x": "b"}})
    spec = task.build_task_run(OWN)["spec"]
    assert (spec["command"], spec["env"]) == (["b"], [{"name": "A", "value": "b"}])


def test_it_can_be_mapped_over_its_own_parameters() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    with DAG("sales", schedule=None, start_date=start):
        mapped = KubernetesPodOperator.partial(task_id="load", image="a").expand(
            env_vars=[{"A": "1"}, {"A": "2"}]
        )
    assert mapped.task_id == "load"
    assert mapped.operator_class is KubernetesPodOperator


def test_the_xcoms_name_the_pod_as_kubernetes_pod_operator_does() -> None:
    class Told:
        def __init__(self) -> None:
            self.pushed: dict[str, Any] = {}

        def push(self, key: str, value: Any) -> None:
            self.pushed[key] = value

        def conclude(self, *_: Any, **__: Any) -> str:
            return "result"

    metadata = {"name": "load", "namespace": "jobs", "uid": "uid-1"}
    run = TaskRun.model_validate(
        {"metadata": metadata, "spec": {}, "status": {"podName": "load-1"}}
    )
    execution: Any = Told()
    assert KubernetesPodOperator(task_id="load", image="a")._conclude(execution, run) == "result"
    assert execution.pushed == {"pod_name": "load-1", "pod_namespace": "jobs"}


def test_the_tutorials_task_is_unchanged() -> None:
    path = Path(__file__).parents[2] / "tests/airflow/dags/tutorial_kubernetes.py"
    task = runpy.run_path(str(path))["dag"].get_task("run_in_k8s")
    made = task.build_task_run(OWN)
    assert made["metadata"]["name"] == OWN.named("airflow-k8s-task")
    assert made["metadata"]["namespace"] == "default"
    spec = made["spec"]
    assert (spec["image"], spec["command"]) == ("python:3.13-slim", ["python", "-c"])
    assert spec["args"] == ["print('Hello from inside Kubernetes!')"]
    assert spec["podGC"] == {"deleteDelayDuration": "10m", "strategy": "OnPodCompletion"}
    assert "resultPath" not in spec


@pytest.mark.parametrize(("codes", "skipped"), [(0, True), ([0, 7], True), (7, False)])
def test_a_success_is_skipped_if_zero_is_in_skip_on_exit_code(codes: Any, skipped: bool) -> None:  # noqa: FBT001
    execution: Any = SimpleNamespace(push=lambda *_: None, conclude=lambda *_, **__: "result")
    run = TaskRun.model_validate(
        {"metadata": {"name": "load", "namespace": "jobs", "uid": "u"}, "spec": {},
         "status": {"phase": "Succeeded", "exitCode": 0}}
    )  # fmt: skip
    task = KubernetesPodOperator(task_id="load", image="a", skip_on_exit_code=codes)
    if skipped:
        with pytest.raises(AirflowSkipException, match="skip_on_exit_code"):
            task._conclude(execution, run)
    else:
        assert task._conclude(execution, run) == "result"
