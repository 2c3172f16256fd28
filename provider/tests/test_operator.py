"""Tests of the operator as DAG authors use it: templates, mapping, mutate, error messages."""

import asyncio
import re
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import airflow
import pytest
import yaml
from airflow.providers.common.compat.sdk import DAG, AirflowException
from kubernetes.client import models as k8s

from taskruns_airflow import TaskRunOperator
from taskruns_airflow.connection import DockerAccess
from taskruns_airflow.execution import Stopped
from taskruns_airflow.failures import TaskRunMisconfigured
from taskruns_airflow.identity import ANNOTATION_TRY, LABEL_TASK, Try
from taskruns_airflow.trigger import TaskRunTrigger

OWN = Try("sales", "load", "manual", -1, 1, 0, "2026-11-25T04:00:00.000001+00:00", "i1")
ON_AIRFLOW_3 = airflow.__version__.startswith("3.")


@pytest.fixture
def dag(tmp_path: Path) -> DAG:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    return DAG("sales", schedule=None, start_date=start, template_searchpath=[str(tmp_path)])


def built(**arguments: Any) -> dict[str, Any]:
    return TaskRunOperator(task_id="load", image="a", **arguments).build_task_run(OWN)


def test_arguments_become_fields_of_the_task_run() -> None:
    made = built(
        command=["echo"],
        env=[k8s.V1EnvVar(name="A", value="b")],
        execution_timeout=timedelta(minutes=2),
    )
    assert made["spec"]["env"] == [{"name": "A", "value": "b"}]
    assert made["spec"]["activeDeadlineSeconds"] == 120
    assert made["metadata"]["name"] == OWN.name


def test_an_invalid_argument_fails_the_task_with_a_valid_value() -> None:
    with pytest.raises(TaskRunMisconfigured, match="command: is of type str; write a list"):
        built(command="echo hello")


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("template", {"spec": [1]}, "template.spec: is of type list; write a dict"),
        ("name", 5, "name: is of type int; write a string"),
        ("namespace", ["a"], "namespace: is of type list; write a string"),
        ("taskruns_conn_id", 5, "taskruns_conn_id: is of type int; write a string"),
        ("container_logs", 5, "container_logs: is of type int; write the name of a container"),
        ("container_logs", [["a"]], "container_logs[0]: is of type list; write a string"),
        ("skip_on_exit_code", "1", "skip_on_exit_code: is of type str; write an integer"),
        ("fail_on_exit_code", ["1"], "fail_on_exit_code[0]: is of type str; write an integer"),
        ("mutate", {"spec": {}}, "mutate: is of type dict; write a function"),
    ],
)
def test_an_argument_of_the_wrong_type_fails_the_task_by_its_name(
    argument: str, value: Any, message: str
) -> None:
    with pytest.raises(TaskRunMisconfigured, match=f"^{re.escape(message)}"):
        built(**{argument: value})


@pytest.mark.parametrize(
    ("how", "field", "value"),
    [
        (lambda made: made["spec"].update(image="b"), "image", "b"),
        (lambda made: {**made, "spec": {"image": "c"}}, "image", "c"),
    ],
)
def test_mutate_may_change_the_task_run_or_return_another(how: Any, field: str, value: str) -> None:
    assert built(mutate=how)["spec"][field] == value


@pytest.mark.parametrize(
    ("how", "lost"),
    [
        (lambda made: made["metadata"].update(name="mine"), "name"),
        (lambda made: made["metadata"].update(annotations={}), "annotations"),
        (lambda made: made["metadata"].pop("annotations") and None, "annotations"),
        (
            lambda made: made["metadata"]["annotations"].update({ANNOTATION_TRY: "{}"}),
            "annotations",
        ),
        (lambda made: made["metadata"].update(labels={}), "labels"),
        (lambda made: made["metadata"].pop("labels") and None, "labels"),
        (lambda made: made["metadata"].update(labels=None), "labels"),
        (lambda made: made["metadata"]["labels"].update({LABEL_TASK: "another"}), "labels"),
        (lambda made: made["metadata"]["labels"].pop(LABEL_TASK) and None, "labels"),
        (lambda made: made["metadata"]["labels"].pop(LABEL_TASK), "result"),
        (lambda made: {"spec": made["spec"]}, "name"),
    ],
)
def test_mutate_cannot_change_the_identity(how: Any, lost: str) -> None:
    with pytest.raises(TaskRunMisconfigured, match=f"mutate: {lost}: "):
        built(mutate=how, labels={"team": "a"}, annotations={"note": "b"})


def test_mutate_may_change_other_labels_and_annotations() -> None:
    def mutate(made: dict[str, Any]) -> None:
        made["metadata"]["labels"] |= {"team": "b", "stage": "c"}
        del made["metadata"]["annotations"]["note"]

    metadata = built(mutate=mutate, labels={"team": "a"}, annotations={"note": "b"})["metadata"]
    assert metadata["labels"] == {**OWN.labels, "team": "b", "stage": "c"}
    assert metadata["annotations"] == OWN.annotations


