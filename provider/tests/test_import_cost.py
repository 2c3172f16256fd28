"""Tests that importing an operator, as DAG processors do, loads no client."""

import subprocess
import sys

import pytest

AIRFLOW = "from airflow.providers.common.compat.sdk import BaseOperator, BaseOperatorLink, XCom"
"""Imports of every DAG processor before it loads a DAG."""

PROGRAM = """
import sys
{first}
before = set(sys.modules)
{then}
print(*sorted(set(sys.modules) - before))
"""
HEAVY = {"aiohttp", "docker", "jinja2", "kopf", "kubernetes", "kubernetes_asyncio", "yaml"}


def modules_imported_by(then: str, first: str = "") -> set[str]:
    program = PROGRAM.format(first=first, then=then)
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=True
    )
    return set(ran.stdout.split())


@pytest.mark.parametrize(
    "statement",
    [
        "from taskruns_airflow import TaskRunOperator",
        "from taskruns_airflow.compat import KubernetesPodOperator; assert KubernetesPodOperator",
    ],
)
def test_importing_an_operator_imports_no_client(statement: str) -> None:
    brought = modules_imported_by(statement, first=AIRFLOW)
    assert "taskruns_airflow.operator" in brought
    assert {name.partition(".")[0] for name in brought} & HEAVY == set()


def test_the_provider_info_imports_nothing_else() -> None:
    brought = modules_imported_by("from taskruns_airflow.provider_info import get_provider_info")
    assert {name for name in brought if name.partition(".")[0] in {"airflow", "taskruns"}} == set()
    assert "taskruns_airflow.operator" not in brought
