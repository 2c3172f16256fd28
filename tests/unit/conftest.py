"""Environment of the unit tests, and their Hypothesis profiles.

Property tests use few and fixed examples by default, and many random ones on request.
"""

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support.environment import isolated

settings.register_profile(
    "quick",
    max_examples=20,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "thorough",
    max_examples=2000,
    stateful_step_count=80,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("TASKRUNS_PROPERTIES", "quick"))

gc.set_threshold(50_000)  # collections at the default threshold take a tenth of the time


def pytest_collection_finish() -> None:
    """Exclude objects that live until the end from garbage collection."""
    gc.freeze()


@pytest.fixture(autouse=True)
def _isolated_environment(empty_home: Path) -> Iterator[None]:
    """Hide the machine's cluster, daemon and settings from the test."""
    with isolated(empty_home):
        yield
