"""Tests of the forms of KubernetesPodOperator's arguments, and of refusals at parse time."""

import inspect
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator as Original
from airflow.providers.cncf.kubernetes.secret import Secret
from airflow.providers.cncf.kubernetes.utils.pod_manager import OnFinishAction
from airflow.providers.common.compat.sdk import DAG, BaseOperator, XComArg
from hypothesis import given
from hypothesis import strategies as st
from kubernetes.client import models as k8s
from typing_extensions import override

from taskruns_airflow.compat import KubernetesPodOperator
from taskruns_airflow.compat.kubernetes_pod_parameters import ALL, TEMPLATED
from taskruns_airflow.compat.pod_reconciliation import TEMPLATED_FIELDS, unique_env
from taskruns_airflow.failures import TaskRunMisconfigured
from taskruns_airflow.identity import Try
from tests.pod_differences import environment

OWN = Try("sales", "load", "manual", -1, 1, 0, "2026-11-25T04:00:00.000001+00:00", "i1")
START = datetime(2026, 1, 1, tzinfo=UTC)
GO = '{{- with secret "kv/db" -}}PASS={{ .Data.data.pass }}{{- end -}}'


class Source(BaseOperator):
    """A task whose result is an argument of another task."""

    @override
    def execute(self, context: Any) -> None: ...


def render(task: Any, context: Mapping[str, Any]) -> None:
    task.render_template_fields(dict(context))


def made(context: Mapping[str, Any] | None = None, **arguments: Any) -> dict[str, Any]:
    task = KubernetesPodOperator(task_id="load", **{"image": "a", **arguments})
    if context is not None:
        render(task, context)
    run: dict[str, Any] = task.build_task_run(OWN)
    return run


def spec_of(context: Mapping[str, Any] | None = None, **arguments: Any) -> dict[str, Any]:
    spec: dict[str, Any] = made(context, **arguments)["spec"]
    return spec


def rendered(arguments: Mapping[str, Any], context: Mapping[str, Any], **dag: Any) -> Any:
    """Return the TaskRun spec of a task in a DAG, with rendered templates."""
    with DAG("sales", schedule=None, start_date=START, **dag):
        task = KubernetesPodOperator(task_id="load", **{"image": "a", **arguments})
    render(task, context)
    return task.build_task_run(OWN)["spec"]


def test_template_fields_are_those_of_kubernetes_pod_operator() -> None:
    assert set(TEMPLATED) == set(Original.template_fields) - {"trigger_kwargs"}
    ours = set(KubernetesPodOperator.template_fields) & {each.name for each in ALL}
    assert ours == set(TEMPLATED)


def test_rendered_fields_of_models_are_those_of_kubernetes_pod_operator() -> None:
    source = inspect.getsource(Original._render_nested_template_fields)
    for model, fields in TEMPLATED_FIELDS.items():
        listed = "".join(f'"{field}", ' for field in fields).rstrip()
        listed = listed if len(fields) == 1 else listed.rstrip(",")
        assert f"k8s.{model}):\n                template_fields = ({listed})" in source
    assert source.count("template_fields = (") == len(TEMPLATED_FIELDS)


def test_other_fields_are_not_rendered() -> None:
    pod = k8s.V1Pod(
        metadata=k8s.V1ObjectMeta(annotations={"vault": GO}),
        spec=k8s.V1PodSpec(containers=[k8s.V1Container(name="x", args=[GO])]),
    )
    volume = k8s.V1Volume(
        name="v-{{ params.x }}",
        csi=k8s.V1CSIVolumeSource(driver="d", volume_attributes={"objects": GO}),
    )
    spec = spec_of(
        {"params": {"x": "b"}},
        full_pod_spec=pod,
        volumes=[volume],
        init_containers=[k8s.V1Container(name="i", command=[GO])],
        affinity={"nodeAffinity": {"x": GO}},
        pod_runtime_info_envs=[k8s.V1EnvVar(name="A", value=GO)],
    )
    assert spec["template"]["metadata"]["annotations"]["vault"] == GO
    assert spec["args"] == [GO]
    assert spec["template"]["spec"]["initContainers"][0]["command"] == [GO]
    assert spec["volumes"] == [
        {"name": "v-b", "csi": {"driver": "d", "volumeAttributes": {"objects": GO}}}
    ]
    assert spec["affinity"] == {"nodeAffinity": {"x": GO}}
    assert spec["env"] == [{"name": "A", "value": GO}]
    assert volume.name == "v-{{ params.x }}", "the DAG's own object is not changed"


