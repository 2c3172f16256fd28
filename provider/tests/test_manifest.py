"""Tests of the TaskRun built from a task's arguments: fields, combinations, refusals."""

import dataclasses
import json
import re
from datetime import timedelta
from typing import Any

import pytest
from kubernetes.client import models as k8s

from taskruns_airflow.identity import ANNOTATION_TRY, LABEL_TASK, Try
from taskruns_airflow.manifest import RESULT_PATH, Order, build
from taskruns_airflow.spec_fields import plain

OWN = Try(
    dag_id="sales",
    task_id="load",
    run_id="manual",
    map_index=-1,
    try_number=1,
    max_tries=0,
    run_start="2026-11-25T04:00:00.000001+00:00",
    instance="i1",
)
SILENT = Order(image="busybox:1", get_logs=False, do_xcom_push=False)


def spec_of(order: Order) -> dict[str, Any]:
    """Return the spec without the labels and annotations that every Pod gets."""
    spec: dict[str, Any] = build(order, OWN)["spec"]
    template = spec.pop("template")
    rest = {
        "metadata": {
            part: value
            for part, items in template["metadata"].items()
            if (value := {k: v for k, v in items.items() if k not in _marks(part)})
        },
        "spec": template.get("spec"),
    }
    if remaining := {part: value for part, value in rest.items() if value}:
        spec["template"] = remaining
    return spec


def _marks(part: str) -> set[str]:
    return set(OWN.labels) if part == "labels" else set(OWN.annotations)


def test_only_an_image_is_required() -> None:
    assert spec_of(SILENT) == {"image": "busybox:1"}


def test_a_task_run_and_its_pods_have_the_identity_of_the_try() -> None:
    made = build(dataclasses.replace(SILENT, labels={"team": "data"}, annotations={"a": "b"}), OWN)
    assert made["metadata"]["name"] == OWN.name
    pod = made["spec"]["template"]["metadata"]
    for metadata in (made["metadata"], pod):
        assert metadata["labels"] == {
            "team": "data",
            LABEL_TASK: OWN.task_label,
            "dag_id": "sales",
            "task_id": "load",
            "run_id": "manual",
            "try_number": "1",
        }
        assert json.loads(metadata["annotations"][ANNOTATION_TRY])["instance"] == "i1"
        assert metadata["annotations"]["a"] == "b"


def test_the_identity_of_another_try_cannot_be_set() -> None:
    posing = dataclasses.replace(
        SILENT, labels={LABEL_TASK: "x"}, annotations={ANNOTATION_TRY: "{}"}
    )
    made = build(posing, OWN)["metadata"]
    assert made["labels"][LABEL_TASK] == OWN.task_label
    assert Try.of(made["annotations"]) == OWN


