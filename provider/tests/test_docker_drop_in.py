"""Tests that DAGs written for DockerOperator keep their meaning in all forms of its arguments."""

import re
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowException, AirflowSkipException
from airflow.providers.docker.operators.docker import DockerOperator as Original

from taskruns.api.v1alpha1 import TaskRun
from taskruns_airflow.compat import DockerOperator
from taskruns_airflow.compat.docker_values import last_line, lines_of
from taskruns_airflow.execution import Execution
from taskruns_airflow.failures import TaskRunMisconfigured, TaskRunResultInvalid
from taskruns_airflow.identity import Try

OWN = Try("sales", "load", "manual", -1, 1, 0, "2026-11-25T04:00:00.000001+00:00", "i1")
PIECE = 16 * 1024


def spec_of(**arguments: Any) -> dict[str, Any]:
    load = DockerOperator(task_id="load", **{"image": "a", "mount_tmp_dir": False, **arguments})
    spec: dict[str, Any] = load.build_task_run(OWN)["spec"]
    return spec


def test_the_tutorials_examples_run_unchanged() -> None:
    start_date = datetime(2024, 1, 1)  # noqa: DTZ001  # as in the tutorial
    with DAG(dag_id="tutorial", start_date=start_date, schedule="@daily", catchup=False):
        run_in_docker = DockerOperator(
            task_id="run_in_docker",
            image="python:3.9-slim",
            command="python -c \"print('Hello from inside Docker!')\"",
            auto_remove=True,
            docker_url="unix:///var/run/docker.sock",
        )
        alpine_echo = DockerOperator(
            task_id="alpine_echo",
            image="alpine:latest",
            command='echo "Containers are cool"',
            auto_remove=True,
        )
    specs = [task.build_task_run(OWN)["spec"] for task in (run_in_docker, alpine_echo)]
    assert [spec["args"] for spec in specs] == [
        ["python", "-c", "print('Hello from inside Docker!')"],
        ["echo", "Containers are cool"],
    ]
    assert {spec["podGC"]["strategy"] for spec in specs} == {"OnPodSuccess"}


@pytest.mark.parametrize(
    ("value", "strategy"),
    [
        (True, "OnPodSuccess"),
        (False, "Never"),
        ("True", "OnPodSuccess"),
        ("False", "Never"),
        ("success", "OnPodSuccess"),
        ("force", "OnPodCompletion"),
    ],
)
def test_auto_remove_has_the_values_of_every_version(value: Any, strategy: str) -> None:
    assert spec_of(auto_remove=value)["podGC"]["strategy"] == strategy
    DockerOperator.refuse({"auto_remove": value})  # as `partial` does


def test_former_parameter_names_keep_their_meaning() -> None:
    load = DockerOperator(task_id="load", image="a", skip_exit_code=99, xcom_push=False)
    assert (load.skip_on_exit_code, load.do_xcom_push) == (99, False)
    with pytest.raises((ValueError, AirflowException), match=r"volumes: use mounts=\[Mount"):
        DockerOperator(task_id="old", image="a", volumes=["/srv:/data:ro"])


@pytest.mark.parametrize(
    ("size", "limit"),
    [("512m", 2**29), ("2g", 2**31), (2**26, 2**26), ("1.5k", 1536), ("64MB", 2**26), ("7", 7)],
)
def test_sizes_have_dockers_units(size: Any, limit: int) -> None:
    memory = {"medium": "Memory", "sizeLimit": str(limit)}
    tmpfs = {"target": "/w", "type": "tmpfs", "tmpfs_size": size}
    spec = spec_of(shm_size=size, mem_limit=size, mounts=[tmpfs])
    assert spec["volumes"] == [
        {"name": "mount-0", "emptyDir": memory},
        {"name": "shm", "emptyDir": memory},
    ]
    assert spec["resources"] == {"limits": {"memory": str(limit)}}


@pytest.mark.parametrize("name", ["shm_size", "mem_limit"])
@pytest.mark.parametrize("size", ["512Mi", "2t", "much", "-1m", -1, True, [1]])
def test_an_invalid_size_is_refused(name: str, size: Any) -> None:
    with pytest.raises(
        (ValueError, AirflowException), match=f"{name}.*write a number of bytes, 512m or 2g"
    ):
        spec_of(**{name: size})


def test_an_env_file_is_read_by_python_dotenv() -> None:
    text = (
        'HOST=db\nURL=postgres://${HOST}/x\nSAID="say \\"hi\\""\nTWO="a\\nb"\n'
        "KEY=\"-----BEGIN-----\nabc\n-----END-----\"\nexport LAST='1' # one\n"
    )
    env = {each["name"]: each["value"] for each in spec_of(env_file=text)["env"]}
    assert env == {
        "HOST": "db",
        "URL": "postgres://db/x",
        "SAID": 'say "hi"',
        "TWO": "a\nb",
        "KEY": "-----BEGIN-----\nabc\n-----END-----",
        "LAST": "1",
    }


