"""`make demo-docker` shows the promised steps, and leaves nothing behind."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping

from tests.support.cluster.installation import ROOT

SECONDS = 280


def test_the_demo_on_docker_prints_the_documented_output(docker_address: str) -> None:
    environment = os.environ | {"DOCKER_HOST": docker_address}
    before = containers(environment)
    done = subprocess.run(
        [sys.executable, "-m", "tools.demo.host"],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "on the running Docker daemon" in done.stdout
    assert "  hello from a TaskRun\n" in done.stdout
    assert re.search(r"^  failing +Failed +NonZeroExitCode +3 +1 ", done.stdout, re.MULTILINE)
    assert "  $ echo $?\n  3\n" in done.stdout
    assert "Attempt 1: Failed, NonZeroExitCode, exit code 3" in done.stdout
    assert containers(environment) == before


def containers(environment: Mapping[str, str]) -> set[str]:
    """Return every container of the daemon, including those of other tests."""
    listed = subprocess.run(
        ["docker", "ps", "--all", "--quiet"],
        env=dict(environment), capture_output=True, text=True, check=True,
    )  # fmt: skip
    return set(listed.stdout.split())
