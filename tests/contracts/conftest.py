"""What the contracts need beside the sources: golden files to compare with."""

from pathlib import Path

import pytest

from tests.support.builders.golden import Golden


@pytest.fixture(scope="session")
def golden(request: pytest.FixtureRequest) -> Golden:
    """The committed renderings; `--update-golden` writes them anew."""
    return Golden(
        Path(__file__).with_name("golden"), update=request.config.getoption("--update-golden")
    )
