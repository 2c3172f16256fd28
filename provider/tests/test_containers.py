"""Tests of the containers that a TaskRun names, and of the choice whose logs are copied."""

from typing import Any

import pytest

from taskruns_airflow import TaskRunOperator
from taskruns_airflow.compat import KubernetesPodOperator
from taskruns_airflow.containers import Containers, Shown

POD = {
    "initContainers": [{"name": "fetch"}, {"name": "proxy", "restartPolicy": "Always"}],
    "containers": [{"name": "side"}, {"name": "main"}],
}
SPEC = {"template": {"spec": POD}}
BASE = {
    "metadata": {"annotations": {"kubectl.kubernetes.io/default-container": "base"}},
    "spec": {**POD, "containers": [{"name": "base"}, {"name": "side"}]},
}


@pytest.mark.parametrize(
    ("template", "main"),
    [
        (None, "main"),
        ({"spec": {"containers": [{"name": "work"}]}}, "work"),
        ({"spec": {"containers": [{"name": "a"}, {"name": "main"}]}}, "main"),
        ({"spec": {"containers": [{"name": "a"}, {"name": "b"}]}}, "main"),
        (
            {
                "metadata": {"annotations": {"kubectl.kubernetes.io/default-container": "b"}},
                "spec": {"containers": [{"name": "a"}, {"name": "b"}]},
            },
            "b",
        ),
    ],
)
def test_the_main_container_is_one_of_the_containers(template: Any, main: str) -> None:
    containers = Containers.of({"template": template})
    assert containers.main == main
    assert main in containers.regular


@pytest.mark.parametrize(
    ("selection", "before", "beside"),
    [
        (None, (), ("main",)),
        (False, (), ("main",)),
        ([], (), ("main",)),
        ("fetch", ("fetch",), ()),
        (["main", "fetch"], ("fetch",), ("main",)),
        (["main", "injected", "side", "side"], (), ("side", "main", "injected")),
        (True, ("fetch",), ("proxy", "side", "main")),
    ],
)
def test_requested_logs_are_in_the_order_of_the_pod(
    selection: Any, before: tuple[str, ...], beside: tuple[str, ...]
) -> None:
    shown = TaskRunOperator(task_id="load", image="a", container_logs=selection).shown_logs(SPEC)
    several = len(before + beside) > 1
    assert shown == Shown("main", before=before, beside=beside, named=several)
    assert Shown.of_json(shown.to_json()) == shown


def test_no_container_is_selected_without_logs() -> None:
    quiet: dict[str, Any] = {"image": "a", "get_logs": False, "container_logs": True}
    assert TaskRunOperator(task_id="load", **quiet).shown_logs(SPEC) is None
    assert KubernetesPodOperator(task_id="load", **quiet).shown_logs(SPEC) is None


@pytest.mark.parametrize(
    ("arguments", "before", "beside"),
    [
        ({}, (), ("base",)),
        ({"container_logs": True}, (), ("base", "side")),
        ({"container_logs": "side"}, (), ("side",)),
        ({"init_container_logs": True}, ("fetch",), ("proxy", "base")),
        ({"init_container_logs": "fetch"}, ("fetch",), ("base",)),
        (
            {"container_logs": ["side", "base"], "init_container_logs": ["fetch"]},
            ("fetch",),
            ("base", "side"),
        ),
    ],
)
def test_kubernetes_pod_operator_has_a_parameter_for_each_kind(
    arguments: dict[str, Any], before: tuple[str, ...], beside: tuple[str, ...]
) -> None:
    task = KubernetesPodOperator(task_id="load", image="a", **arguments)
    shown = task.shown_logs({"template": BASE})
    assert shown == Shown("base", before, beside, named=len(before + beside) > 1)


def test_lines_can_be_without_container_names() -> None:
    plain: dict[str, Any] = {"container_logs": True, "container_name_log_prefix_enabled": False}
    task = KubernetesPodOperator(task_id="load", image="a", **plain)
    shown = task.shown_logs({"template": BASE})
    assert shown is not None
    assert shown.line("side", "hello") == "hello"