WHOLE_VALUES: dict[str, Any] = {
    "image": "b", "name": "pi", "hostname": "h", "cmds": ["sh"], "annotations": {"a": "b"},
    "arguments": ["x"], "env_vars": {"A": "b"}, "labels": {"team": "blue"}, "config_file": "/k",
    "pod_template_file": "", "pod_template_dict": {"spec": {"hostIPC": True}}, "namespace": "jobs",
    "container_resources": {"limits": {"cpu": "1"}}, "volumes": [{"name": "v", "emptyDir": {}}],
    "volume_mounts": [{"name": "v", "mountPath": "/v"}], "cluster_context": "c",
    "env_from": [{"secretRef": {"name": "s"}}], "configmaps": ["c"], "node_selector": {"a": "b"},
    "kubernetes_conn_id": "k", "base_container_name": "app",
}  # fmt: skip


class Upstream:
    """Task instance that returns the same value for every XCom."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def xcom_pull(self, *_: Any, **__: Any) -> Any:
        return self.value

    def get_relevant_upstream_map_indexes(self, *_: Any, **__: Any) -> None:
        """Accept the call that Airflow 2 makes."""


@pytest.mark.parametrize("name", TEMPLATED)
def test_a_template_field_may_come_from_another_task(name: str) -> None:
    with DAG("sales", schedule=None, start_date=START):
        source = Source(task_id="source")
        task = KubernetesPodOperator(task_id="load", **{"image": "a", name: XComArg(source)})
    assert task.upstream_task_ids == {"source"}
    value = WHOLE_VALUES[name]
    render(task, {"ti": Upstream(value), "expanded_ti_count": None})
    expected = made(**{name: value})
    assert task.build_task_run(OWN) == expected


@pytest.mark.parametrize("name", TEMPLATED)
def test_a_template_field_may_be_one_template(name: str) -> None:
    value = WHOLE_VALUES[name]
    text = "{{ params.value }}"
    context = {"params": {"value": value}}
    native = {"render_template_as_native_obj": True}
    assert rendered({name: text}, context, **native) == spec_of(**{name: value})
    if not isinstance(value, str):
        with pytest.raises(TaskRunMisconfigured, match=f"{name}: a template renders to a string"):
            rendered({name: text}, context)


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"active_deadline_seconds": 7200, "execution_timeout": timedelta(hours=1)}, (3600, 3600)),
        ({"active_deadline_seconds": 60, "execution_timeout": timedelta(hours=1)}, (60, 3600)),
        ({"active_deadline_seconds": 90, "spec": {"activeDeadlineSeconds": 9}}, (9, 9)),
        ({"full_pod_spec": {"spec": {"activeDeadlineSeconds": 5}}}, (5, None)),
        ({"pod_template_dict": {"spec": {"activeDeadlineSeconds": 5}},
          "active_deadline_seconds": 7}, (7, None)),
        ({"spec": {"attemptDeadlineSeconds": 7200}, "execution_timeout": timedelta(hours=1)},
         (3600, 3600)),
    ],
)  # fmt: skip
def test_the_smaller_limit_takes_precedence(
    limits: dict[str, Any], expected: tuple[Any, Any]
) -> None:
    spec = spec_of(**limits)
    deadlines = (spec.get("attemptDeadlineSeconds"), spec.get("activeDeadlineSeconds"))
    assert deadlines == expected
    assert "activeDeadlineSeconds" not in spec["template"]["spec"]


INFO, DEBUG = ({"name": "LEVEL", "value": value} for value in ("info", "debug"))


@pytest.mark.parametrize(
    "arguments",
    [
        {"env_vars": [k8s.V1EnvVar(**INFO), k8s.V1EnvVar(**DEBUG)]},
        {"env_vars": [INFO, DEBUG]},
        {"env_vars": [INFO], "pod_runtime_info_envs": [k8s.V1EnvVar(**DEBUG)]},
        {"env_vars": [DEBUG], "full_pod_spec": k8s.V1Pod(spec=k8s.V1PodSpec(
            containers=[k8s.V1Container(name="x", env=[k8s.V1EnvVar(**INFO)])]))},
        {"pod_template_dict": {"spec": {"containers": [{"name": "x", "env": [INFO, DEBUG]}]}}},
        {"env_vars": {"LEVEL": "info", "{{ params.name }}": "debug"}},
        {"env": {"LEVEL": "info"}, "env_vars": {"LEVEL": "debug"}},
    ],
)  # fmt: skip
def test_the_last_definition_of_a_variable_takes_precedence(arguments: dict[str, Any]) -> None:
    spec = spec_of({"params": {"name": "LEVEL"}}, **arguments)
    assert spec["env"] == [DEBUG]


def test_a_secret_comes_after_every_other_variable() -> None:
    secret = Secret("env", "level", "s", "key")  # type: ignore[no-untyped-call]  # untyped in Airflow
    spec = spec_of(env_vars=[k8s.V1EnvVar(**INFO)], secrets=[secret])
    source = {"secretKeyRef": {"name": "s", "key": "key"}}
    assert spec["env"] == [{"name": "LEVEL", "valueFrom": source}]


def test_references_mean_the_preceding_definition() -> None:
    env = [
        {"name": "PATH", "value": "/bin"},
        {"name": "PATH", "value": "/opt:$(PATH)"},
        {"name": "OLD", "value": "$(PATH) $$(PATH) $(NONE)"},
        {"name": "PATH", "value": "/new"},
    ]
    assert unique_env(env) == [
        {"name": "PATH.1", "value": "/bin"},
        {"name": "PATH.2", "value": "/opt:$(PATH.1)"},
        {"name": "OLD", "value": "$(PATH.2) $$(PATH) $(NONE)"},
        {"name": "PATH", "value": "/new"},
    ]


VARIABLES = st.fixed_dictionaries({
    "name": st.sampled_from(["A", "B", "A.1"]),
    "value": st.lists(st.sampled_from(["$(A)", "$(B)", "$(A.1)", "$", "$(", ")", "(A)", "x"]))
    .map("".join),
})  # fmt: skip


@given(st.lists(VARIABLES, max_size=7))
def test_every_variable_keeps_the_value_that_kubernetes_gives_it(env: list[Any]) -> None:
    unique = unique_env(env)
    assert len({each["name"] for each in unique}) == len(unique)
    before, after = environment({"env": env}), environment({"env": unique})
    assert {name: after[name] for name in before} == before


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", None), (None, None), ([], None), (",", None),
        ("first, second,", ["first", "second"]), ("a,a", ["a"]),
        (["a"], ["a"]), ([{"name": "a"}, {"name": ""}], ["a"]),
        ([k8s.V1LocalObjectReference(name="a"), k8s.V1LocalObjectReference()], ["a"]),
        ((k8s.V1LocalObjectReference(name="a"),), ["a"]),
    ],
)  # fmt: skip
def test_pull_secrets_are_named_once(value: Any, expected: Any) -> None:
    secrets = spec_of(image_pull_secrets=value).get("imagePullSecrets")
    assert secrets == (expected and [{"name": name} for name in expected])


SNAKE = SimpleNamespace(to_k8s_client_obj=lambda: k8s.V1Volume(name="v"))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"volumes": [SNAKE]}, {"volumes": [{"name": "v"}]}),
        ({"env_vars": {"A": None, "N": 1}}, {"env": [{"name": "A"}, {"name": "N", "value": "1"}]}),
        ({"env_vars": [k8s.V1EnvVar(name="N", value=1)]}, {"env": [{"name": "N", "value": "1"}]}),
        ({"node_selector": {"a": None, "b": 1}}, {"nodeSelector": {"a": "", "b": "1"}}),
        ({"startup_timeout_seconds": 1.5, "schedule_timeout_seconds": 0},
         {"startupTimeoutSeconds": 2}),
        ({"service_account_name": "", "image_pull_policy": "", "priority_class_name": ""}, {}),
        ({"working_dir": "/w"}, {"workingDir": "/w"}),
        ({"spec": {"tolerations": [{"key": "a"}]},
          "full_pod_spec": {"spec": {"tolerations": [{"key": "b"}]}}},
         {"tolerations": [{"key": "a"}]}),
    ],
)  # fmt: skip
def test_every_form_of_a_parameter_is_accepted(
    arguments: dict[str, Any], expected: dict[str, Any]
) -> None:
    spec = spec_of(**arguments)
    for part in ("image", "template", "podGC"):
        spec.pop(part)
    assert spec == expected


class Action(StrEnum):
    KEEP = "keep_pod"


@pytest.mark.parametrize(
    ("arguments", "strategy"),
    [
        ({}, None), ({"is_delete_operator_pod": None}, None),
        ({"is_delete_operator_pod": True}, "OnPodCompletion"),
        ({"is_delete_operator_pod": False}, "Never"),
        ({"is_delete_operator_pod": False, "on_finish_action": "keep_pod"}, "Never"),
        ({"on_finish_action": OnFinishAction.DELETE_SUCCEEDED_POD}, "OnPodSuccess"),
        ({"on_finish_action": Action.KEEP}, "Never"),
        ({"on_finish_action": "delete_pod"}, "OnPodCompletion"),
    ],
)  # fmt: skip
def test_on_finish_action_becomes_the_pod_gc_strategy(
    arguments: dict[str, Any], strategy: Any
) -> None:
    assert spec_of(**arguments)["podGC"].get("strategy") == strategy


NODE = k8s.V1Pod(spec=k8s.V1PodSpec(containers=[], node_name="n1"))
OWNED = {"metadata": {"ownerReferences": [{"name": "x"}]}}
TWO_BASES = {"spec": {"containers": [{"name": "side"}, {"name": "base"}]}}
FALLBACK = {"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k", "optional": True}}}
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"cmds": "echo hi"}, "cmds: is of type str; write a list"),
    ({"arguments": ["a", 5]}, "arguments: item 2 is of type int; write a string"),
    ({"configmaps": "abc"}, "configmaps: is of type str; write a list"),
    ({"env_vars": "A=b"}, "env_vars: is of type str; write a dict"),
    ({"env_vars": {"A": True}}, "env_vars: the value of A is of type bool"),
    ({"env_vars": [k8s.V1EnvVar(name="A", value=True)]}, "env_vars: the value of A is of type"),
    ({"env_vars": ["A=b"]}, "env_vars: item 1 has no name"),
    ({"env_vars": [{"name": "A", "value": "x"}, FALLBACK]}, "env_vars: A has a value and then"),
    ({"labels": "a=b"}, "labels: is of type str; write a dict"),
    ({"labels": {"a": True}}, "labels: the value of a is of type bool"),
    ({"node_selector": ["a"]}, "node_selector: is of type list;"),
    ({"volumes": k8s.V1Volume(name="v")}, "volumes: is of type V1Volume; write a list"),
    ({"volume_mounts": ["/v"]}, "volume_mounts: item 1 is of type str"),
    ({"ports": [80]}, "ports: item 1 is of type int"),
    ({"image_pull_secrets": {"name": "a"}}, "image_pull_secrets: is of type dict; write a list"),
    ({"secrets": ["s"]}, "secrets: an item is of type str; write Secret"),
    ({"secrets": 5}, "secrets: is of type int; write a list"),
    ({"volumes": 5}, "volumes: is of type int; write a list"),
    ({"init_containers": [None]}, "init_containers: item 1 is None; write an object"),
    ({"pod_template_file": 5}, "pod_template_file: is of type int; write the path"),
    ({"on_finish_action": ["keep_pod"]}, "on_finish_action: ['keep_pod'] is unknown; write one of"),
    ({"container_resources": "1Gi"}, "container_resources: is of type str;"),
    ({"security_context": [1]}, "security_context: is of type list;"),
    ({"hostnetwork": "yes"}, "hostnetwork: 'yes' is invalid; write True or False"),
    ({"is_delete_operator_pod": "False"}, "is_delete_operator_pod: 'False' is invalid; write"),
    ({"is_delete_operator_pod": True, "on_finish_action": "keep_pod"},
     "on_finish_action: contradicts is_delete_operator_pod=True, which means delete_pod"),
    ({"on_finish_action": True}, "on_finish_action: True is unknown; write one of delete_pod"),
    ({"active_deadline_seconds": 0}, "active_deadline_seconds: 0 is invalid; write a whole number"),
    ({"startup_timeout_seconds": "60"}, "startup_timeout_seconds: '60' is invalid; write a number"),
    ({"startup_timeout_seconds": 0}, "startup_timeout_seconds: 0 is invalid; write a number"),
    ({"termination_grace_period": -1}, "termination_grace_period: -1 is invalid; write"),
    ({"image": 3.11}, "image: is of type float; write a string"),
    ({"full_pod_spec": NODE}, "full_pod_spec: nodeName bypasses the scheduler"),
    ({"pod_template_dict": OWNED}, "pod_template_dict: ownerReferences"),
    ({"pod_template_dict": TWO_BASES}, "pod_template_dict: its first container is renamed to base"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "sentence"), REFUSED)
def test_a_value_of_the_wrong_type_is_refused_when_the_dag_is_parsed_mapped_or_not(
    arguments: dict[str, Any], sentence: str
) -> None:
    for make in (KubernetesPodOperator, KubernetesPodOperator.partial):
        with pytest.raises(
            ValueError, match="KubernetesPodOperator: unsupported arguments: "
        ) as refusal:
            make(task_id="load", **{"image": "a", **arguments})
        assert sentence in str(refusal.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"template": {"spec": [1]}}, "template.spec: is of type list; write a dict"),
        ({"full_pod_spec": {"spec": [1]}}, "full_pod_spec.spec: is of type list; write a dict"),
        ({"full_pod_spec": {"spec": {"containers": {"name": "a"}}}},
         "full_pod_spec.spec.containers: is of type dict; write a list"),
        ({"full_pod_spec": {"metadata": [1]}}, "full_pod_spec.metadata: is of type list; write"),
        ({"init_container_logs": 5}, "init_container_logs: is of type int; write the name"),
        ({"container_logs": [5]}, "container_logs[0]: is of type int; write a string"),
        ({"spec": 5}, "spec: is of type int; write a dict"),
    ],
)  # fmt: skip
def test_a_part_of_the_wrong_type_fails_the_task_by_its_name(
    arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(TaskRunMisconfigured, match=f"^{re.escape(message)}"):
        made(**arguments)


def test_a_number_from_a_native_template_is_refused_by_the_arguments_name() -> None:
    with pytest.raises(TaskRunMisconfigured, match="arguments: item 2 is of type int"):
        rendered(
            {"arguments": ["-n", "{{ params.n }}"]},
            {"params": {"n": 5}},
            render_template_as_native_obj=True,
        )


def test_a_subclass_may_extend_what_it_inherits() -> None:
    class More(KubernetesPodOperator):
        template_fields = (  # type: ignore[mutable-override]  # as users write it
            *KubernetesPodOperator.template_fields,
            "service_account_name",
        )
        BASE_CONTAINER_NAME = "app"

        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.env_vars.append(k8s.V1EnvVar(name="A", value="b"))
            self.labels["team"] = "blue"  # type: ignore[index]
            self.arguments.append("x")  # type: ignore[union-attr]

    task = More(
        task_id="load",
        image="a",
        service_account_name="{{ params.x }}",
        pod_template_dict={"spec": {"containers": [{"name": "x"}, {"name": "base"}]}},
    )
    render(task, {"params": {"x": "loader"}})
    run = task.build_task_run(OWN)
    spec = run["spec"]
    assert (spec["serviceAccountName"], spec["args"]) == ("loader", ["x"])
    assert (spec["env"], run["metadata"]["labels"]["team"]) == (
        [{"name": "A", "value": "b"}],
        "blue",
    )
    assert [each["name"] for each in spec["template"]["spec"]["containers"]] == ["app", "base"]


def test_a_pod_template_names_the_run_unless_the_task_does() -> None:
    pod = {"metadata": {"name": "templates-own"}}
    assert made(pod_template_dict=pod)["metadata"]["name"] == OWN.named("templates-own")
    assert made(pod_template_dict=pod, name="pi")["metadata"]["name"] == OWN.named("pi")


def test_a_refusal_of_a_variable_does_not_contain_its_value() -> None:
    with pytest.raises(ValueError, match="env_vars") as refusal:
        KubernetesPodOperator(task_id="load", image="a", env_vars={"P": ["hunter2"]})
    assert "hunter2" not in json.dumps(str(refusal.value))
