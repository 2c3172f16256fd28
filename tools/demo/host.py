"""The demo on plain Docker (`make demo-docker`): three tasks in seconds, without a cluster.

It uses the daemon that `docker` would use. If there is none, root gets a temporary daemon, for
which Debian's docker.io is installed if necessary.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tests.cluster import ClusterError, image
from tests.cluster.docker_engine import DockerEngine
from tests.cluster.progress import Progress
from tools.demo.screen import Screen

NAME = os.environ.get("TASKRUNS_DEMO_DOCKER", "demo")
INTERRUPTED = 130
SECONDS = 120

COMMANDS = (
    (0, "run manifests/samples/hello.yaml"),
    (0, "run manifests/samples/result.yaml"),
    (3, "run manifests/samples/failing.yaml"),
    (0, "list"),
    (0, "describe failing"),
)
"""Expected exit code and arguments of each command."""


@contextmanager
def daemon(screen: Screen) -> Iterator[Mapping[str, str]]:
    """Yield the environment for commands that use a Docker daemon.

    Raises:
        ClusterError: no daemon runs and none can be started; the message says what is missing.
    """
    if _answers():
        screen.progress("on the running Docker daemon; it pulls busybox:1 if necessary")
        yield dict(os.environ)
        return
    engine = DockerEngine.for_containers(NAME)
    progress = Progress(screen.progress)
    with engine.running(progress):
        engine.docker("load", "--input", image.busybox(progress))
        yield os.environ | {"DOCKER_HOST": engine.address}


def _answers() -> bool:
    try:
        version = subprocess.run(
            ["docker", "version"], capture_output=True, timeout=SECONDS, check=False
        )
    except OSError:
        return False
    return version.returncode == 0


def show(screen: Screen) -> None:
    """Run the commands, and print their output and exit codes."""
    began = time.monotonic()
    screen.title("1/2  A Docker daemon")
    with tempfile.TemporaryDirectory() as folder, daemon(screen) as environment:
        mine = dict(environment) | {"TASKRUNS_STATE_DIR": folder}
        try:
            screen.title("2/2  Three tasks, each followed to its end")
            for code, line in COMMANDS:
                _type(screen, line, code, mine)
        finally:
            for name in ("hello", "result", "failing"):
                _taskrun(f"delete {name}", mine)
    screen.title(f"Done in {time.monotonic() - began:.0f}s. Commands to try next:")
    screen.output(
        "pip install '.[cli]'\n"
        "taskrun new mine > mine.yaml                # a commented task to start from\n"
        "taskrun validate mine.yaml\n"
        "taskrun run mine.yaml                       # on any machine with a Docker daemon\n"
    )
    screen.line("\ndocs/cli.md has every command. On a real Kubernetes: make demo")


def _type(screen: Screen, line: str, code: int, environment: Mapping[str, str]) -> None:
    screen.line()
    screen.command(f"taskrun {line}")
    done = _taskrun(line, environment)
    screen.output(done.stdout)
    if code:
        screen.command("echo $?")
        screen.output(str(done.returncode))
    if done.returncode != code:
        raise ClusterError(f"`taskrun {line}` exited with {done.returncode}")


def _taskrun(line: str, environment: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    """Run a taskrun command, with standard error merged into standard output."""
    return subprocess.run(
        [sys.executable, "-m", "taskruns.cli", *line.split()],
        env=dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def main() -> int:
    """Run the demo, and print errors as one sentence."""
    screen = Screen()
    try:
        show(screen)
    except KeyboardInterrupt:
        screen.line("\nInterrupted. Its runs and containers were removed.")
        return INTERRUPTED
    except (ClusterError, subprocess.SubprocessError, OSError) as error:
        screen.problem(str(error))
        screen.line("Run `make demo-docker` to retry.")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
