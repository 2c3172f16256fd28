"""What Airflow reads to know this distribution as a provider (`airflow providers list`)."""

from typing import Any


def get_provider_info() -> dict[str, Any]:
    """Return what Airflow's provider_info.schema.json asks for."""
    package = "taskruns_airflow"
    return {
        "package-name": "airflow-provider-taskruns",
        "name": "TaskRuns",
        "description": "Containers on Kubernetes as TaskRuns, whose lifecycle outlives the worker.",
        "integrations": [{"integration-name": "TaskRuns", "tags": ["service"]}],
        "operators": [{"integration-name": "TaskRuns", "python-modules": [f"{package}.operator"]}],
        "hooks": [{"integration-name": "TaskRuns", "python-modules": [f"{package}.hook"]}],
        "triggers": [{"integration-name": "TaskRuns", "python-modules": [f"{package}.trigger"]}],
        "connection-types": [
            {
                "connection-type": "taskruns",
                "hook-class-name": f"{package}.hook.TaskRunHook",
                "hook-name": "TaskRuns",
            }
        ],
        "task-decorators": [{"name": "taskrun", "class-name": f"{package}.decorator.taskrun_task"}],
        "extra-links": [f"{package}.link.TaskRunLink"],
    }
