"""The program starts at once: a command imports what it needs and nothing else."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from taskruns.cli.main import COMMANDS

PROGRAM = """
import contextlib, io, json, sys

sys.argv = ["taskrun", *json.loads(sys.argv[1])]
from taskruns.cli.__main__ import start

with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
    assert start() == 0
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""
CLIENTS = {"aiodocker", "aiohttp", "kubernetes", "watchfiles"}
HEAVY = CLIENTS | {"filelock", "jsonschema", "pydantic", "typing_extensions", "yaml", "rich"}
"""Each takes a tenth of a second, or half of one."""


def imported(folder: Path, *arguments: str) -> set[str]:
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(arguments)],
        env={"TASKRUNS_STATE_DIR": str(folder), "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return set(json.loads(ran.stdout))


@pytest.mark.parametrize(
    "arguments", [["--help"], ["version", "--client"], *([name, "--help"] for name in COMMANDS)]
)
def test_help_and_version_import_nothing_heavy(tmp_path: Path, arguments: list[str]) -> None:
    assert imported(tmp_path, *arguments) & (HEAVY | {"asyncio"}) == set()


def test_a_list_reads_files_and_needs_no_client(tmp_path: Path) -> None:
    (tmp_path / "default").mkdir()
    run = {"metadata": {"name": "a", "creationTimestamp": "2026-01-01T00:00:00Z"}}
    record = {"run": run, "pods": {}, "starts": {}, "version": 1}
    (tmp_path / "default" / "a.json").write_text(json.dumps(record))
    found = imported(tmp_path, "list")
    assert found & HEAVY == {"rich"}
    assert imported(tmp_path, "list", "-o", "json") & HEAVY == set()
