"""Provider metadata, by which Airflow recognises this distribution (`airflow providers list`)."""

from typing import Any

from taskruns_airflow.connection import CONNECTION_TYPE, form_fields


def get_provider_info() -> dict[str, Any]:
    """Return the metadata in the form of Airflow's provider_info.schema.json."""
    package = "taskruns_airflow"
    return {
        "package-name": "airflow-provider-taskruns",
        "name": "TaskRuns",
        "description": "Containers on Kubernetes or Docker as TaskRuns, which outlive the worker.",
        "integrations": [{"integration-name": "TaskRuns", "tags": ["service"]}],
        "operators": [{"integration-name": "TaskRuns", "python-modules": [f"{package}.operator"]}],
        "hooks": [{"integration-name": "TaskRuns", "python-modules": [f"{package}.hook"]}],
        "triggers": [{"integration-name": "TaskRuns", "python-modules": [f"{package}.trigger"]}],
        "connection-types": [
            {
                "connection-type": CONNECTION_TYPE,
                "hook-class-name": f"{package}.hook.TaskRunHook",
                "hook-name": "TaskRuns",
                "conn-fields": form_fields(),
                "ui-field-behaviour": {
                    "hidden-fields": ["host", "schema", "login", "password", "port"],
                },
            }
        ],
        "task-decorators": [{"name": "taskrun", "class-name": f"{package}.decorator.taskrun_task"}],
        "extra-links": [f"{package}.link.TaskRunLink"],
    }
