"""What the contracts need beside the sources: helm, and golden files to compare with."""

import os

import pytest

from tests.contracts.golden import Golden
from tools import helm as helm_tool


@pytest.fixture(scope="session")
def helm() -> str:
    """The path of helm; in CI it must be there, elsewhere tests are skipped without it."""
    try:
        return helm_tool.program()
    except helm_tool.HelmMissingError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error), pytrace=False)
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def golden(request: pytest.FixtureRequest) -> Golden:
    """The committed renderings; `--update-golden` writes them anew."""
    return Golden(update=request.config.getoption("--update-golden"))
