"""`taskrun --on kubernetes`, also as `kubectl taskrun`: the same behaviour by the controller."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster import Cluster
from tests.support.cluster.client import PODS, Kube
from tests.support.cluster.watch_recorder import WatchRecorder
from tests.support.command_line import CTRL_C, CommandLine

pytestmark = pytest.mark.parametrize("installation", ["process"], indirect=True, scope="session")

LOOP = "trap 'echo bye; exit 4' TERM; echo ready; while :; do sleep 600 & wait; done"
DEAF = "trap '' TERM; echo ready; while :; do sleep 600 & wait; done"


@pytest.fixture
def taskrun(cluster: Cluster, namespace: str, tmp_path: Path) -> CommandLine:
    """Provide the program with a kubeconfig that names the namespace."""
    kubeconfig = tmp_path / "kubeconfig"
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    config["contexts"][0]["context"]["namespace"] = namespace
    kubeconfig.write_text(yaml.safe_dump(config))
    return CommandLine(os.environ | {"KUBECONFIG": str(kubeconfig), "TASKRUN_ON": "kubernetes"})


def manifest(name: str, script: str, **more: Any) -> str:
    spec = {"image": "busybox:1", "command": ["sh", "-c", script]}
    kept = {"podGC": {"deleteDelayDuration": "5m"}}
    kind = {"apiVersion": "taskruns.dev/v1alpha1", "kind": "TaskRun", "metadata": {"name": name}}
    return yaml.safe_dump(kind | {"spec": spec | kept | more})


def test_a_task_is_followed_to_its_end_with_its_log_and_its_exit_code(
    taskrun: CommandLine, namespace: str
) -> None:
    script = "echo attempt $TASKRUN_ATTEMPT; exit 3"
    retried = manifest("failing", script, backoffLimit=1, backoff={"duration": "1s"})
    done = taskrun("run", "-", stdin=retried)
    assert (done.returncode, done.stdout) == (3, "attempt 1\nattempt 2\n")
    assert "taskrun: failing BackingOff: " in done.stderr
    assert "taskrun: failing Failed: Container main exited with code 3" in done.stderr
    assert taskrun("logs", "failing").stdout == "attempt 2\n"
    assert taskrun("logs", "--attempt", "1", "failing").stdout == "attempt 1\n"
    (listed,) = json.loads(taskrun("list", "-o", "json").stdout)["items"]
    assert (listed["kind"], listed["status"]["exitCode"]) == ("TaskRun", 3)
    assert namespace in taskrun("list", "-A").stdout
    story = taskrun("describe", "failing").stdout
    assert story.startswith("failing: Failed, ")
    assert "Attempt 2: Failed, NonZeroExitCode, exit code 3" in story
    assert "running" in story
    assert taskrun("wait", "failing").returncode == 3
    again = taskrun("run", "-", stdin=retried)
    assert (again.returncode, again.stdout) == (1, "")
    assert "already exists: delete it" in again.stderr
    assert taskrun("delete", "failing").stdout == "failing deleted\n"
    assert "TaskRun failing not found" in taskrun("get", "failing").stderr


def test_ctrl_c_cancels_with_the_grace_period(taskrun: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "cut.yaml").write_text(manifest("cut", LOOP))
    with taskrun.at_terminal("run", str(tmp_path / "cut.yaml")) as terminal:
        terminal.wait_for("ready")
        terminal.type(CTRL_C)
        assert terminal.wait() == 130
    assert "bye" in terminal.shown
    assert "cut Cancelled" in terminal.shown


def test_a_second_ctrl_c_deletes_the_pod_with_a_grace_period_of_one_second(
    taskrun: CommandLine, watch_recorder: WatchRecorder, tmp_path: Path
) -> None:
    """A kubelet that has begun to stop the Pod still keeps to its first grace period."""
    template = {"spec": {"terminationGracePeriodSeconds": 60}}
    (tmp_path / "deaf.yaml").write_text(manifest("deaf", DEAF, template=template))
    with taskrun.at_terminal("run", str(tmp_path / "deaf.yaml")) as terminal:
        terminal.wait_for("ready")
        terminal.type(CTRL_C)
        terminal.wait_for("Stopping")
        terminal.type(CTRL_C)
        assert terminal.wait() == 130
    run = json.loads(taskrun("get", "deaf", "-o", "json").stdout)
    assert run["status"]["exitCode"] == 137
    (pod,) = watch_recorder.pods_of(run["metadata"]["uid"])
    deleted = next(entry.found for entry in pod if "deletionTimestamp" in entry.found["metadata"])
    assert deleted["metadata"]["deletionGracePeriodSeconds"] == 1


def test_a_detached_run_is_suspended_resumed_and_followed_by_another_client(
    taskrun: CommandLine, tmp_path: Path
) -> None:
    (tmp_path / "long.yaml").write_text(manifest("long", LOOP))
    assert taskrun("run", "--detach", str(tmp_path / "long.yaml")).stdout == "long\n"
    with taskrun.start("follow", "long") as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "ready\n"
        first.kill()
    assert taskrun("suspend", "long").stdout == "long suspended\n"
    assert taskrun("resume", "long").stdout == "long resumed\n"
    late = taskrun("wait", "long", "--timeout", "0.5")
    assert (late.returncode, "and continues" in late.stderr) == (124, True)
    with taskrun.start("follow", "long") as second:
        assert taskrun("cancel", "long").stdout == "long cancelled\n"
        assert second.wait(120) == 130
    ended = taskrun("cancel", "long")
    assert (ended.returncode, "taskrun rerun long" in ended.stderr) == (1, True)


def test_rerun_repeats_a_run_under_another_name(taskrun: CommandLine) -> None:
    assert taskrun("run", "--quiet", "-", stdin=manifest("once", "echo once")).returncode == 0
    again = taskrun("rerun", "once", "--as", "twice")
    assert (again.returncode, again.stdout) == (0, "once\n")


def test_kubectl_finds_the_plugin(taskrun: CommandLine, cluster: Cluster, tmp_path: Path) -> None:
    plugin = tmp_path / "kubectl-taskrun"
    program = Path(sys.executable).parent / "kubectl-taskrun"
    plugin.write_text(f'#!/bin/sh\nexec {program} "$@"\n')
    plugin.chmod(plugin.stat().st_mode | stat.S_IXUSR)
    environment = taskrun.environment | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    del environment["TASKRUN_ON"]
    done = subprocess.run(
        [cluster.bin_dir / "kubectl", "taskrun", "version"],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "kubernetes v1." in done.stdout


def test_the_client_role_is_sufficient_for_every_command(
    taskrun: CommandLine, cluster: Cluster, kube: Kube, namespace: str, tmp_path: Path
) -> None:
    """The account has the rules of the chart's ClusterRole; one without it gets a clear error."""
    stranger = as_account(taskrun, cluster, namespace, "stranger", tmp_path)
    refused = stranger("list")
    assert refused.returncode == 125
    assert "no permission to list taskruns" in refused.stderr
    assert "taskruns-client" in refused.stderr
    assert "use --namespace instead of" in stranger("list", "-A").stderr
    client = as_account(taskrun, cluster, namespace, "client", tmp_path)
    for resource, verbs in (
        ("taskruns.taskruns.dev", "create,get,list,watch,patch,delete"),
        ("pods/log", "get"),
    ):
        name = resource.partition(".")[0].replace("/", "-")
        cluster.kubectl(
            "create", "role", name, "-n", namespace, f"--verb={verbs}", f"--resource={resource}"
        )
        cluster.kubectl(
            "create", "rolebinding", name, "-n", namespace, f"--role={name}",
            f"--serviceaccount={namespace}:client",
        )  # fmt: skip
    done = client("run", "-", stdin=manifest("modest", "echo modest"))
    assert (done.returncode, done.stdout) == (0, "modest\n")
    assert "Attempt 1: Succeeded" in client("describe", "modest").stdout
    assert kube.list(PODS, namespace)


