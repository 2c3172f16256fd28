"""The direction of imports, as the contracts in `pyproject.toml` write it down, holds."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("project", [".", "provider"])
def test_every_import_contract_is_kept(project: str) -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    told = subprocess.run(
        [linter, "--no-cache"],
        cwd=ROOT / project,
        env={**os.environ, "PYTHONPATH": str(ROOT / project)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stdout + told.stderr
