"""Hypothesis profiles: few and fixed examples by default, many random ones on request."""

import gc
import os

from hypothesis import HealthCheck, settings

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
