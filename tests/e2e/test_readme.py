"""The README's commands about a task work as they are written."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.cluster import Cluster
from tests.support.cluster.installation import ROOT

SECTION = re.compile(r"^## A task$(.*?)^## ", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.fixture
def shell(cluster: Cluster, namespace: str, tmp_path: Path) -> dict[str, str]:
    """Provide the environment of a user whose kubectl points at a namespace of their own."""
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(cluster.kubeconfig.read_text())
    environment = os.environ | {
        "KUBECONFIG": str(kubeconfig),
        "PATH": f"{cluster.bin_dir}:{os.environ['PATH']}",
    }
    change = ["kubectl", "config", "set-context", "--current", f"--namespace={namespace}"]
    subprocess.run(change, env=environment, check=True, capture_output=True)
    return environment


def test_the_readmes_task_runs_as_it_is_written(shell: dict[str, str]) -> None:
    section = SECTION.search((ROOT / "README.md").read_text())
    assert section
    script = "\n".join(["set -euo pipefail", *BLOCK.findall(section[1])])
    ran = subprocess.run(
        ["bash", "-c", script], cwd=ROOT, env=shell, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert re.search(r"^hello +Succeeded +Completed +0 ", ran.stdout, re.MULTILINE)
    assert "0 Container main completed" in ran.stdout
