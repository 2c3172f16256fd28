"""`taskruns` without extras offers its contract, and imports only pydantic for it."""

import subprocess
import sys

PROGRAM = """
import importlib, importlib.metadata, pkgutil, sys

import taskruns.api

for module in pkgutil.walk_packages(taskruns.api.__path__, "taskruns.api."):
    importlib.import_module(module.name)

third_party = importlib.metadata.packages_distributions()
print(*sorted({name.partition(".")[0] for name in sys.modules} & third_party.keys()))
"""
OF_PYDANTIC = {"annotated_types", "pydantic", "pydantic_core", "typing_extensions"}


def test_the_contract_imports_pydantic_and_nothing_else() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    assert set(ran.stdout.split()) - {"taskruns", "typing_inspection"} == OF_PYDANTIC


WITHOUT_CLICK = """
import sys

sys.modules["click"] = None
from taskruns.cli.__main__ import run

sys.exit(run())
"""


def test_the_command_line_says_what_it_lacks() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", WITHOUT_CLICK], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 125
    assert ran.stderr == "taskrun: click is missing: install taskruns with its extra cli\n"
