"""Each scenario runs twice: in memory, where time is simulated, and on the real cluster."""

from collections.abc import Iterator

import pytest

from tests.engine.lab import Lab
from tests.engine.simulation import MemoryLab


@pytest.fixture(params=["memory", "kubernetes"])
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    if request.param == "memory":
        yield MemoryLab()
        return
    yield from request.getfixturevalue("kubernetes_labs")()
