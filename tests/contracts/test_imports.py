"""The import contracts of `pyproject.toml` are kept."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("project", [".", "provider"])
def test_every_import_contract_is_kept(project: str) -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    lint = subprocess.run(
        [linter, "--no-cache"],
        cwd=ROOT / project,
        env={**os.environ, "PYTHONPATH": str(ROOT / project)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert lint.returncode == 0, lint.stdout + lint.stderr
