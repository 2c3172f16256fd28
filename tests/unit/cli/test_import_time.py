"""The program starts fast: a command imports only what it needs."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from taskruns.cli.main import COMMANDS

PROGRAM = """
import contextlib, io, json, sys

commands = json.loads(sys.argv[1])
from taskruns.cli.__main__ import run

for command in commands:
    sys.argv = ["taskrun", *command]
    out, err = io.TextIOWrapper(io.BytesIO()), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        assert run() == 0
    print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""
CLIENTS = {"aiodocker", "aiohttp", "kubernetes", "watchfiles"}
HEAVY = CLIENTS | {"filelock", "jsonschema", "pydantic", "typing_extensions", "yaml", "rich"}
"""Modules whose import takes a tenth of a second to half a second each."""


def imported(folder: Path, *commands: Sequence[str], **environment: str) -> list[set[str]]:
    """Return the modules that a process has imported after each of these commands.

    One process runs the commands one after the other.
    """
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(commands)],
        env={
            "TASKRUNS_STATE_DIR": str(folder),
            "HOME": str(folder),
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return [set(json.loads(line)) for line in ran.stdout.splitlines()]


def test_commands_import_only_what_they_need(tmp_path: Path) -> None:
    light = [["--help"], ["version", "--client"], *([name, "--help"] for name in COMMANDS)]
    (tmp_path / "default").mkdir()
    run = {"metadata": {"name": "a", "creationTimestamp": "2026-01-01T00:00:00Z"}}
    record = {"run": run, "pods": {}, "asked": {}, "version": 1}
    (tmp_path / "default" / "a.json").write_text(json.dumps(record))
    *sets, as_json, as_table = imported(tmp_path, *light, ["list", "-o", "json"], ["list"])
    for command, modules in zip(light, sets, strict=True):
        assert modules & (HEAVY | {"asyncio"}) == set(), command
    assert sets[0] & {"difflib", "hashlib", "logging"} == set()
    assert as_json & HEAVY == set()
    assert as_table & HEAVY == {"rich"}
