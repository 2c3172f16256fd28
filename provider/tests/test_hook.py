"""From connections and arguments to settings: who is asked, and who has the last word."""

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowNotFoundException, XCom

from taskruns_airflow import TaskRunOperator, hook
from taskruns_airflow.client import Ref
from taskruns_airflow.hook import TaskRunHook
from taskruns_airflow.link import XCOM_LINK, TaskRunLink

FILE = {"kube_config_path": "/file"}
INSIDE = {"in_cluster": True}
NAMED = {"kubernetes_conn_id": "k"}


def connect(monkeypatch: pytest.MonkeyPatch, **extras: dict[str, Any]) -> None:
    """Define these connections in Airflow, and no other."""

    async def connection(conn_id: str) -> Any:
        if conn_id not in extras:
            raise AirflowNotFoundException(f"The conn_id `{conn_id}` isn't defined")
        return SimpleNamespace(extra_dejson=extras[conn_id])

    monkeypatch.setattr(hook, "get_async_connection", connection)
    monkeypatch.setattr(hook, "_runs_in_a_cluster", lambda: "looked")


def settings(**arguments: Any) -> dict[str, Any]:
    """What is set, of what a cluster is found by."""
    found = asyncio.run(TaskRunHook(**arguments).settings())
    assert found.pop("engine") == "kubernetes"
    return {name: value for name, value in found.items() if value is not None}


@pytest.mark.parametrize(
    ("taskruns", "kubernetes", "named", "arguments", "expected"),
    [
        # Nothing names a cluster: it is looked for.
        (None, None, None, {}, {"in_cluster": "looked"}),
        ({}, {}, None, {}, {"in_cluster": "looked"}),
        ({"in_cluster": ""}, None, None, {}, {"in_cluster": "looked"}),
        # A connection does.
        (None, FILE, None, {}, FILE),
        (FILE, None, None, {}, FILE),
        (NAMED, INSIDE, FILE, {}, FILE),
        # Both do: taskruns_default has the last word.
        ({"namespace": "a"}, FILE | {"namespace": "b"}, None, {}, FILE | {"namespace": "a"}),
        # Arguments go over both, and what names a cluster rules out what does it in another way.
        (NAMED, INSIDE, {}, {"kubernetes_conn_id": "kubernetes_default"}, INSIDE),
        (None, INSIDE, FILE, NAMED, FILE),
        (INSIDE, None, None, {"config_file": "/file"}, FILE),
        (FILE, None, None, {"in_cluster": True}, INSIDE),
        ({"kube_config": "{}"}, None, None, {"in_cluster": True}, INSIDE),
        (INSIDE, None, None, {"in_cluster": True, "config_file": "/file"}, FILE),
        (None, None, None, {"in_cluster": False}, {"in_cluster": False}),
        (INSIDE, None, None, {"in_cluster": False}, {"in_cluster": False}),
        (FILE, None, None, {"in_cluster": False}, FILE | {"in_cluster": False}),
        # Which context of a kubeconfig is said apart from where that is.
        (FILE | {"cluster_context": "a"}, None, None, {}, FILE | {"cluster_context": "a"}),
        (
            FILE | {"cluster_context": "a"},
            None,
            None,
            {"cluster_context": "b"},
            FILE | {"cluster_context": "b"},
        ),
    ],
)
def test_what_is_said_is_what_is_set(
    monkeypatch: pytest.MonkeyPatch,
    taskruns: dict[str, Any] | None,
    kubernetes: dict[str, Any] | None,
    named: dict[str, Any] | None,
    arguments: dict[str, Any],
    expected: dict[str, Any],
) -> None:
    told = {"taskruns_default": taskruns, "kubernetes_default": kubernetes, "k": named}
    connect(monkeypatch, **{name: extra for name, extra in told.items() if extra is not None})
    assert settings(**arguments) == expected


