"""Tests of DockerOperator's parameters: each is accepted, or refused with a replacement."""

import inspect
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException
from airflow.providers.docker.operators.docker import DockerOperator as Original
from docker.types import Mount

from taskruns_airflow.compat import DockerOperator
from taskruns_airflow.compat.docker_parameters import PARAMETERS
from taskruns_airflow.compat.parameters import page
from taskruns_airflow.connection import DOCKER
from taskruns_airflow.failures import TaskRunMisconfigured
from taskruns_airflow.identity import Try

OWN = Try("sales", "load", "manual", -1, 1, 0, "2026-11-25T04:00:00.000001+00:00", "i1")
PAGE = Path(__file__).parents[2] / "docs/airflow-docker.md"


def operator(**arguments: Any) -> DockerOperator:
    return DockerOperator(task_id="load", **{"image": "a", "mount_tmp_dir": False, **arguments})


def spec_of(**arguments: Any) -> dict[str, Any]:
    spec: dict[str, Any] = operator(**arguments).build_task_run(OWN)["spec"]
    return spec


def test_every_parameter_of_the_installed_provider_has_a_row() -> None:
    own = set(inspect.signature(Original.__init__).parameters) - {"self", "kwargs"}
    assert own == {each.name for each in PARAMETERS}
    assert len(PARAMETERS) == 47


def test_the_page_shows_every_row() -> None:
    assert page(PARAMETERS) in PAGE.read_text(), page(PARAMETERS)


def test_every_parameter_is_in_the_constructors_signature() -> None:
    known = set(inspect.signature(DockerOperator.__init__).parameters)
    assert {each.name for each in PARAMETERS} <= known


@pytest.mark.parametrize(
    ("arguments", "field", "value"),
    [
        ({"command": "echo 'a b' $HOME"}, "args", ["echo", "a b", "$$HOME"]),
        ({"command": "['echo', 1]"}, "args", ["echo", "1"]),
        ({"command": ["a", "b c"]}, "args", ["a", "b c"]),
        ({"entrypoint": "sh -c"}, "command", ["sh", "-c"]),
        ({"force_pull": True}, "imagePullPolicy", "Always"),
        ({}, "imagePullPolicy", "IfNotPresent"),
        ({"cpus": 0.5}, "resources", {"requests": {"cpu": "0.5"}}),
        ({"mem_limit": "512m"}, "resources", {"limits": {"memory": "536870912"}}),
        ({"mem_limit": 1e6}, "resources", {"limits": {"memory": "1000000"}}),
        ({"user": "10:20"}, "securityContext", {"runAsUser": 10, "runAsGroup": 20}),
        ({"privileged": True}, "securityContext", {"privileged": True}),
        ({"cap_add": ["CAP_A"]}, "securityContext", {"capabilities": {"add": ["A"]}}),
        ({"working_dir": "/w"}, "workingDir", "/w"),
        (
            {"environment": {"A": 1}, "private_environment": {"B": "$x"}, "env_file": "C='c d' #"},
            "env",
            [
                {"name": "C", "value": "c d"},
                {"name": "A", "value": "1"},
                {"name": "B", "value": "$$x"},
            ],
        ),
        ({"retrieve_output": True, "retrieve_output_path": "/o/r"}, "resultPath", "/o/r"),
    ],
)
def test_a_parameter_becomes_a_field_of_the_task_run(
    arguments: dict[str, Any], field: str, value: Any
) -> None:
    assert spec_of(**arguments)[field] == value


@pytest.mark.parametrize(
    ("arguments", "field", "value"),
    [
        ({"tty": True}, "containers", [{"name": "main", "tty": True}]),
        ({"hostname": "h"}, "hostname", "h"),
        ({"network_mode": "host"}, "hostNetwork", True),
        ({"ipc_mode": "host"}, "hostIPC", True),
        ({"extra_hosts": {"h": "1.2.3.4"}}, "hostAliases", [{"ip": "1.2.3.4", "hostnames": ["h"]}]),
        ({"dns_search": ["d"]}, "dnsConfig", {"searches": ["d"]}),
        ({"dns": ["1.1.1.1"]}, "dnsPolicy", "None"),
    ],
)
def test_a_parameter_becomes_a_field_of_the_pod(
    arguments: dict[str, Any], field: str, value: Any
) -> None:
    assert spec_of(**arguments)["template"]["spec"][field] == value


NETWORK = "docker.taskruns.dev/network"


@pytest.mark.parametrize(
    ("mode", "network"),
    [("shop_default", "shop_default"), ("none", "none"), ("bridge", None), (None, None)],
)
def test_a_docker_network_is_joined_by_name(mode: str | None, network: str | None) -> None:
    annotations = spec_of(network_mode=mode)["template"]["metadata"]["annotations"]
    assert annotations.get(NETWORK) == network


