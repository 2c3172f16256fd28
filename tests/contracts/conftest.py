"""What the contracts need beside the sources: golden files to compare with."""

import pytest

from tests.contracts.golden import Golden


@pytest.fixture(scope="session")
def golden(request: pytest.FixtureRequest) -> Golden:
    """The committed renderings; `--update-golden` writes them anew."""
    return Golden(update=request.config.getoption("--update-golden"))
