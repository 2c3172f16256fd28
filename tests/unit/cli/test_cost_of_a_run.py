"""Cost of `taskrun run` on Docker, without a clock: requests, writes to disk, and imports."""

from collections import Counter
from pathlib import Path

import pytest

from taskruns.engines.docker.state_file import Record, StateFile
from tests.support.command_line import here
from tests.support.docker.stub_daemon import StubDaemon, stub_daemon
from tests.unit.cli.test_import_time import imported

INSPECT = "GET /containers/NAME/json"
ONCE = [
    "GET /version",
    "GET /info",
    "GET /events",
    "GET /images/busybox:1/json",
    "POST /containers/create",
    "POST /containers/NAME/start",
]
MAX_INSPECTIONS = 14
MAX_WRITES = 10
"""Writes to the record before the container is created, before its start, and of its end."""
UNUSED = {"anyio", "jsonschema", "kubernetes", "multiprocessing", "rich", "watchfiles", "yaml"}
"""Modules that a run without a file and without a terminal does not need."""
RUN = ["run", "--image", "busybox:1", "--", "true"]


def run(daemon: StubDaemon, state: Path) -> tuple[int, str]:
    ended = here(
        *RUN, environment={"DOCKER_HOST": daemon.address, "TASKRUNS_STATE_DIR": str(state)}
    )
    return ended.code, ended.out


def test_a_run_costs_few_requests_and_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes: list[Record] = []
    save = StateFile._save

    def counted(file: StateFile, record: Record) -> None:
        writes.append(record)
        save(file, record)

    monkeypatch.setattr(StateFile, "_save", counted)
    with stub_daemon(tmp_path, exit_code=3) as daemon:
        assert run(daemon, tmp_path / "state") == (3, "hello\n")
    counts = Counter(daemon.requests)
    inspections, logs = counts.pop(INSPECT), counts.pop("GET /containers/NAME/logs")
    missing = sum(counts.pop(request) for request in [*counts] if request.endswith("-1/json"))
    assert counts == Counter(ONCE)
    assert inspections + missing <= MAX_INSPECTIONS
    # The follower reads the end of a failed task's log; `run` reads it all, twice at the end.
    assert logs <= 3
    assert len(writes) <= MAX_WRITES


def test_a_run_imports_only_what_it_needs(tmp_path: Path) -> None:
    with stub_daemon(tmp_path) as daemon:
        (modules,) = imported(tmp_path, RUN, DOCKER_HOST=daemon.address)
    assert modules & UNUSED == set()
