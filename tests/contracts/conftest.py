"""Fixtures of the contract tests: environment and golden files."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.builders.golden import Golden
from tests.support.environment import isolated


@pytest.fixture(scope="session")
def golden(request: pytest.FixtureRequest) -> Golden:
    """Provide the committed renderings; `--update-golden` overwrites them."""
    return Golden(
        Path(__file__).with_name("golden"), update=request.config.getoption("--update-golden")
    )


@pytest.fixture(autouse=True)
def _isolated_environment(empty_home: Path) -> Iterator[None]:
    """Hide the machine's cluster, daemon and settings from the test."""
    with isolated(empty_home):
        yield
