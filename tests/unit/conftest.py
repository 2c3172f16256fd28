"""How hard properties are tried: a little and always the same, or much and ever anew."""

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

gc.set_threshold(50_000)  # to look through memory as often as usual takes a tenth of all the time


def pytest_collection_finish() -> None:
    """Leave out of it what lives to the end anyway."""
    gc.freeze()
