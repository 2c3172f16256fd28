"""Commands of the documentation that need neither Docker nor a cluster."""

import os
import sys
from pathlib import Path

from tests.support.documentation import typed


def test_documented_commands_write_and_validate_a_taskrun(documented: str, tmp_path: Path) -> None:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    nowhere = {"DOCKER_HOST": "unix:///nowhere/docker.sock", "KUBECONFIG": "/nowhere/kubeconfig"}
    output = typed(documented, os.environ | nowhere | {"PATH": path}, tmp_path)
    assert "image: python:3.13-slim" in output
    assert "kind: TaskRun" in (tmp_path / "etl.yaml").read_text()
