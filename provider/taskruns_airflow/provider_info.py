"""What Airflow reads to know this distribution as a provider (`airflow providers list`)."""

from typing import Any


def get_provider_info() -> dict[str, Any]:
    """Return what Airflow's provider_info.schema.json asks for."""
    return {
        "package-name": "airflow-provider-taskruns",
        "name": "TaskRuns",
        "description": "Containers on Kubernetes as TaskRuns, whose lifecycle outlives the worker.",
    }
