"""The whole Pod of an attempt: a file of `golden/pods` holds a TaskRun and, below it, its Pod.

A new case is a file with a TaskRun alone, or with the site's template above it; `pytest
--update-golden` writes the Pod to it.
"""

from pathlib import Path
from typing import Any

import pytest
import yaml

from taskruns.api import names
from taskruns.api.v1alpha1 import TaskRun
from taskruns.core.defaults import SiteDefaults
from taskruns.core.pods import InvalidTemplate, build_pod
from tests.support.builders.golden import Golden
from tests.support.builders.objects import RUN_UID, a_run

FOLDER = Path(__file__).with_name("golden")
CASES = sorted(path.name for path in (FOLDER / "pods").iterdir())


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    return Golden(FOLDER, update=request.config.getoption("--update-golden"))


def pod_of(attempt: int = 1, metadata: dict[str, Any] | None = None, **spec: Any) -> Any:
    return build_pod(TaskRun.model_validate(a_run(metadata=metadata, **spec)), attempt)


@pytest.mark.guarantee(
    "The template overrides the site defaults, and the short fields override both"
)
@pytest.mark.parametrize("case", CASES)
def test_a_task_run_builds_the_expected_pod(golden: Golden, case: str) -> None:
    path = FOLDER / "pods" / case
    source, *_ = path.read_text().partition("---\n")
    case_input = yaml.safe_load(source)
    run = a_run(metadata=case_input["metadata"])
    site = SiteDefaults(pod_template=case_input.get("site", {}))
    pod = build_pod(TaskRun.model_validate({**run, "spec": case_input["spec"]}), 1, site)
    rendered = yaml.safe_dump(pod, sort_keys=True, width=100)
    golden.compare(f"pods/{case}", f"{source}---\n{rendered}")


@pytest.mark.parametrize("case", CASES)
def test_every_pod_has_the_required_fields(case: str) -> None:
    case_input = yaml.safe_load((FOLDER / "pods" / case).read_text().partition("---\n")[0])
    run = a_run(metadata=case_input["metadata"])
    site = SiteDefaults(pod_template=case_input.get("site", {}))
    pod = build_pod(TaskRun.model_validate({**run, "spec": case_input["spec"]}), 3, site)
    metadata, spec = pod["metadata"], pod["spec"]
    assert {"name": names.GATE_CLAIM} in spec["schedulingGates"]
    assert names.FINALIZER_OUTCOME in metadata["finalizers"]
    assert [owner["uid"] for owner in metadata["ownerReferences"]] == [RUN_UID]
    assert metadata["labels"][names.LABEL_UID] == RUN_UID
    assert metadata["labels"][names.LABEL_ATTEMPT] == "3"
    assert spec["restartPolicy"] == "Never"
    assert len(metadata["name"]) <= 63


def test_the_same_run_and_attempt_build_the_same_pod() -> None:
    assert pod_of() == pod_of()
    assert pod_of(1)["metadata"]["name"] != pod_of(2)["metadata"]["name"]


def test_runs_of_one_name_have_pods_of_different_names() -> None:
    assert pod_of()["metadata"]["name"] != pod_of(metadata={"uid": "other"})["metadata"]["name"]


def test_building_changes_nothing_of_the_run() -> None:
    template = {"spec": {"containers": [{"name": "main", "env": [{"name": "A", "value": "1"}]}]}}
    run = TaskRun.model_validate(a_run(template=template, env=[{"name": "B", "value": "2"}]))
    before = run.model_copy(deep=True)
    build_pod(run, 1)
    assert run == before


@pytest.mark.guarantee(
    "A run whose main container cannot be determined fails, and the message says what to write"
)
@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"image": None}, ["spec.image", "template.spec.containers"]),
        ({"template": {"spec": {"nodeName": "a"}}}, ["nodeName", "nodeSelector"]),
        ({"template": {"spec": {"restartPolicy": "Always"}}}, ["restartPolicy", "Never"]),
        (
            {"template": {"spec": {"containers": [{"name": "a"}, {"name": "b"}]}}},
            ["main", "kubectl.kubernetes.io/default-container"],
        ),
        (
            {
                "template": {
                    "metadata": {"annotations": {"kubectl.kubernetes.io/default-container": "c"}},
                    "spec": {"containers": [{"name": "a"}, {"name": "b"}]},
                }
            },
            ["main"],
        ),
    ],
)
def test_an_invalid_template_is_rejected_with_the_correction(spec: Any, words: list[str]) -> None:
    with pytest.raises(InvalidTemplate) as error:
        pod_of(**spec)
    assert all(word in str(error.value) for word in words)


@pytest.mark.parametrize("container", [{"name": "main"}, {"name": "main", "imgae": "typo"}])
def test_unknown_parts_of_a_template_are_passed_to_the_apiserver(container: Any) -> None:
    pod = pod_of(template={"spec": {"containers": [container], "nonsense": True}})
    assert pod["spec"]["nonsense"] is True
    assert container.items() <= pod["spec"]["containers"][0].items()