@pytest.mark.parametrize("name", ["environment", "private_environment"])
@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"A": None}, ": A has no value; taking the value from the image is not supported"),
        ({"": "hunter2"}, ": write a name without `=`"),
        ({"A=hunter2": "1"}, ": write a name without `=`"),
        ("A=hunter2", ": is of type str; write a dict of names to values"),
    ],
)
def test_unsupported_variables_are_refused_without_their_values(
    name: str, variables: Any, sentence: str
) -> None:
    with pytest.raises((ValueError, AirflowException), match=name + sentence) as refusal:
        spec_of(**{name: variables})
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize(
    ("entrypoint", "command", "words"),
    [
        ("", "echo mine", (["echo", "mine"], None)),
        ([], "echo mine", (["echo", "mine"], None)),
        ([], None, ([""], None)),
        (None, "echo mine", (None, ["echo", "mine"])),
        ("sh -c", "true", (["sh", "-c"], ["true"])),
    ],
)
def test_an_empty_entrypoint_removes_the_images(
    entrypoint: Any, command: Any, words: tuple[Any, Any]
) -> None:
    spec = spec_of(entrypoint=entrypoint, command=command)
    assert (spec.get("command"), spec.get("args")) == words


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "run.sh").write_text("echo {{ params.text }}")
    return tmp_path


FILES: dict[str, Any] = {
    "image": "a",
    "command": ["sh", "-c", "run.sh"],
    "environment": {"SCRIPT": "run.sh", "DEEP": ["run.sh", {"er": "run.sh"}]},
    "working_dir": "/opt/app.env",
    "labels": {"by": "deploy.sh", "as": "{{ params.text }}"},
}
FIELDS = ("command", "environment", "env_file", "image", "mounts", "working_dir", "labels")


def test_template_fields_and_files_are_those_of_docker_operator(folder: Path) -> None:
    with DAG("files", schedule=None, template_searchpath=str(folder)):
        theirs, ours = (
            kind(task_id=kind.__module__.partition(".")[0], **FILES, env_file="run.sh")
            for kind in (Original, DockerOperator)
        )
    for task in (theirs, ours):
        task.resolve_template_files()
        task.render_template_fields({"params": {"text": "rendered"}})
    rendered = {name: getattr(theirs, name) or None for name in FIELDS}
    assert {name: getattr(ours, name) for name in FIELDS} == rendered
    assert ours.command == ["sh", "-c", "echo rendered"]
    assert ours.template_ext == Original.template_ext


def test_further_template_fields_name_no_files(folder: Path) -> None:
    with DAG("own", schedule=None, template_searchpath=str(folder)) as dag:
        own = DockerOperator(
            task_id="own", image="a", env={"A": "run.sh", "B": "{{ params.text }}"}
        )
    own.resolve_template_files()
    own._do_render_template_fields(  # by name, as Airflow does for a mapped task
        parent=own,
        template_fields=own.template_fields,
        context=cast("Any", {"params": {"text": "rendered"}}),
        jinja_env=dag.get_template_env(),
        seen_oids=set(),
    )
    assert own.env == {"A": "run.sh", "B": "rendered"}


def test_the_output_of_another_task_is_checked_when_the_task_runs() -> None:
    with DAG("later", schedule=None):
        first = DockerOperator(task_id="first", image="a")
        DockerOperator(
            task_id="second",
            image="a",
            command=first.output,
            environment=first.output,
            mounts=first.output,
            env_file=first.output,
        )
        mount = {"target": "/data", "source": first.output}
        DockerOperator(task_id="third", image="a", mounts=[mount], environment={"A": first.output})
        with pytest.raises(
            (ValueError, AirflowException), match="/data: unknown type 'nfs'; write bind"
        ):
            DockerOperator(task_id="fourth", image="a", mounts=[{**mount, "type": "nfs"}])


class Log:
    """A log as the daemon stores it: lines, cut into pieces of 16 KiB."""

    def __init__(self, content: bytes) -> None:
        lines = content.splitlines(keepends=True)
        cut = ([line[at : at + PIECE] for at in range(0, len(line), PIECE)] for line in lines)
        self.pieces = [piece for pieces in cut for piece in pieces]
        self.last_line: str | None = None

    def end(self, count: int | None) -> bytes:
        return b"".join(self.pieces[-(count or len(self.pieces)) :])

    def log_end(self, _: TaskRun, pieces: int | None = None) -> bytes | None:
        return self.end(pieces)

    def conclude(self, *_: Any, **__: Any) -> None:
        return None


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", None),
        (b"\n", ""),
        (b"a\nb", "b"),
        (b"a\nb  \r\n", "b"),
        (b"a\n\n", ""),
        (b"a\n" + b"x" * 1_000_000 + b"end\n", "x" * 1_000_000 + "end"),
        (b"x" * 100_000, "x" * 100_000),
        (b"a\n\xff\n", "�"),
    ],
)
def test_the_last_line_is_complete_and_stripped(content: bytes, line: str | None) -> None:
    assert last_line(Log(content).end) == line


def run_of(phase: str) -> TaskRun:
    metadata = {"name": "load", "namespace": "jobs", "uid": "u"}
    return TaskRun.model_validate({"metadata": metadata, "spec": {}, "status": {"phase": phase}})