@pytest.mark.parametrize(
    ("argument", "value", "expected"),
    [
        ("command", ["echo"], {"command": ["echo"]}),
        ("arguments", ["a", "b"], {"args": ["a", "b"]}),
        ("working_dir", "/app", {"workingDir": "/app"}),
        ("env", {"A": "x", "N": 3}, {"env": [
            {"name": "A", "value": "x"}, {"name": "N", "value": "3"}]}),
        ("env", {"P": {"secretKeyRef": {"name": "db", "key": "p"}}}, {"env": [
            {"name": "P", "valueFrom": {"secretKeyRef": {"name": "db", "key": "p"}}}]}),
        ("env", [{"name": "A", "value": "x"}], {"env": [{"name": "A", "value": "x"}]}),
        ("env_from", [{"secretRef": {"name": "s"}}], {"envFrom": [{"secretRef": {"name": "s"}}]}),
        ("container_resources", {"limits": {"cpu": "1"}},
         {"resources": {"limits": {"cpu": "1"}}}),
        ("volumes", [{"name": "v", "emptyDir": {}}], {"volumes": [{"name": "v", "emptyDir": {}}]}),
        ("volume_mounts", [{"name": "v", "mountPath": "/v"}],
         {"volumeMounts": [{"name": "v", "mountPath": "/v"}]}),
        ("image_pull_policy", "Never", {"imagePullPolicy": "Never"}),
        ("image_pull_secrets", ["a", {"name": "b"}],
         {"imagePullSecrets": [{"name": "a"}, {"name": "b"}]}),
        ("security_context", {"runAsUser": 7}, {"securityContext": {"runAsUser": 7}}),
        ("service_account_name", "loader", {"serviceAccountName": "loader"}),
        ("node_selector", {"disk": "ssd"}, {"nodeSelector": {"disk": "ssd"}}),
        ("tolerations", [{"operator": "Exists"}], {"tolerations": [{"operator": "Exists"}]}),
        ("affinity", {"nodeAffinity": {}}, {"affinity": {"nodeAffinity": {}}}),
        ("priority_class_name", "high", {"priorityClassName": "high"}),
        ("backoff_limit", 0, {"backoffLimit": 0}),
        ("disruption_limit", 2, {"disruptionLimit": 2}),
        ("schedule_timeout_seconds", 5, {"scheduleTimeoutSeconds": 5}),
        ("startup_timeout_seconds", 6, {"startupTimeoutSeconds": 6}),
        ("pod_gc", {"strategy": "OnPodSuccess"}, {"podGC": {"strategy": "OnPodSuccess"}}),
        ("ttl_seconds_after_finished", -1, {"ttlSecondsAfterFinished": -1}),
        ("template", {"spec": {"hostIPC": True}}, {"template": {"spec": {"hostIPC": True}}}),
        ("template", "spec:\n  hostIPC: true\n", {"template": {"spec": {"hostIPC": True}}}),
        ("template", {"kind": "Pod", "metadata": {"name": "x", "labels": {"a": "b"}}, "spec": {}},
         {"template": {"metadata": {"labels": {"a": "b"}}}}),
        ("spec", {"podReplacementPolicy": "Failed"}, {"podReplacementPolicy": "Failed"}),
        ("get_logs", True, {"podGC": {"deleteDelayDuration": "10m"}}),
        ("do_xcom_push", True, {"resultPath": RESULT_PATH}),
        ("execution_timeout", timedelta(seconds=0.5), {"activeDeadlineSeconds": 1}),
        ("queue_name", "gpu", {}),
        ("labels", {"a": "b"}, {"template": {"metadata": {"labels": {"a": "b"}}}}),
        ("annotations", {"a": "b"}, {"template": {"metadata": {"annotations": {"a": "b"}}}}),
    ],
)  # fmt: skip
def test_an_argument_becomes_its_field(argument: str, value: Any, expected: dict[str, Any]) -> None:
    changes: dict[str, Any] = {argument: value}
    assert spec_of(dataclasses.replace(SILENT, **changes)) == {"image": "busybox:1"} | expected


def test_every_argument_is_in_that_table() -> None:
    (table,) = (mark.args[1] for mark in test_an_argument_becomes_its_field.pytestmark)
    arguments = {row[0] for row in table} | {"image"}
    assert arguments == {field.name for field in dataclasses.fields(Order)}


def test_the_queue_name_becomes_kueues_label() -> None:
    made = build(dataclasses.replace(SILENT, queue_name="gpu"), OWN)
    assert made["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "gpu"


@pytest.mark.parametrize(
    ("order", "kept"),
    [
        (Order(spec={"activeDeadlineSeconds": 9}, execution_timeout=timedelta(seconds=3)),
         {"activeDeadlineSeconds": 9}),
        (Order(spec={"resultPath": "/r"}), {"resultPath": "/r"}),
        (Order(pod_gc={"deleteDelayDuration": "1s"}), {"podGC": {"deleteDelayDuration": "1s"}}),
    ],
)  # fmt: skip
def test_fields_that_are_set_are_not_overridden(order: Order, kept: dict[str, Any]) -> None:
    assert spec_of(dataclasses.replace(order, image="a")).items() >= kept.items()


@pytest.mark.parametrize(
    ("order", "sentence"),
    [
        (
            Order(image="a", spec={"image": "b"}),
            "image: set both in spec and as an argument; remove one of the two",
        ),
        (Order(template={}, spec={"template": {}}), "template: set both in spec and as"),
        (Order(command="echo hi"), "command: is of type str; write a list, such as ['sh', '-c',"),
        (Order(arguments="echo hi"), "arguments: is of type str; write a list"),
        (Order(arguments=["a", 5]), "arguments[1]: is of type int; write a string"),  # type: ignore[list-item]
        (Order(spec={"args": [True]}), "spec.args.0: is of type bool; write a string"),
        (Order(backoff_limit=-1), "backoff_limit: Input should be greater"),
        (Order(pod_gc={"strategy": "Now"}), "pod_gc.strategy: "),
        (Order(env="A=b"), "env: is of type str; write a dict"),
        (Order(env={"A": True}), "env['A']: is of type bool; write a string"),
        (Order(env={"A": None}), "env['A']: is of type NoneType; write"),
        (Order(env=["A=b"]), "env[0]: has no name; write {"),
        (
            Order(template=["a"]),
            "template: is of type list; write a dict, such as {'metadata': ...",
        ),
        (Order(template="a: ["), "template: is not valid YAML"),
        (
            Order(template="a: b"),
            "template: unknown field a; a PodTemplateSpec has only metadata and spec",
        ),
        (Order(spec={"backoff": {"cap": "soon"}}), "spec.backoff.cap: "),
    ],
)
def test_an_invalid_argument_is_refused_with_a_valid_value(order: Order, sentence: str) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)):
        build(order, OWN)


