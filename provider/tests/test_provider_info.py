"""Tests that Airflow can read the provider's metadata."""

import importlib.metadata
import json
from importlib.resources import files

import pytest
from airflow.cli.cli_parser import get_parser
from airflow.providers_manager import ProvidersManager
from jsonschema import validate

from taskruns_airflow.decorator import taskrun_task
from taskruns_airflow.provider_info import get_provider_info


def test_airflow_finds_the_provider_by_its_entry_point() -> None:
    (point_of_provider,) = (
        point
        for point in importlib.metadata.entry_points(group="apache_airflow_provider")
        if point.dist is not None and point.dist.name == "airflow-provider-taskruns"
    )
    assert point_of_provider.load() is get_provider_info


def test_the_provider_info_matches_airflows_schema() -> None:
    schema = json.loads((files("airflow") / "provider_info.schema.json").read_text())
    validate(get_provider_info(), schema)


@pytest.mark.filterwarnings("ignore")  # Airflow's own code uses deprecated functions
def test_airflow_lists_all_that_the_provider_has() -> None:
    airflow = ProvidersManager()  # type: ignore[no-untyped-call]  # untyped in Airflow
    assert "airflow-provider-taskruns" in airflow.providers
    hook = airflow.hooks["taskruns"]
    assert hook is not None
    assert hook.hook_class_name == "taskruns_airflow.hook.TaskRunHook"
    triggers = {each.trigger_class_name for each in airflow.trigger}
    assert "taskruns_airflow.trigger" in triggers
    assert dict(airflow.taskflow_decorators)["taskrun"] is taskrun_task
    assert "taskruns_airflow.link.TaskRunLink" in airflow.extra_links_class_names
    assert get_provider_info()["operators"] == [
        {"integration-name": "TaskRuns", "python-modules": ["taskruns_airflow.operator"]}
    ]


@pytest.mark.filterwarnings("ignore")  # as above
@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("list", {"airflow-provider-taskruns"}),
        ("hooks", {"taskruns_airflow.hook.TaskRunHook"}),
        ("triggers", {"taskruns_airflow.trigger"}),
        ("links", {"taskruns_airflow.link.TaskRunLink"}),
        (
            "get --full airflow-provider-taskruns",
            {
                "taskruns_airflow.operator",
                "taskruns_airflow.hook",
                "taskruns_airflow.decorator.taskrun_task",
                "connection-type",
            },
        ),
    ],
)
def test_airflows_commands_show_all_that_the_provider_has(
    command: str, expected: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = get_parser().parse_args(["providers", *command.split(), "--output", "json"])
    arguments.func(arguments)
    shown = capsys.readouterr().out
    assert {each for each in expected if each not in shown} == set()
