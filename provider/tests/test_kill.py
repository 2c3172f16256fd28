"""Tests of Airflow 2 processes that receive a stop signal: runs are cancelled or left to a retry.

Real processes run tasks, and a real triggerer runs their triggers, against a fake apiserver. It
stores TaskRuns and serves watches. There is no controller: a run that is cancelled ends at once
with phase Cancelled.
"""

import json
import os
import queue
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import airflow
import pytest
from typing_extensions import override

pytestmark = pytest.mark.skipif(
    airflow.__version__.startswith("3."), reason="tests/airflow tries it on a whole Airflow 3"
)
WITHIN = 100.0
ALL_TASKS = ""
FAILED, SUCCESS, DEFERRED = "failed", "success", "deferred"

PROGRAM = """
from datetime import UTC, datetime, timedelta
from airflow.exceptions import AirflowException
from airflow.models.dag import DAG
from airflow.utils.db import initdb
from airflow.utils.state import DagRunState
from airflow.utils.types import DagRunType
from taskruns_airflow import TaskRunOperator

START = datetime(2026, 1, 1, tzinfo=UTC)
with DAG("kill", schedule=None, start_date=START) as dag:
    TaskRunOperator(task_id="last", image="a", retries=0)
    TaskRunOperator(task_id="marked", image="a", retries=1, retry_delay=timedelta(0))
    TaskRunOperator(task_id="retried", image="a", retries=1, retry_delay=timedelta(0))
    TaskRunOperator(task_id="deferred", image="a", deferrable=True, defer_after=0, get_logs=False)
    TaskRunOperator(task_id="left", image="a", deferrable=True, defer_after=0, get_logs=False)
initdb()
dag.sync_to_db()
run = dag.create_dagrun(
    state=DagRunState.RUNNING, run_id="r", run_type=DagRunType.MANUAL, execution_date=START,
    start_date=START, data_interval=(START, START),
)
for name in ("last", "marked", "retried", "retried", "deferred", "left"):
    ti = run.get_task_instance(name)
    ti.task = dag.get_task(name)
    ti.try_number += 1
    try:
        ti.run(ignore_all_deps=True, ignore_ti_state=True)
    except AirflowException:
        pass
"""


class Apiserver(ThreadingHTTPServer):
    """Fake apiserver that stores TaskRuns; tests can wait for its events."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Request)
        self.runs: dict[str, dict[str, Any]] = {}
        self.watches: list[queue.Queue[dict[str, Any]]] = []
        self.watched: dict[str, int] = {}
        """Number of watches of each run, by its task; under `ALL_TASKS`, of all runs together."""
        self.cancelled: list[str] = []
        self.news = threading.Condition()

    def put(self, run: dict[str, Any]) -> None:
        """Store a run's new version and send it to the watches."""
        with self.news:
            version = str(sum(int(each["metadata"]["resourceVersion"]) for each in self.all()) + 1)
            run["metadata"]["resourceVersion"] = version
            self.runs[run["metadata"]["name"]] = run
            for watch in self.watches:
                watch.put({"type": "MODIFIED", "object": json.loads(json.dumps(run))})
            self.news.notify_all()

    def all(self) -> list[dict[str, Any]]:
        return list(self.runs.values())

    def end(self, run: dict[str, Any], phase: str) -> None:
        self.put({**run, "status": {"phase": phase, "reason": phase}})

    def of(self, task: str) -> dict[str, Any]:
        """Return the only run of a task."""
        (run,) = [each for each in self.all() if task_of(each) == task]
        return run

    def cancels(self, task: str) -> None:
        """Wait until a task's run is cancelled."""
        with self.news:
            in_time = self.news.wait_for(lambda: task in self.cancelled, WITHIN)
        assert in_time, f"the run of {task} was not cancelled"

    def waits_for(self, task: str, times: int) -> None:
        """Wait until the number of watches of a task's run is `times`."""
        with self.news:
            in_time = self.news.wait_for(lambda: self.watched.get(task) == times, WITHIN)
        assert in_time, f"{task} did not come to watch its run"


def task_of(run: dict[str, Any]) -> str:
    return str(run["metadata"]["labels"]["task_id"])


class Request(BaseHTTPRequestHandler):
    """Handler of requests about TaskRuns."""

    server: Apiserver  # type: ignore[mutable-override]  # only this server uses the handler

    @override
    def log_message(self, *_: Any) -> None:
        """Suppress the request log."""

    def do_POST(self) -> None:
        run = self._body()
        run["metadata"] |= {"uid": f"uid-{run['metadata']['name']}", "namespace": "jobs"}
        self.server.put({**run, "status": {"phase": "Running"}})
        self._respond(run, 201)

    def do_PATCH(self) -> None:
        run = self.server.runs[urlsplit(self.path).path.rpartition("/")[2]]
        if self._body().get("spec", {}).get("cancel"):
            self.server.cancelled.append(task_of(run))
            self.server.end(run, "Cancelled")
        self._respond(run)

    def do_GET(self) -> None:
        query = {key: values[0] for key, values in parse_qs(urlsplit(self.path).query).items()}
        label = query.get("labelSelector", "").partition("=")[2]
        name = query.get("fieldSelector", "").partition("=")[2]
        if "watch" in query:
            self._watch(name)
            return
        items = [
            run
            for run in self.server.all()
            if name in ("", run["metadata"]["name"])
            and label in ("", run["metadata"]["labels"]["airflow.taskruns.dev/task"])
        ]
        self._respond({"items": items, "metadata": {"resourceVersion": "0"}})

    def _watch(self, name: str) -> None:
        events: queue.Queue[dict[str, Any]] = queue.Queue()
        task = task_of(self.server.runs[name]) if name else ALL_TASKS
        with self.server.news:
            self.server.watches.append(events)
            self.server.watched[task] = self.server.watched.get(task, 0) + 1
            self.server.news.notify_all()
        self.send_response(200)
        self.end_headers()
        try:
            while True:
                self.wfile.write(json.dumps(events.get()).encode() + b"\n")
                self.wfile.flush()
        except OSError:
            self.server.watches.remove(events)

    def _body(self) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        return body

    def _respond(self, content: dict[str, Any], status: int = 200) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(scope="module")