_POD_SPEC_LIST = {"spec": [1]}


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("template", _POD_SPEC_LIST, "template.spec: is of type list; write a dict"),
        ("template", {"spec": "x"}, "template.spec: is of type str; write a dict"),
        ("template", {"metadata": [1]}, "template.metadata: is of type list; write a dict"),
        ("template", {"metadata": {"labels": [1]}},
         "template.metadata.labels: is of type list; write a dict of strings"),
        ("template", {"spec": {"containers": {"name": "a"}}},
         "template.spec.containers: is of type dict; write a list of containers"),
        ("template", {"spec": {"initContainers": ["a"]}},
         "template.spec.initContainers[0]: is of type str; write a dict"),
        ("template", "a string", "template: is of type str; write a dict"),
        ("template", 5, "template: is of type int; write a dict"),
        ("spec", {"template": _POD_SPEC_LIST}, "spec.template.spec: is of type list; write a dict"),
        ("spec", {"podGC": "OnPodSuccess"}, "spec.podGC: is of type str; write a dict"),
        ("spec", ["suspend"], "spec: is of type list; write a dict of fields"),
        ("pod_gc", "OnPodSuccess", "pod_gc: is of type str; write a dict, such as {'strategy'"),
        ("labels", ["a"], "labels: is of type list; write a dict of strings"),
        ("labels", {"team": 5}, "labels['team']: is of type int; write a string"),
        ("annotations", "a", "annotations: is of type str; write a dict of strings"),
        ("queue_name", 5, "queue_name: is of type int; write a string"),
        ("env", 5, "env: is of type int; write a dict"),
        ("image_pull_secrets", "registry", "image_pull_secrets: is of type str; write a list"),
        ("volumes", {"name": "v"}, "volumes: is of type dict; write a list"),
        ("affinity", ["a"], "affinity: is of type list; write a dict"),
    ],
)  # fmt: skip
def test_an_argument_of_the_wrong_type_is_named_with_what_to_write(
    argument: str, value: Any, message: str
) -> None:
    arguments: dict[str, Any] = {argument: value}
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        build(dataclasses.replace(SILENT, get_logs=True, **arguments), OWN)


def test_a_refusal_uses_the_argument_names_of_the_operator() -> None:
    with pytest.raises(ValueError, match=r"^cmds: is of type str; write a list"):
        build(Order(command="echo hi"), OWN, {"command": "cmds"})


@pytest.mark.parametrize(
    "order", [Order(env={"PASSWORD": b"hunter2"}), Order(spec={"env": [["hunter2"]]})]
)
def test_a_refusal_contains_no_value_of_the_environment(order: Order) -> None:
    with pytest.raises(ValueError, match="env") as refusal:
        build(order, OWN)
    assert "hunter2" not in str(refusal.value)


def test_objects_of_the_kubernetes_client_are_converted() -> None:
    arguments = plain(
        {
            "env": [
                k8s.V1EnvVar(name="A", value="x"),
                k8s.V1EnvVar(
                    name="P",
                    value_from=k8s.V1EnvVarSource(
                        secret_key_ref=k8s.V1SecretKeySelector(name="db", key="p")
                    ),
                ),
            ],
            "container_resources": k8s.V1ResourceRequirements(limits={"cpu": "1"}),
            "template": k8s.V1PodTemplateSpec(
                spec=k8s.V1PodSpec(
                    containers=[k8s.V1Container(name="side", image_pull_policy="Never")],
                    termination_grace_period_seconds=0,
                )
            ),
        }
    )
    spec = spec_of(dataclasses.replace(SILENT, **arguments))
    assert spec["env"][1]["valueFrom"] == {"secretKeyRef": {"name": "db", "key": "p"}}
    assert spec["resources"] == {"limits": {"cpu": "1"}}
    assert spec["template"]["spec"] == {
        "containers": [{"name": "side", "imagePullPolicy": "Never"}],
        "terminationGracePeriodSeconds": 0,
    }
    json.dumps(spec)


def test_build_does_not_change_its_arguments() -> None:
    arguments: dict[str, Any] = {"template": {"metadata": {"labels": {}}}, "spec": {"podGC": {}}}
    before = json.dumps(arguments)
    build(dataclasses.replace(SILENT, get_logs=True, **arguments), OWN)
    assert json.dumps(arguments) == before
