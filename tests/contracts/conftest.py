"""Fixtures of the contract tests: golden files."""

from pathlib import Path

import pytest

from tests.support.builders.golden import Golden


@pytest.fixture(scope="session")
def golden(request: pytest.FixtureRequest) -> Golden:
    """Provide the committed renderings; `--update-golden` overwrites them."""
    return Golden(
        Path(__file__).with_name("golden"), update=request.config.getoption("--update-golden")
    )
