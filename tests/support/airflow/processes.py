"""A real Airflow 3 on this machine, in separate processes that can be killed one by one.

API servers, scheduler (with its LocalExecutor), triggerer and DAG processor are processes of their
own, on free loopback ports, with an SQLite database in a temporary folder. They reach the cluster
only through their connections, with the identity that these configure.
"""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.airflow.rest import Rest, Unanswered

ROOT = Path(__file__).resolve().parents[3]
ENVIRONMENT = ROOT / ".build/airflow-3"
PROGRAM = ENVIRONMENT / "bin/airflow"
PYTHON = ENVIRONMENT / "bin/python"
DAGS = ROOT / "tests/airflow/dags"
EXAMPLES = ROOT / "provider/example_dags"

API_SERVER, TASK_API_SERVER, SCHEDULER, TRIGGERER, DAG_PROCESSOR = PARTS = (
    "api-server",
    "task-api-server",
    "scheduler",
    "triggerer",
    "dag-processor",
)

_START = "{prepare}; from airflow.__main__ import main; main()"
_PREPARE = {
    SCHEDULER: (
        "import airflow"
        ", airflow.sdk.execution_time.supervisor"
        ", airflow.sdk.execution_time.task_runner"
        ", airflow.dag_processing.dagbag"
        ", airflow.providers.cncf.kubernetes.hooks.kubernetes"
        ", taskruns_airflow.execution"
        "; from airflow.sdk.api.client import Client"
        "; Client(base_url='http://127.0.0.1', token='').close()"
    )
}
"""Statements without which every worker and task would import the same modules and load the same
certificates, which costs seconds of CPU.

Workers are forked from the scheduler, tasks from workers, and they inherit what is loaded. Airflow
passes the same data to a task as without them.
"""

_WITHOUT_LOG_SERVER = "--skip-serve-logs"
"""Flag without which the log server would listen on every address; logs are read from files."""

_COMMANDS = {
    API_SERVER: (API_SERVER, "--apps", "core"),
    TASK_API_SERVER: (API_SERVER, "--apps", "execution"),
    SCHEDULER: (SCHEDULER, _WITHOUT_LOG_SERVER),
    TRIGGERER: (TRIGGERER, _WITHOUT_LOG_SERVER),
    DAG_PROCESSOR: (DAG_PROCESSOR,),
}
"""Arguments of each component; the tasks' API has a server of its own.

Airflow's API server writes a user's request to the database in its event loop, and blocks there
until SQLite grants the lock. A task's request may hold that lock, and only the same event loop can
finish it. Both would block until one gives up.
"""

_READY_WITHIN = 300
_ENDED_WITHIN = 60

SETTINGS = {
    "CORE__LOAD_EXAMPLES": "False",
    "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
    "CORE__EXECUTOR": "LocalExecutor",
    "CORE__PARALLELISM": "24",
    "CORE__MAX_ACTIVE_TASKS_PER_DAG": "64",
    "CORE__FERNET_KEY": "",
    "API__HOST": "127.0.0.1",
    "API__WORKERS": "1",
    # Airflow's API server blocks for half a minute when its connections are used up: it waits for
    # one in its event loop, and only that loop could return one.
    "DATABASE__SQL_ALCHEMY_MAX_OVERFLOW": "-1",
    "DAG_PROCESSOR__PARSING_PROCESSES": "1",
    "DAG_PROCESSOR__REFRESH_INTERVAL": "3600",
    "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600",
    # On a busy machine a response may take longer than Airflow's five seconds.
    "WORKERS__EXECUTION_API_TIMEOUT": "60",
    # Airflow needs minutes to notice a death with its defaults.
    "WORKERS__MIN_HEARTBEAT_INTERVAL": "2",
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
    # A scheduler that misses its heartbeat on a busy machine takes its own tasks for orphans.
    "SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "60",
    "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10",
    "SCHEDULER__TRIGGER_TIMEOUT_CHECK_INTERVAL": "5",
    "TRIGGERER__JOB_HEARTBEAT_SEC": "2",
    "TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "10",
}
SCENARIOS = "TASKRUNS_TEST_SCENARIOS"
"""Environment variable with the path of a file that holds the tests' tasks.

dags/scenarios.py reads it.
"""


