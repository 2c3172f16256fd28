"""Which cluster is meant, where connections and a task's own arguments speak of it."""

import json
from typing import Any

import pytest

from taskruns_airflow.connection import Access
from taskruns_airflow.hook import TaskRunHook

WAYS = ("in_cluster", "kube_config_path", "kube_config")
INSIDE = {"in_cluster": True}
FILE = {"kube_config_path": "/a/kubeconfig"}


async def settings_of(access: Access) -> dict[str, Any]:
    return await TaskRunHook.of(access).settings()


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> Any:
    def connect(kind: str, **extra: Any) -> None:
        told = json.dumps({"conn_type": kind, "extra": extra})
        monkeypatch.setenv(f"AIRFLOW_CONN_{kind.upper()}_DEFAULT", told)

    return connect


@pytest.mark.parametrize(
    ("extra", "access", "way"),
    [
        (FILE, Access(), FILE),
        (INSIDE, Access(), INSIDE),
        (FILE, Access(in_cluster=True), INSIDE),
        (INSIDE, Access(config_file="/b"), {"kube_config_path": "/b"}),
        (INSIDE, Access(in_cluster=False), {}),
        (FILE, Access(in_cluster=False), FILE),
        ({}, Access(), {}),
    ],
)
async def test_a_task_chooses_its_cluster_over_the_connection(
    connected: Any, extra: dict[str, Any], access: Access, way: dict[str, Any]
) -> None:
    connected("kubernetes", **extra)
    settings = await settings_of(access)
    assert {name: settings[name] for name in WAYS if settings.get(name)} == way


async def test_a_connection_of_ours_goes_over_the_kubernetes_providers(connected: Any) -> None:
    connected("kubernetes", **FILE, namespace="theirs")
    connected("taskruns", namespace="ours")
    settings = await settings_of(Access())
    assert (settings["namespace"], settings["kube_config_path"]) == ("ours", "/a/kubeconfig")


async def test_a_kubernetes_connection_may_have_the_names_of_long_ago(connected: Any) -> None:
    connected("kubernetes", extra__kubernetes__namespace="jobs", extra__kubernetes__in_cluster=True)
    settings = await settings_of(Access())
    assert (settings["namespace"], settings["in_cluster"]) == ("jobs", True)


async def test_an_engine_that_there_is_not_is_refused_by_its_name(connected: Any) -> None:
    connected("taskruns", engine="podman")
    with pytest.raises(ValueError, match="taskruns_default: engine 'podman': write kubernetes or"):
        await settings_of(Access())
