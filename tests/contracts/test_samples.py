"""Samples are TaskRuns that the models read completely."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from taskruns.api import names
from taskruns.api.v1alpha1 import TaskRunSpec

FOLDER = Path(__file__).parents[2] / "manifests" / "samples"


def _samples() -> list[Any]:
    return [
        pytest.param(sample, path.stem, id=path.stem)
        for path in sorted(FOLDER.glob("*.yaml"))
        for sample in yaml.safe_load_all(path.read_text())
    ]


@pytest.mark.parametrize(("sample", "name"), _samples())
def test_a_sample_reads_back_as_it_was_written(sample: dict[str, Any], name: str) -> None:
    assert sample["apiVersion"] == names.API_VERSION
    assert sample["kind"] == names.KIND
    assert sample["metadata"] == {"name": name}
    # The models ignore unknown fields, so a misspelt field would be missing here.
    assert TaskRunSpec.model_validate(sample["spec"]).to_json() == sample["spec"]