def test_a_network_is_merged_into_the_template() -> None:
    own = {"metadata": {"annotations": {"a": "b"}}, "spec": {"hostname": "h"}}
    template = spec_of(network_mode="shop", template=own)["template"]
    annotations = template["metadata"]["annotations"]
    assert (annotations["a"], annotations[NETWORK]) == ("b", "shop")
    assert template["spec"] == {"hostname": "h"}


def test_a_named_docker_volume_becomes_a_claim() -> None:
    spec = spec_of(mounts=[Mount("/data", "sales", type="volume")])
    claim = {"claimName": "sales"}
    assert spec["volumes"] == [{"name": "mount-0", "persistentVolumeClaim": claim}]


@pytest.mark.parametrize(
    ("value", "strategy"),
    [
        (None, "Never"),
        ("never", "Never"),
        ("success", "OnPodSuccess"),
        ("force", "OnPodCompletion"),
    ],
)
def test_auto_remove_becomes_the_pod_gc_strategy(value: str | None, strategy: str) -> None:
    assert spec_of(auto_remove=value)["podGC"]["strategy"] == strategy


@pytest.mark.parametrize(
    "mount",
    [
        Mount("/data", "/srv", type="bind", read_only=True),
        {"target": "/data", "source": "/srv", "type": "bind", "read_only": True},
    ],
)
def test_folders_of_the_host_are_mounted(mount: Any) -> None:
    spec = spec_of(mounts=[mount], mount_tmp_dir=True, shm_size=64)
    names = {each["mountPath"]: each for each in spec["volumeMounts"]}
    assert names["/data"] == {"name": "mount-0", "mountPath": "/data", "readOnly": True}
    assert names.keys() == {"/data", "/tmp/airflow", "/dev/shm"}
    assert spec["volumes"][0] == {"name": "mount-0", "hostPath": {"path": "/srv"}}
    assert spec["env"] == [{"name": "AIRFLOW_TMP_DIR", "value": "/tmp/airflow"}]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"container_name": "c"}, "container_name: remove it"),
        ({"device_requests": [{}]}, "device_requests: use a cluster"),
        ({"docker_conn_id": "d"}, "docker_conn_id: log in with `docker login`"),
        ({"docker_url": ["a", "b"]}, "docker_url: write exactly one address"),
        (
            {"docker_url": "ssh://far"},
            "docker_url: ssh:// is not supported; forward the daemon's socket",
        ),
        ({"host_tmp_dir": "/t"}, "host_tmp_dir: remove it"),
        ({"ipc_mode": "shareable"}, "write private or host"),
        ({"log_opts_max_size": "1m"}, "log_opts_max_size: set it for all"),
        ({"mem_limit": "much"}, "mem_limit 'much': write a number of bytes"),
        (
            {"mounts": [{"target": "/d", "source": "/s", "type": "bind", "no_copy": 1}]},
            "no_copy is not supported; remove it",
        ),
        (
            {"network_mode": "container:db"},
            "network_mode 'container:db': is invalid; write a network's name",
        ),
        ({"port_bindings": {80: 80}}, "port_bindings: use network_mode='host'"),
        ({"retrieve_output": True}, "retrieve_output_path"),
        ({"tls_hostname": "other"}, "tls_hostname: write False"),
        (
            {"tls_verify": False, "tls_ca_cert": "/ca"},
            "tls_verify: False is not supported; set tls_ca_cert",
        ),
        ({"ulimits": [{}]}, "ulimits: set it in the command"),
        ({"user": "airflow"}, "user 'airflow': is not numeric; write numbers"),
        ({"auto_remove": "maybe"}, "auto_remove 'maybe': is unknown; write never, success, force"),
    ],
)
def test_an_unsupported_value_is_refused_when_the_dag_is_parsed(
    arguments: dict[str, Any], sentence: str
) -> None:
    with pytest.raises((ValueError, AirflowException), match=sentence):
        operator(**arguments)


def test_an_unsupported_rendered_value_is_refused_when_the_task_runs() -> None:
    task = operator(
        mounts=[
            {
                "target": "{{ params.v }}",
                "source": "/s",
                "type": "bind",
                "tmpfs_size": "{{ params.v }}",
            }
        ]
    )
    task.render_template_fields({"params": {"v": "/data"}})
    with pytest.raises(
        TaskRunMisconfigured, match="mounts: /data: tmpfs_size is not supported; remove it"
    ):
        task.build_task_run(OWN)


def test_the_default_engine_is_docker_at_the_named_daemon() -> None:
    assert operator().access().default_engine == DOCKER
    assert operator().access().docker.settings == {}
    access = operator(docker_url="unix://var/run/docker.sock", tls_hostname=False).access().docker
    assert access.settings == {"url": "unix:///var/run/docker.sock", "tls_hostname": False}


def test_an_unsupported_value_of_a_mapped_task_is_refused_when_the_dag_is_parsed() -> None:
    with pytest.raises(
        ValueError, match="DockerOperator: unsupported arguments: ipc_mode 'host:1'"
    ):
        DockerOperator.partial(task_id="load", image="a", ipc_mode="host:1")