@pytest.mark.parametrize(
    "arguments", [{"kubernetes_conn_id": "nowhere"}, {"taskruns_conn_id": "nowhere"}]
)
def test_a_connection_that_somebody_names_must_be_there(
    monkeypatch: pytest.MonkeyPatch, arguments: dict[str, Any]
) -> None:
    connect(monkeypatch)
    with pytest.raises(AirflowNotFoundException, match="nowhere"):
        settings(**arguments)


def test_a_kubernetes_connection_may_have_the_names_of_long_ago(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = {"extra__kubernetes__namespace": "jobs", "extra__kubernetes__in_cluster": True}
    connect(monkeypatch, kubernetes_default=told)
    found = settings()
    assert (found["namespace"], found["in_cluster"]) == ("jobs", True)


def test_an_engine_that_there_is_not_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, taskruns_default={"engine": "podman"})
    with pytest.raises(ValueError, match="'podman': write kubernetes or docker"):
        settings()


@pytest.mark.parametrize(
    "dashboard", ["https://a/{cluster}", "https://a/{}", "https://a/{0}", "https://a/{name.b}", "{"]
)
def test_a_dashboard_that_links_to_nothing_is_refused_before_anything_is_created(
    monkeypatch: pytest.MonkeyPatch, dashboard: str
) -> None:
    connect(monkeypatch, taskruns_default={"dashboard": dashboard})
    with pytest.raises(ValueError, match=r"write \{namespace\} and \{name\} in it and no other"):
        asyncio.run(TaskRunHook().namespace("jobs"))


@pytest.mark.parametrize(
    ("dashboard", "link"),
    [
        (None, ""),
        ("https://a/{namespace}/{name}", "https://a/jobs/hello"),
        ("https://a/#{{{name}}}", "https://a/#{hello}"),
    ],
)
def test_the_link_is_the_dashboards_with_the_task_run_in_it(
    monkeypatch: pytest.MonkeyPatch, dashboard: str | None, link: str
) -> None:
    connect(monkeypatch, taskruns_default={"dashboard": dashboard})
    assert asyncio.run(TaskRunHook().link(Ref("jobs", "hello", "u"))) == link


@pytest.mark.parametrize("link", ["https://a/jobs/hello", None])
def test_airflow_finds_the_link_that_the_task_has_left(
    monkeypatch: pytest.MonkeyPatch, link: str | None
) -> None:
    asked: list[Any] = []

    def get_value(**told: Any) -> str | None:
        asked.append(told)
        return link

    monkeypatch.setattr(XCom, "get_value", get_value)
    task = TaskRunOperator(task_id="load", image="a")
    (button,) = task.operator_extra_links
    assert isinstance(button, TaskRunLink)
    key: Any = object()
    assert button.get_link(task, ti_key=key) == (link or "")
    assert asked == [{"key": XCOM_LINK, "ti_key": key}]


@pytest.mark.parametrize("default", ["True", "False", None])
def test_a_task_waits_as_airflow_is_configured_unless_it_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, default: str | None
) -> None:
    name = "AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE"
    if default is None:
        monkeypatch.delenv(name, raising=False)
    else:
        monkeypatch.setenv(name, default)
    assert TaskRunOperator(task_id="a", image="a").deferrable is (default == "True")
    assert TaskRunOperator(task_id="b", image="a", deferrable=True).deferrable is True
    assert TaskRunOperator(task_id="c", image="a", deferrable=False).deferrable is False


def test_a_connection_of_airflows_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"conn_type": "taskruns", "extra": {"in_cluster": True, "namespace": "jobs"}}
    monkeypatch.setenv("AIRFLOW_CONN_OURS", json.dumps(told))
    monkeypatch.setenv("AIRFLOW_CONN_KUBERNETES_DEFAULT", '{"conn_type": "kubernetes"}')
    found = TaskRunHook("ours")
    assert asyncio.run(found.namespace()) == "jobs"
    assert asyncio.run(found.settings())["in_cluster"] is True