def test_templates_are_rendered_at_any_depth_in_models_too(dag: DAG) -> None:
    task = TaskRunOperator(
        task_id="load",
        dag=dag,
        image="app:{{ params.tag }}",
        arguments=["{{ params.tag }}", "conf.yaml"],
        env={"A": "{{ params.tag }}"},
        container_resources=k8s.V1ResourceRequirements(limits={"memory": "{{ params.tag }}Gi"}),
        spec={"workingDir": "/{{ params.tag }}"},
    )
    task.render_template_fields({"params": {"tag": 2}})
    spec = task.build_task_run(OWN)["spec"]
    assert spec["image"] == "app:2"
    assert spec["args"] == ["2", "conf.yaml"]
    assert spec["env"] == [{"name": "A", "value": "2"}]
    assert spec["resources"] == {"limits": {"memory": "2Gi"}}
    assert spec["workingDir"] == "/2"


def test_a_template_in_a_file_is_rendered(dag: DAG, tmp_path: Path) -> None:
    (tmp_path / "pod.yaml").write_text("spec: {priority: {{ params.priority }}}\n")
    task = TaskRunOperator(task_id="load", dag=dag, image="a", template="pod.yaml")
    task.resolve_template_files()
    task.render_template_fields({"params": {"priority": 7}})
    assert task.build_task_run(OWN)["spec"]["template"]["spec"] == {"priority": 7}


def test_a_mapped_tasks_template_is_read_when_it_runs(dag: DAG, tmp_path: Path) -> None:
    (tmp_path / "pod.yaml").write_text("spec: {priority: {{ params.priority }}}\n")
    task = TaskRunOperator(task_id="load", dag=dag, image="a", template="pod.yaml")
    task._read_template({"params": {"priority": 7}})
    assert task.build_task_run(OWN)["spec"]["template"]["spec"] == {"priority": 7}


def test_defaults_of_the_dag_reach_every_argument() -> None:
    defaults = {"namespace": "jobs", "image": "a", "queue_name": "q", "spec": {"cancel": False}}
    start = datetime(2026, 1, 1, tzinfo=UTC)
    with DAG("sales", schedule=None, start_date=start, default_args=defaults):
        task = TaskRunOperator(task_id="load")
    assert (task.namespace, task.image, task.queue_name) == ("jobs", "a", "q")


def test_a_task_can_be_mapped_over_any_argument(dag: DAG) -> None:
    with dag:
        mapped = TaskRunOperator.partial(task_id="load", image="a").expand(arguments=[["1"], ["2"]])
    assert mapped.task_id == "load"


def test_a_misspelt_argument_is_refused_when_the_dag_is_parsed() -> None:
    with pytest.raises((TypeError, AirflowException), match="imagge"):
        TaskRunOperator(task_id="load", imagge="a")


def test_a_dry_run_prints_the_task_run_as_yaml(capsys: pytest.CaptureFixture[str]) -> None:
    TaskRunOperator(task_id="load", image="busybox:1").dry_run()
    printed = yaml.safe_load(capsys.readouterr().out)
    assert printed["kind"] == "TaskRun"
    assert printed["spec"]["image"] == "busybox:1"


def test_a_trigger_is_restored_from_its_serialized_form() -> None:
    arguments: dict[str, Any] = {
        "access": {
            "taskruns_conn_id": "taskruns_default",
            "kubernetes_conn_id": "k",
            "in_cluster": None,
            "config_file": None,
            "cluster_context": None,
            "default_engine": "kubernetes",
            "docker": asdict(DockerAccess(url="unix:///run/docker.sock")),
        },
        "namespace": "jobs",
        "name": "hello",
        "uid": "uid-1",
        "logs": {"main": "main", "before": ["fetch"], "beside": ["main"], "named": True},
    }
    path, again = TaskRunTrigger(**arguments).serialize()
    assert path == "taskruns_airflow.trigger.TaskRunTrigger"
    assert again == arguments


def test_a_task_that_is_killed_before_its_start_creates_nothing() -> None:
    task = TaskRunOperator(task_id="load", image="a")
    task.on_kill()
    execution = task._begin({})
    with pytest.raises(Stopped):
        execution._runner.run(asyncio.sleep(0))


def test_the_event_of_an_earlier_trys_trigger_is_ignored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun: list[Any] = []
    monkeypatch.setattr(TaskRunOperator, "execute", lambda _, passed: begun.append(passed))
    context: Any = {"task_state_store": SimpleNamespace(get=lambda _: "uid-2")}
    task = TaskRunOperator(task_id="load", image="a")
    task.execute_complete(context, {"uid": "uid-1", "gone": "jobs/load"})
    assert begun == [context]
