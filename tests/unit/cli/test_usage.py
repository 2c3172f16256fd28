"""Command lines that are valid, and messages for those that are not."""

import asyncio
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskruns.cli.manifest import manifest_of, named, with_variables
from taskruns.clock import now
from taskruns.engines.docker.container import expanded
from taskruns.engines.docker.host import Host
from taskruns.engines.docker.store import create_run
from tests.support.command_line import here


def test_without_a_command_the_help_is_printed() -> None:
    ended = here()
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == here("--help").out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["run"], "a file, or --image and a command, is required. See taskrun run --help"),
        (["list", "more"], "Got unexpected extra argument (more). See taskrun list --help"),
        (["run", "--imag", "x"], "Did you mean '--image'? See taskrun run --help"),
        (["lst"], "No such command 'lst'. Did you mean 'list'? See taskrun --help"),
    ],
)
def test_usage_errors_are_one_line(arguments: list[str], sentence: str) -> None:
    ended = here(*arguments)
    assert ended.code != 0
    assert sentence in ended.err
    assert len(ended.err.splitlines()) == 1


def test_a_run_without_containers_is_deleted_without_a_daemon(tmp_path: Path) -> None:
    file = Host(tmp_path, now).file("default", "early")
    asyncio.run(create_run(file, named(manifest_of("busybox:1", []), "early"), now()))
    ended = here("delete", "early", environment={"TASKRUNS_STATE_DIR": str(tmp_path)})
    assert ended == (0, "early deleted\n", "")
    assert not file.path.exists()


@given(st.text(st.sampled_from("$()NA")))
def test_words_and_variables_are_taken_literally(word: str) -> None:
    manifest = with_variables(manifest_of("busybox:1", [word]), {"NAME": word})
    (typed,), (variable,) = manifest["spec"]["command"], manifest["spec"]["env"]
    known = {"N": "value", "A": "value", "": "value", "NA": "value"}
    assert (expanded(typed, known), expanded(variable["value"], known)) == (word, word)


def test_a_file_with_another_namespace_is_refused() -> None:
    manifest = b"""
        apiVersion: taskruns.dev/v1alpha1
        kind: TaskRun
        metadata: {name: hello, namespace: team}
        spec: {image: "busybox:1"}
    """
    refused = here("run", "-", stdin=manifest)
    assert "metadata.namespace team does not match namespace default: use -n team" in refused.err
    assert "metadata.namespace" not in here("run", "-n", "team", "-", stdin=manifest).err


WITH_CONTEXT = "current-context: kind-dev\n"
CHOOSE_CLUSTER = "To use the cluster of the kubeconfig context kind-dev, add --on kubernetes"


@pytest.mark.parametrize("arguments", [["run", "--image", "busybox:1"], ["version"]])
@pytest.mark.parametrize(
    ("files", "options", "is_suggested"),
    [
        ({"config": WITH_CONTEXT}, [], True),
        ({"none": "", "broken": "{", "config": WITH_CONTEXT}, [], True),
        ({"config": WITH_CONTEXT}, ["--on", "docker"], False),
        ({"config": 'current-context: ""\n'}, [], False),
        ({}, [], False),
    ],
)
def test_without_a_daemon_the_cluster_of_the_kubeconfig_is_suggested(
    arguments: list[str],
    files: dict[str, str],
    options: list[str],
    *,
    is_suggested: bool,
    tmp_path: Path,
) -> None:
    for name, content in files.items():
        if content:
            (tmp_path / name).write_text(content)
    kubeconfig = os.pathsep.join(str(tmp_path / name) for name in files or ["config"])
    ended = here(*arguments, *options, environment={"KUBECONFIG": kubeconfig})
    message = ended.err + ended.out
    assert "cannot connect to the Docker daemon at unix:///nowhere/docker.sock: " in message
    assert "start Docker, install it (" in message
    assert "set DOCKER_HOST to its address" in message
    assert (CHOOSE_CLUSTER in message) == is_suggested
    assert ("--on" in message) == is_suggested
    assert ended.code == (125 if arguments[0] == "run" else 0)


@pytest.mark.parametrize("variable", ["docker", None])
def test_the_kubeconfig_in_the_home_directory_is_suggested_unless_docker_is_chosen(
    variable: str | None, tmp_path: Path
) -> None:
    (tmp_path / ".kube").mkdir()
    (tmp_path / ".kube" / "config").write_text(WITH_CONTEXT)
    chosen = {"TASKRUN_ON": variable} if variable else {}
    environment = {"KUBECONFIG": "", "HOME": str(tmp_path), **chosen}
    ended = here("run", "--image", "busybox:1", environment=environment)
    assert (ended.code, CHOOSE_CLUSTER in ended.err) == (125, not variable)
    assert len(ended.err.splitlines()) == 1