class Airflow:
    """All components, each of which can be started and killed; `rest` is its API."""

    def __init__(
        self,
        home: Path,
        connections: Mapping[str, Mapping[str, Any]],
        *,
        preload: bool = True,
    ) -> None:
        """Prepare an Airflow without starting it.

        Args:
            home: its folder, which is empty.
            connections: connections of type `taskruns`, by id.
            preload: load what tasks need once, before workers are forked.
        """
        self.home = home
        self.empty = home / "empty"
        """A folder with a migrated but empty database, for another Airflow."""
        port, tasks_port, *log_ports = map(str, _free_ports(4))
        self._ports = {API_SERVER: ("--port", port), TASK_API_SERVER: ("--port", tasks_port)}
        self.rest = Rest(f"http://127.0.0.1:{port}")
        self._environment = _environment(home, tasks_port, log_ports, connections)
        self._prepare = _PREPARE if preload else {}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._sessions: set[str] = set()

    def run(self, *arguments: str) -> str:
        """Run an Airflow command to its end; return its output.

        Raises:
            AssertionError: the command failed.
        """
        done = subprocess.run(
            [str(PROGRAM), *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=_READY_WITHIN,
            check=False,
        )
        assert done.returncode == 0, f"airflow {' '.join(arguments)}: {done.stderr[-3000:]}"
        return done.stdout

    def up(self, scenarios: Sequence[Mapping[str, Any]] = ()) -> None:
        """Start all components, and wait until every DAG of the scenarios is known."""
        path = self.home / "scenarios.json"
        path.write_text(json.dumps(list(scenarios)))
        self._environment[SCENARIOS] = str(path)
        self.run("db", "migrate")
        self.empty.mkdir()
        shutil.copy(self.home / "airflow.db", self.empty)
        for part in PARTS:
            self.start(part)
        expected = {each["dag_id"] for each in scenarios}
        self.wait(lambda: expected <= self.rest.dags() or None, "every DAG of the tests is known")

    def down(self) -> None:
        """Kill all components and every process that they have started."""
        for part in PARTS:
            self.kill(part)
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)

    def start(self, part: str) -> None:
        """Start one component without waiting for it."""
        # A component that outlives its tests would continue to act on their cluster.
        argv = ["setpriv", "--pdeathsig", "KILL", str(PYTHON), "-W", "ignore", "-c"]
        with self._log(part).open("ab") as log:
            self._processes[part] = subprocess.Popen(
                [
                    *argv,
                    _START.format(prepare=self._prepare.get(part, "import airflow")),
                    *_COMMANDS[part],
                    *self._ports.get(part, ()),
                ],
                env=self._environment,
                stdout=log,
                stderr=log,
                cwd=self.home,
                start_new_session=True,
            )
        self._sessions.add(str(self._processes[part].pid))

    def kill(self, part: str, *, with_children: bool = False) -> None:
        """End one component by SIGKILL; its child processes continue unless `with_children`."""
        if part in self._processes:
            _, *children = self.pids(part)
            process = self._processes.pop(part)
            process.kill()
            process.wait(_ENDED_WITHIN)
            for pid in children if with_children else ():
                os.kill(pid, signal.SIGKILL)

    def wait(self, look: Any, what: str, seconds: float = _READY_WITHIN) -> Any:
        """Return the first result of `look` that is not None; call it twice a second.

        Raises:
            AssertionError: there was none within `seconds`, or a component has ended.
        """
        deadline = time.monotonic() + seconds
        while True:
            try:
                if (answer := look()) is not None:
                    return answer
            except Unanswered:
                pass
            for part, process in self._processes.items():
                assert process.poll() is None, f"Airflow's {part} has ended:\n{self.log_tail(part)}"
            assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
            time.sleep(0.5)

    def pids(self, part: str) -> list[int]:
        """Return the ids of a component's own process and of its direct children."""
        own = self._processes[part].pid
        return [own, *(pid for pid in self.processes() if parent_of(pid) == own)]

    def processes(self) -> Iterator[int]:
        """Yield the ids of all processes of the components, including workers and tasks."""
        for folder in Path("/proc").iterdir():
            try:
                if folder.name.isdecimal() and _stat(int(folder.name))[3] in self._sessions:
                    yield int(folder.name)
            except OSError:
                continue  # the process has just ended

    def log_tail(self, part: str) -> str:
        """Return the last lines of a component's log."""
        return "\n".join(self._log(part).read_text(errors="replace").splitlines()[-40:])

    def said(self, part: str, *texts: str) -> bool:
        """Return whether a component has logged a line that contains all of these texts."""
        with self._log(part).open(errors="replace") as log:
            return any(all(text in line for text in texts) for line in log)

    def _log(self, part: str) -> Path:
        return self.home / f"{part}.log"


@contextmanager
def paused(pid: int) -> Iterator[None]:
    """Pause a process with SIGSTOP while the block runs."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def is_told_to_stop(pid: int) -> bool:
    """Return whether SIGTERM is pending for a paused process."""
    status = Path(f"/proc/{pid}/status").read_text()
    (pending,) = (line for line in status.splitlines() if line.startswith("ShdPnd"))
    return bool(int(pending.split()[1], 16) >> (signal.SIGTERM - 1) & 1)


def parent_of(pid: int) -> int:
    """Return the parent process id; the parent of a task is its supervisor."""
    return int(_stat(pid)[1])


def _stat(pid: int) -> list[str]:
    """Return the fields of a process after its name: state, parent, group, session and others."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _environment(
    home: Path,
    tasks_port: str,
    log_ports: Sequence[str],
    connections: Mapping[str, Mapping[str, Any]],
) -> dict[str, str]:
    bundle = "airflow.dag_processing.bundles.local.LocalDagBundle"
    bundles = [
        {"name": name, "classpath": bundle, "kwargs": {"path": str(folder)}}
        for name, folder in (("tests", DAGS), ("examples", EXAMPLES))
    ]
    worker_logs, trigger_logs = log_ports
    settings = SETTINGS | {
        # SQLite allows one writer; the others wait for it, however long a busy machine takes.
        "DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db?timeout=120",
        "CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{tasks_port}/execution/",
        "API_AUTH__JWT_SECRET": secrets.token_hex(64),
        "DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(bundles),
        "LOGGING__WORKER_LOG_SERVER_PORT": worker_logs,
        "LOGGING__TRIGGER_LOG_SERVER_PORT": trigger_logs,
    }
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "KUBE", "PYTHON"))}
    return {
        **kept,
        **{f"AIRFLOW__{name}": value for name, value in settings.items()},
        "AIRFLOW_HOME": str(home),
        **{
            f"AIRFLOW_CONN_{name.upper()}": json.dumps(
                {"conn_type": "taskruns", "extra": dict(extra)}
            )
            for name, extra in connections.items()
        },
        "PATH": f"{ENVIRONMENT}/bin:{os.environ['PATH']}",
    }


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
