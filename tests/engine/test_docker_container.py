"""Limits, permissions and mounts of a container on a real daemon, as its kernel reports them."""

import subprocess
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from tests.engine.docker_runtime import DockerRuntime
from tests.engine.runtime import summarize
from tests.engine.work import Work, exits

UNUSED = exits(0).script
NET_BIND_SERVICE = 1 << 10
MEGABYTE = 2**20

# The machine has control groups of version 1 or 2.
FACTS = """
own() { cat /sys/fs/cgroup/$1 2>/dev/null || cat /sys/fs/cgroup/$2 2>/dev/null; }
status() { grep "^$1:" /proc/self/status | cut -f 2; }
{
  echo cpu: $(own cpu.max cpu/cpu.cfs_quota_us)
  echo memory: $(own memory.max memory/memory.limit_in_bytes)
  echo swap: $(own memory.swap.max memory/memory.memsw.limit_in_bytes)
  echo capabilities: $(status CapBnd)
  echo privileges: $(status NoNewPrivs)
  echo user: $(id -u):$(id -g)
  echo root: $(touch /it 2>/dev/null && echo writable || echo read-only)
  echo on disk: $(ls /sbin | wc -l), $(touch /sbin/it && stat -c %a /sbin)
  echo in memory: $(touch /memory/it && df -k /memory | tail -n 1 | tr -s ' ' | cut -d ' ' -f 1,2)
  echo networks: $(ls /sys/class/net)
} > /dev/termination-log
"""
SPEC: dict[str, Any] = {
    "resources": {"limits": {"cpu": "500m", "memory": "64Mi"}},
    "securityContext": {
        "runAsUser": 1234,
        "runAsGroup": 567,
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]},
    },
    "volumes": [
        {"name": "disk", "emptyDir": {"sizeLimit": "1Gi"}},
        {"name": "memory", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
    ],
    "volumeMounts": [
        {"name": "disk", "mountPath": "/sbin/"},  # the image has files there
        {"name": "memory", "mountPath": "/memory"},
    ],
}


@pytest.fixture
def network(docker_address: str) -> Iterator[str]:
    """A bridge network that the daemon has created."""
    name = f"taskruns-{uuid4()}"
    docker(docker_address, "network", "create", "--driver", "bridge", name)
    yield name
    docker(docker_address, "network", "rm", name)


def docker(address: str, *words: str) -> str:
    command = ["docker", "--host", address, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_a_container_has_the_limits_permissions_and_mounts_of_its_task(
    host: DockerRuntime, docker_address: str, network: str
) -> None:
    volumes = docker(docker_address, "volume", "ls", "--quiet")
    annotations = {"docker.taskruns.dev/network": network}
    task = host.start(
        Work(FACTS, UNUSED), template={"metadata": {"annotations": annotations}}, **SPEC
    )
    status = task.ended()
    assert summarize(status)[0] == "Succeeded", status["message"]
    facts = dict(line.split(": ", 1) for line in status["result"].splitlines())
    assert facts.pop("cpu") in {"50000 100000", "50000"}
    assert facts.pop("memory") == str(64 * MEGABYTE)
    assert facts.pop("swap") in {"0", str(64 * MEGABYTE)}
    assert int(facts.pop("capabilities"), 16) == NET_BIND_SERVICE
    assert facts == {
        "privileges": "1",
        "user": "1234:567",
        "root": "read-only",
        "on disk": "0, 777",
        "in memory": "tmpfs 1024",
        "networks": "eth0 lo",
    }
    task.pods_gone()
    assert docker(docker_address, "volume", "ls", "--quiet") == volumes
    remaining = ("ps", "--all", "--quiet", "--filter", f"name={status['podName']}")
    assert docker(docker_address, *remaining) == ""
