"""Airflow's tasks on a real Docker host: the connection selects it, and the DAG is unchanged."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.progress import Progress
from tests.cluster.python_base import PythonBase
from tests.support.airflow.dag_test import AIRFLOW, Home
from tests.support.cluster.installation import ROOT

ENDS = """
from datetime import datetime, timedelta
from airflow.providers.common.compat.sdk import DAG
from taskruns_airflow import TaskRunOperator

def task(name, script, **arguments):
    base = {"image": "busybox:1", "command": ["sh", "-c"], "arguments": [script], **arguments}
    TaskRunOperator(task_id=name, namespace="jobs", **base)

with DAG("ends", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
    task("fails", "echo the last words; exit 3")
    task("refused", "true", service_account_name="somebody")
    secret = {"PASSWORD": {"secretKeyRef": {"name": "database", "key": "password"}}}
    task("knows", 'test "$PASSWORD" = s3cret && echo known', env=secret,
         container_logs=["main", "side"])
    task("late", "sleep 600", execution_timeout=timedelta(seconds=2),
         deferrable=True, defer_after=0, template={"spec": {"terminationGracePeriodSeconds": 1}})

if __name__ == "__main__":
    dag.test()
"""

ECHO = """
from datetime import datetime
from airflow.providers.common.compat.sdk import DAG
from taskruns_airflow.compat import DockerOperator

with DAG("echo", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
    base = dict(image="busybox:1", docker_url="{address}", network_mode="host", auto_remove="force",
                taskruns_conn_id="host")
    first = DockerOperator(task_id="first", command="echo hello {{ task.task_id }} $HOME", **base)
    second = DockerOperator(
        task_id="second", deferrable=True, defer_after=0, private_environment=dict(SECRET="s3cret"),
        command=["sh", "-c", "test -d $AIRFLOW_TMP_DIR && test $SECRET = s3cret && echo done"],
        **base)
    first >> second

if __name__ == "__main__":
    dag.test()
"""

TUTORIAL = """
from datetime import datetime
from airflow.providers.common.compat.sdk import DAG
from taskruns_airflow.compat import DockerOperator

with DAG(dag_id="tutorial", start_date=datetime(2024, 1, 1), schedule="@daily", catchup=False) as dag:
    DockerOperator(task_id="run_in_docker", image="python:3.13-slim", command="python -c \\"print('Hello from inside Docker!')\\"", auto_remove=True, docker_url="{address}")
    DockerOperator(task_id="alpine_echo", image="busybox:1", command='echo "Containers are cool"', auto_remove=True)

if __name__ == "__main__":
    dag.test()
"""  # noqa: E501 - its lines, but for the import, the images and the socket that are there

FORMS = r"""
from datetime import datetime
from airflow.providers.common.compat.sdk import DAG, task
from taskruns_airflow.compat import DockerOperator

FILE = r'''HOST=db
URL=postgres://${HOST}/x
SAID="say \"hi\""
TWO="a\nb"
'''
LONG = "sh -c 'echo first; yes x | head -n 100000 | tr -d \"\\n\"; echo end'"
base = dict(image="busybox:1", auto_remove=True)

with DAG("forms", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
    memory = {"target": "/w", "type": "tmpfs", "tmpfs_size": "64m"}
    sizes = "stat -f -c '%b %S' /dev/shm /w"
    own = {**base, "mounts": [memory], "xcom_all": True}
    DockerOperator(task_id="sizes", command=sizes, shm_size="512m", **own)
    printed = ["sh", "-c", 'printf "%s|" "$URL" "$SAID" "$TWO" | tr "\\n" ";"']
    DockerOperator(task_id="dotenv", env_file=FILE, command=printed, **base)
    path = DockerOperator(task_id="tty", command="echo /data/out", tty=True, **base)

    @task
    def check(returned):
        return "checked " + repr(returned)

    check(path.output)
    own = {**base, "image": "with-entrypoint"}
    DockerOperator(task_id="text", entrypoint="", command="echo mine", **own)
    labels = {"by": "deploy.sh", "Free Text": "a  b"}
    DockerOperator(task_id="dir", command="pwd", working_dir="/opt/app.env", labels=labels, **base)
    DockerOperator(
        task_id="long_tty", command=LONG, tty=True, deferrable=True, defer_after=0, **base
    )
    DockerOperator.partial(task_id="mapped", **base).expand(command=["['echo', '1']"])

if __name__ == "__main__":
    dag.test()
"""
XCOMS = {
    "sizes": ["131072 4096", "16384 4096"],
    "dotenv": 'postgres://db/x|say "hi"|a;b|',
    "tty": "/data/out",
    "check": "checked '/data/out'",
    "text": "mine",
    "dir": "/opt/app.env",
    "long_tty": "x" * 100_000 + "end",
    "mapped": "1",
}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Provide an Airflow home with an empty database."""
    if not AIRFLOW.exists():
        subprocess.run(["make", "airflow"], cwd=ROOT, check=True)
    home = tmp_path_factory.mktemp("template")
    environ = {"AIRFLOW_HOME": str(home), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    migrate = [str(AIRFLOW / "airflow"), "db", "migrate"]
    subprocess.run(migrate, env={**os.environ, **environ}, check=True, capture_output=True)
    return home


@pytest.fixture
def home(template: Path, tmp_path: Path) -> Home:
    return Home.make(tmp_path / "airflow", template)


@pytest.fixture(autouse=True)
def no_container_is_left(docker_address: str) -> Iterator[None]:
    """Assert that no container is left, apart from those of other tests."""
    before = containers(docker_address)
    yield
    assert not containers(docker_address) - before


@pytest.fixture
def connection(home: Home, docker_address: str, tmp_path: Path) -> dict[str, str]:
    secrets = {"database": {"password": "s3cret"}}
    state = str(tmp_path / "state")
    return home.connect(engine="docker", url=docker_address, state_directory=state, secrets=secrets)


def containers(address: str) -> set[str]:
    return set(docker(address, "ps", "--all", "--format", "{{.ID}} {{.Names}}").splitlines())


def docker(address: str, *arguments: str) -> str:
    command = ["docker", "--host", address, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_the_example_dag_runs_unchanged(home: Home, connection: dict[str, str]) -> None:
    output = home.run(ROOT / "provider/example_dags/hello.py", **connection)
    assert home.states() == {"hello": "success", "answer": "success"}, output
    assert home.xcom("hello") == {"answer": 42}
    assert home.xcom("answer", "taskrun_namespace") == "default"
    assert "hello from a TaskRun" in output
    assert "the answer is 42" in output


def test_each_end_of_a_task_is_reported_with_its_reason(
    home: Home, connection: dict[str, str]
) -> None:
    output = home.run(ENDS, **connection)
    states = {"fails": "failed", "refused": "failed", "knows": "success", "late": "failed"}
    assert home.states() == states, output
    assert (home.xcom("fails", "exit_code"), home.xcom("fails", "reason")) == (3, "NonZeroExitCode")
    assert re.search(r"Last output:\s+the last words", output)
    assert "serviceAccountName is not supported on Docker" in output
    assert home.xcom("late", "reason") == "DeadlineExceeded"
    assert "The log of side does not exist: " in output
    assert (output.count("[main] known"), output.count("[side] known")) == (1, 0)


def test_a_dag_for_docker_operator_runs_with_a_changed_import(
    home: Home, docker_address: str, tmp_path: Path
) -> None:
    connection = json.dumps(
        {"conn_type": "taskruns", "extra": {"state_directory": str(tmp_path / "state")}}
    )
    output = home.run(ECHO.replace("{address}", docker_address), AIRFLOW_CONN_HOST=connection)
    assert home.states() == {"first": "success", "second": "success"}, output
    assert (home.xcom("first"), home.xcom("second")) == ("hello first $HOME", "done")


def test_the_tutorial_dag_runs_with_a_changed_import(
    home: Home, docker_address: str, tmp_path: Path
) -> None:
    images = docker(docker_address, "load", "--input", str(PythonBase().archive(Progress(print))))
    assert "python:3.13-slim" in images
    dag = TUTORIAL.replace("{address}", docker_address)
    text = home.run(dag, DOCKER_HOST=docker_address, **home.connect(state_directory=str(tmp_path)))
    assert home.states() == {"run_in_docker": "success", "alpine_echo": "success"}, text
    assert home.xcom("run_in_docker") == "Hello from inside Docker!"
    assert home.xcom("alpine_echo") == "Containers are cool"


def test_every_argument_form_of_docker_operator_has_the_same_effect(
    home: Home, docker_address: str, tmp_path: Path
) -> None:
    entrypoint = ("--change", 'ENTRYPOINT ["echo", "entry"]')
    base = docker(docker_address, "create", "--network", "host", "busybox:1", "true").strip()
    docker(docker_address, "commit", *entrypoint, base, "with-entrypoint")
    docker(docker_address, "rm", base)
    state = home.connect(state_directory=str(tmp_path / "state"))
    output = home.run(FORMS, DOCKER_HOST=docker_address, **state)
    assert home.states() == dict.fromkeys(XCOMS, "success"), output
    assert {task: home.xcom(task) for task in XCOMS} == XCOMS