def concluded(log: Log, phase: str = "Succeeded", **arguments: Any) -> Any:
    load = DockerOperator(task_id="load", image="a", **arguments)
    return load._conclude(cast("Execution", log), run_of(phase))


def test_the_xcom_is_the_last_line_or_all_lines() -> None:
    log = Log(b"one \r\n\n" + b"x" * 50_000)
    assert concluded(log) == "x" * 50_000
    assert concluded(log, xcom_all=True) == ["one", "", "x" * 50_000]
    assert concluded(log, do_xcom_push=False) is None
    assert concluded(log, retrieve_output=True, retrieve_output_path="/o") is None
    assert concluded(Log(b""), xcom_all=True) is None
    assert lines_of(b"a\r\n\nb") == ["a", "", "b"]


def test_a_last_line_that_cannot_be_stored_fails_the_task() -> None:
    with pytest.raises(TaskRunResultInvalid, match="NUL"):
        concluded(Log(b"a\0b"))


@pytest.mark.parametrize("codes", [0, [0, 99], {0}, range(2), False])
def test_a_success_is_skipped_if_zero_is_in_skip_on_exit_code(codes: Any) -> None:
    with pytest.raises(AirflowSkipException, match="skip_on_exit_code: the exit code is 0"):
        concluded(Log(b"a"), skip_on_exit_code=codes)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("unix://var/run/docker.sock", "unix:///var/run/docker.sock"),
        ("unix://", "unix:///var/run/docker.sock"),
        ("http+unix:///run/d.sock", "unix:///run/d.sock"),
        (["tcp://host:2375"], "tcp://host:2375"),
        ("host:2375", "tcp://host:2375"),
        ("https://host:2376", "https://host:2376"),
        ("", None),
        ([], None),
    ],
)
def test_a_daemon_has_every_form_of_docker_py(url: Any, expected: str | None) -> None:
    load = DockerOperator(task_id="load", image="a", docker_url=url, tls_ca_cert="")
    assert load.access().docker.url == expected
    assert load.access().docker.tls_ca_cert is None


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"command": 5}, "command: is of type int; write a string or a list"),
        ({"command": "echo 'open"}, "command: No closing quotation"),
        ({"entrypoint": "", "command": [""]}, "command: the program is an empty string"),
        ({"cpus": "1"}, "cpus: is of type str; write a number"),
        ({"cpus": -1}, "cpus -1: write a number"),
        ({"dns": "1.1.1.1"}, r"dns '1.1.1.1': write a list: \['1.1.1.1'\]"),
        ({"docker_url": "npipe://x"}, "docker_url 'npipe://x': unknown scheme; write unix://"),
        ({"extra_hosts": ["h"]}, "extra_hosts: write a dict of host names to addresses"),
        ({"hostname": 5}, "hostname: is of type int; write a string"),
        ({"labels": {"a": 1}}, "labels a: write strings"),
        ({"labels": ["dag_id"]}, "labels dag_id: reserved by taskruns"),
        ({"mounts": ["/a:/b"]}, "mounts\\[0\\]: write a Mount"),
        ({"mounts": "/a:/b"}, "mounts: write a list of Mount"),
        (
            {"mounts": [{"target": "/d", "source": None}]},
            "/d: a volume without a source would contain",
        ),
        (
            {"mounts": [{"target": "/d", "type": "bind"}]},
            "/d: a bind mount needs a source, the path",
        ),
        (
            {"mounts": [{"target": "/d", "type": "x"}]},
            "/d: unknown type 'x'; write bind, volume, tmpfs",
        ),
        ({"network_mode": 5}, "network_mode: is of type int; write a string"),
        ({"skip_on_exit_code": "1"}, "skip_on_exit_code: write a number"),
        ({"docker_url": [5]}, "docker_url: write the daemon's URL"),
    ],
)
def test_an_invalid_value_is_refused_when_the_dag_is_parsed(
    arguments: dict[str, Any], sentence: str
) -> None:
    with pytest.raises((ValueError, AirflowException), match=sentence):
        DockerOperator(task_id="load", image="a", **arguments)
    with pytest.raises((ValueError, AirflowException), match=sentence):
        DockerOperator.partial(task_id="load", image="a", **arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"template": {"spec": [1]}, "tty": True}, "template.spec: is of type list; write a dict"),
        ({"container_resources": [1]}, "container_resources: is of type list; write a dict"),
        ({"security_context": 5}, "security_context: is of type int; write a dict"),
        ({"volumes": 5}, "volumes: is of type int; write a list"),
        ({"volume_mounts": 5}, "volume_mounts: is of type int; write a list"),
        ({"pod_gc": [1]}, "pod_gc: is of type list; write a dict"),
        ({"spec": 5}, "spec: is of type int; write a dict"),
    ],
)
def test_an_argument_of_task_run_operator_of_the_wrong_type_fails_the_task(
    arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(TaskRunMisconfigured, match=f"^{re.escape(message)}"):
        DockerOperator(task_id="load", image="a", **arguments).build_task_run(OWN)
