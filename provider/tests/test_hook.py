"""Tests of the settings from connections and arguments, and of their precedence."""

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
    """Define the given connections in Airflow, and no others."""

    async def connection(conn_id: str) -> Any:
        if conn_id not in extras:
            raise AirflowNotFoundException(f"The conn_id `{conn_id}` isn't defined")
        return SimpleNamespace(extra_dejson=extras[conn_id])

    monkeypatch.setattr(hook, "get_async_connection", connection)
    monkeypatch.setattr(hook, "_runs_in_a_cluster", lambda: "looked")


def settings(**arguments: Any) -> dict[str, Any]:
    """Return the settings of a hook that are not None."""
    values = asyncio.run(TaskRunHook(**arguments).settings())
    assert values.pop("engine") == "kubernetes"
    return {name: value for name, value in values.items() if value is not None}


@pytest.mark.parametrize(
    ("taskruns", "kubernetes", "named", "arguments", "expected"),
    [
        # Nothing names a cluster: Airflow's own is detected.
        (None, None, None, {}, {"in_cluster": "looked"}),
        ({}, {}, None, {}, {"in_cluster": "looked"}),
        ({"in_cluster": ""}, None, None, {}, {"in_cluster": "looked"}),
        # One connection names a cluster.
        (None, FILE, None, {}, FILE),
        (FILE, None, None, {}, FILE),
        (NAMED, INSIDE, FILE, {}, FILE),
        # Two connections do: taskruns_default takes precedence.
        ({"namespace": "a"}, FILE | {"namespace": "b"}, None, {}, FILE | {"namespace": "a"}),
        # Arguments override connections, and one way to name a cluster clears the other ways.
        (NAMED, INSIDE, {}, {"kubernetes_conn_id": "kubernetes_default"}, INSIDE),
        (None, INSIDE, FILE, NAMED, FILE),
        (INSIDE, None, None, {"config_file": "/file"}, FILE),
        (FILE, None, None, {"in_cluster": True}, INSIDE),
        ({"kube_config": "{}"}, None, None, {"in_cluster": True}, INSIDE),
        (INSIDE, None, None, {"in_cluster": True, "config_file": "/file"}, FILE),
        (None, None, None, {"in_cluster": False}, {"in_cluster": False}),
        (INSIDE, None, None, {"in_cluster": False}, {"in_cluster": False}),
        (FILE, None, None, {"in_cluster": False}, FILE | {"in_cluster": False}),
        # The context of a kubeconfig is independent of its path.
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
def test_arguments_override_the_connections_settings(
    monkeypatch: pytest.MonkeyPatch,
    taskruns: dict[str, Any] | None,
    kubernetes: dict[str, Any] | None,
    named: dict[str, Any] | None,
    arguments: dict[str, Any],
    expected: dict[str, Any],
) -> None:
    extras = {"taskruns_default": taskruns, "kubernetes_default": kubernetes, "k": named}
    connect(monkeypatch, **{name: extra for name, extra in extras.items() if extra is not None})
    assert settings(**arguments) == expected


@pytest.mark.parametrize(
    "arguments", [{"kubernetes_conn_id": "nowhere"}, {"taskruns_conn_id": "nowhere"}]
)
def test_a_named_connection_must_exist(
    monkeypatch: pytest.MonkeyPatch, arguments: dict[str, Any]
) -> None:
    connect(monkeypatch)
    with pytest.raises(AirflowNotFoundException, match="nowhere"):
        settings(**arguments)


def test_a_kubernetes_connection_may_have_prefixed_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    extra = {"extra__kubernetes__namespace": "jobs", "extra__kubernetes__in_cluster": True}
    connect(monkeypatch, kubernetes_default=extra)
    values = settings()
    assert (values["namespace"], values["in_cluster"]) == ("jobs", True)


def test_an_unknown_engine_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, taskruns_default={"engine": "podman"})
    with pytest.raises(ValueError, match="unknown engine 'podman'; write kubernetes or docker"):
        settings()


@pytest.mark.parametrize(
    "dashboard", ["https://a/{cluster}", "https://a/{}", "https://a/{0}", "https://a/{name.b}", "{"]
)
def test_an_invalid_dashboard_is_refused_before_a_create(
    monkeypatch: pytest.MonkeyPatch, dashboard: str
) -> None:
    connect(monkeypatch, taskruns_default={"dashboard": dashboard})
    with pytest.raises(ValueError, match=r"use only \{namespace\} and \{name\}"):
        asyncio.run(TaskRunHook().namespace("jobs"))


@pytest.mark.parametrize(
    ("dashboard", "link"),
    [
        (None, ""),
        ("https://a/{namespace}/{name}", "https://a/jobs/hello"),
        ("https://a/#{{{name}}}", "https://a/#{hello}"),
    ],
)
def test_the_link_is_the_dashboards_url_of_the_task_run(
    monkeypatch: pytest.MonkeyPatch, dashboard: str | None, link: str
) -> None:
    connect(monkeypatch, taskruns_default={"dashboard": dashboard})
    assert asyncio.run(TaskRunHook().link(Ref("jobs", "hello", "u"))) == link


@pytest.mark.parametrize("link", ["https://a/jobs/hello", None])
def test_airflow_reads_the_link_that_the_task_pushed(
    monkeypatch: pytest.MonkeyPatch, link: str | None
) -> None:
    requests: list[Any] = []

    def get_value(**arguments_: Any) -> str | None:
        requests.append(arguments_)
        return link

    monkeypatch.setattr(XCom, "get_value", get_value)
    task = TaskRunOperator(task_id="load", image="a")
    (button,) = task.operator_extra_links
    assert isinstance(button, TaskRunLink)
    key: Any = object()
    assert button.get_link(task, ti_key=key) == (link or "")
    assert requests == [{"key": XCOM_LINK, "ti_key": key}]


@pytest.mark.parametrize("default", ["True", "False", None])
def test_deferrable_has_airflows_default(
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


def test_a_connection_is_read_from_airflow(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = {"conn_type": "taskruns", "extra": {"in_cluster": True, "namespace": "jobs"}}
    monkeypatch.setenv("AIRFLOW_CONN_OURS", json.dumps(connection))
    monkeypatch.setenv("AIRFLOW_CONN_KUBERNETES_DEFAULT", '{"conn_type": "kubernetes"}')
    configured = TaskRunHook("ours")
    assert asyncio.run(configured.namespace()) == "jobs"
    assert asyncio.run(configured.settings())["in_cluster"] is True