def apiserver() -> Iterator[Apiserver]:
    with Apiserver() as server:
        serving = threading.Thread(target=server.serve_forever, daemon=True)
        serving.start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def home(apiserver: Apiserver, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the home of an Airflow whose tasks were stopped and have ended, or are deferred."""
    home = tmp_path_factory.mktemp("airflow")
    _configure(home, f"http://127.0.0.1:{apiserver.server_address[1]}")
    (home / "kill.py").write_text(PROGRAM)
    with _python(home, "kill.py") as process:
        _stop_all(apiserver, process, home)
        process.wait(WITHIN)
    return home


@pytest.fixture(scope="module")
def stopped_triggerer(home: Path, apiserver: Apiserver) -> int:
    """Return the exit code of a triggerer that is stopped after a deferred task was marked."""
    with _python(home, "-m", "airflow", "triggerer", "--skip-serve-logs") as process:
        apiserver.waits_for(ALL_TASKS, times=1)
        _mark(home, "deferred")
        apiserver.cancels("deferred")
        process.send_signal(signal.SIGTERM)
        return process.wait(WITHIN)


@contextmanager
def _python(home: Path, *arguments: str) -> "Iterator[subprocess.Popen[bytes]]":
    """Run Python with an Airflow's settings; add its output to a failed assertion."""
    with (home / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", *arguments],
            env=_environ(home), cwd=home, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        yield process
    except AssertionError as error:
        error.add_note((home / "log").read_text()[-8000:])
        raise
    finally:
        process.kill()
        process.wait()


def _stop_all(apiserver: Apiserver, process: "subprocess.Popen[bytes]", home: Path) -> None:
    for task in ("last", "marked", "retried"):
        apiserver.waits_for(task, times=1)
        if task == "marked":
            _mark(home, "marked")
        process.send_signal(signal.SIGTERM)
    apiserver.waits_for("retried", times=2)
    apiserver.end(apiserver.of("retried"), "Succeeded")


def _mark(home: Path, task: str) -> None:
    _query(home, f"UPDATE task_instance SET state = 'failed' WHERE task_id = '{task}'")


def _configure(home: Path, url: str) -> None:
    config = {
        "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "c", "user": {}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}],
    }
    (home / "kubeconfig").write_text(json.dumps(config))


def _environ(home: Path) -> dict[str, str]:
    extra = {"kube_config_path": str(home / "kubeconfig"), "namespace": "jobs"}
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "KUBE"))}
    return {
        **kept,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "AIRFLOW_CONN_TASKRUNS_DEFAULT": json.dumps({"conn_type": "taskruns", "extra": extra}),
    }


def _query(home: Path, query: str) -> list[Any]:
    database = sqlite3.connect(home / "airflow.db", timeout=60)
    try:
        with database:
            return database.execute(query).fetchall()
    finally:
        database.close()


def state_of(home: Path, task: str) -> str:
    ((state,),) = _query(home, f"SELECT state FROM task_instance WHERE task_id = '{task}'")
    return str(state)


def test_a_run_without_a_following_try_is_cancelled(home: Path, apiserver: Apiserver) -> None:
    assert state_of(home, "last") == FAILED
    assert "last" in apiserver.cancelled


def test_a_run_whose_task_was_marked_is_cancelled(home: Path, apiserver: Apiserver) -> None:
    assert state_of(home, "marked") == FAILED
    assert "marked" in apiserver.cancelled


def test_a_run_continues_and_the_next_try_reattaches(home: Path, apiserver: Apiserver) -> None:
    assert state_of(home, "retried") == SUCCESS
    assert "retried" not in apiserver.cancelled
    assert apiserver.of("retried")["status"]["phase"] == "Succeeded"


@pytest.mark.usefixtures("stopped_triggerer")
def test_a_run_whose_deferred_task_was_marked_is_cancelled(
    home: Path, apiserver: Apiserver
) -> None:
    assert state_of(home, "deferred") == FAILED
    assert apiserver.cancelled.count("deferred") == 1


def test_a_run_continues_when_its_triggerer_is_stopped(
    home: Path, apiserver: Apiserver, stopped_triggerer: int
) -> None:
    assert stopped_triggerer == 0
    assert state_of(home, "left") == DEFERRED
    assert "left" not in apiserver.cancelled
    assert apiserver.of("left")["status"]["phase"] == "Running"