def as_account(
    taskrun: CommandLine, cluster: Cluster, namespace: str, account: str, folder: Path
) -> CommandLine:
    cluster.kubectl("create", "serviceaccount", account, "-n", namespace)
    token = cluster.kubectl("create", "token", account, "-n", namespace).stdout.strip()
    config = yaml.safe_load(Path(taskrun.environment["KUBECONFIG"]).read_text())
    config["users"][0]["user"] = {"token": token}
    kubeconfig = folder / f"{account}.kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(config))
    return CommandLine(taskrun.environment | {"KUBECONFIG": str(kubeconfig)})


def test_errors_are_one_line(taskrun: CommandLine, cluster: Cluster, tmp_path: Path) -> None:
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": "nobody"}
    (tmp_path / "unknown").write_text(yaml.safe_dump(config))
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    (tmp_path / "nowhere").write_text(yaml.safe_dump(config))
    (tmp_path / "broken").write_text("[")
    for arguments, code, expected in (
        (
            ["list", "--kubeconfig", str(tmp_path / "unknown")],
            125,
            "rejected the credentials",
        ),
        (["list", "--kubeconfig", str(tmp_path / "nowhere")], 125, "cannot connect to the cluster"),
        (["list", "--kubeconfig", str(tmp_path / "broken")], 125, "no cluster is configured"),
        (["list", "--kubeconfig", str(tmp_path / "missing")], 125, "no cluster is configured"),
        (["list", "--context", "nobody"], 125, "no cluster is configured"),
        (["run", "--image", "x", "-n", "nowhere"], 125, "namespace nowhere not found"),
        (["logs", "nobody"], 1, "TaskRun nobody not found"),
        (["run", "--image", "x", "--name", "Not_Valid"], 1, "Not_Valid"),
    ):
        done = taskrun(*arguments)
        assert (done.returncode, done.stdout) == (code, ""), done.stderr
        assert expected in done.stderr
        assert len(done.stderr.splitlines()) == 1, done.stderr
