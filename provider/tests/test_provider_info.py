"""What the provider tells Airflow about itself is what Airflow can read."""

import importlib.metadata
import json
from importlib.resources import files

from jsonschema import validate

from taskruns_airflow.provider_info import get_provider_info


def test_airflow_finds_the_provider_by_its_entry_point() -> None:
    (found,) = (
        point
        for point in importlib.metadata.entry_points(group="apache_airflow_provider")
        if point.dist is not None and point.dist.name == "airflow-provider-taskruns"
    )
    assert found.load() is get_provider_info


def test_what_is_told_is_what_airflow_understands() -> None:
    schema = json.loads((files("airflow") / "provider_info.schema.json").read_text())
    validate(get_provider_info(), schema)
