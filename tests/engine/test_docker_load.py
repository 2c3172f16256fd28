"""Load on a Docker host: fifty runs at once, several clients of one run, a log of 100 MB."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from taskruns.engines.docker.host import DaemonAddress, Host
from taskruns.engines.docker.store import create_run
from tests.engine.docker_runtime import ended, manifest, now
from tests.engine.work import IMAGE

SECONDS = 280
GONE_AT_ONCE = {"podGC": {"deleteDelayDuration": "0s"}}
RUNS = 50
MEGABYTE = 10**6
LOG = 100 * MEGABYTE
LONG_LOG = f"head -c {LOG} /dev/zero | tr '\\0' x | fold -w 10000"
ROOM = 100 * 1024
"""Memory limit of a client, in KiB, for a log of any size; without a log it needs half of it."""

TELLING = """
import sys
from pathlib import Path
from taskruns.cli.__main__ import run

code = run()
print(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0], file=sys.stderr)
sys.exit(code)
"""
UNTIL_TOLD = "echo began >> /shared/ran; until [ -e /shared/go ]; do sleep 0.1; done; exit 5"


async def test_fifty_runs_at_once_end_with_their_exit_codes(
    docker_address: str, tmp_path: Path
) -> None:
    host = Host(tmp_path, now, DaemonAddress(docker_address))
    files = [host.file("default", f"run-{number}") for number in range(RUNS)]
    for number, file in enumerate(files):
        await create_run(file, manifest(f"exit {number % 4}", **GONE_AT_ONCE), now())
    statuses = await asyncio.gather(*(ended(host, file, SECONDS) for file in files))
    assert [status["exitCode"] for status in statuses] == [number % 4 for number in range(RUNS)]
    assert [status["attempt"] for status in statuses] == [1] * RUNS


async def test_two_clients_of_one_run_report_the_same_end_of_one_container(
    docker_address: str, tmp_path: Path
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    host = Host(tmp_path / "state", now, DaemonAddress(docker_address))
    file = host.file("default", "hello")
    mount = {
        "volumes": [{"name": "shared", "hostPath": {"path": str(shared)}}],
        "volumeMounts": [{"name": "shared", "mountPath": "/shared"}],
    }
    await create_run(file, manifest(UNTIL_TOLD, **mount, **GONE_AT_ONCE), now())
    environment = {
        **os.environ,
        "DOCKER_HOST": docker_address,
        "TASKRUNS_STATE_DIR": str(tmp_path / "state"),
    }
    clients = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-m", "taskruns.cli", command, "hello",
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for command in ("wait", "follow", "wait")
    ]  # fmt: skip
    async with asyncio.timeout(SECONDS):
        while not (shared / "ran").exists():  # noqa: ASYNC110 - a file sends no event
            await asyncio.sleep(0.05)
        (shared / "go").touch()
        outputs = [await client.communicate() for client in clients]
    assert [client.returncode for client in clients] == [5, 5, 5], outputs
    assert (shared / "ran").read_text() == "began\n"
    run = (await file.read()).run
    assert run is not None
    assert [attempt["outcome"] for attempt in run["status"]["attempts"]] == ["Failed"]


def test_a_long_log_is_copied_with_little_memory(docker_address: str, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "DOCKER_HOST": docker_address,
        "TASKRUNS_STATE_DIR": str(tmp_path / "state"),
    }
    for command in (
        ["run", "--quiet", "--name", "long", "--image", IMAGE, "--", "sh", "-c", LONG_LOG],
        ["logs", "long"],
    ):
        copied, code, most = _copied(command, environment)
        assert (command[0], code, copied) == (command[0], 0, LOG + LOG // 10000 - 1)
        assert most < ROOM, command


def _copied(command: list[str], environment: dict[str, str]) -> tuple[int, int, int]:
    """Run the command line; return its output size in bytes, exit code, and peak memory in KiB.

    The command reports its peak memory itself, because the kernel's figure for an ended child
    includes this process.
    """
    copied = 0
    with subprocess.Popen(
        [sys.executable, "-c", TELLING, *command],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        while piece := process.stdout.read(MEGABYTE):
            copied += len(piece)
        report = process.stderr.read().split()
    return copied, process.returncode, int(report[-1])
