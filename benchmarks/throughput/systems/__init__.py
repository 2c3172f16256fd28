"""The systems that are compared, by name."""

from collections.abc import Mapping

from benchmarks.throughput.system import Controller, System
from benchmarks.throughput.systems.jobs import Jobs
from benchmarks.throughput.systems.pods import Pods
from benchmarks.throughput.systems.taskruns import TaskRuns

AT_ONCE = ("--default-delete-delay", "0s")
"""Flags of a controller that deletes a Pod as soon as its outcome is recorded."""

SYSTEMS: Mapping[str, System] = {
    "pods": Pods(),
    "jobs": Jobs(),
    "jobs-stock": Jobs("jobs-stock", "Job, stock limits", stock=True),
    "taskruns": TaskRuns("taskruns", "taskruns", Controller(AT_ONCE)),
    "taskruns-default": TaskRuns("taskruns-default", "taskruns, 30 s delay", Controller()),
}
