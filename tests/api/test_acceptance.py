"""Valid TaskRuns are accepted unchanged, and the models read everything that is accepted."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from taskruns.api.crd import resource_schema
from taskruns.api.v1alpha1 import TaskRun
from tests.api.crd_copy import Api, answer
from tests.support.builders import schemas
from tests.support.builders.specs import FULL, OTHER, SMALLEST, full_with
from tests.support.cluster.client import Refused

SCHEMA = resource_schema()["properties"]
SAMPLES = sorted((Path(__file__).parents[2] / "manifests" / "samples").glob("*.yaml"))

JOBS_POLICY = """
  podFailurePolicy:
    rules:
    - action: FailJob
      onExitCodes:
        containerName: main      # optional
        operator: In             # one of: In, NotIn
        values: [42]
    - action: Ignore             # one of: Ignore, FailJob, Count
      onPodConditions:
      - type: DisruptionTarget   # indicates Pod disruption
"""
"""A Job's policy: https://kubernetes.io/docs/concepts/workloads/controllers/job/"""

GOOD: dict[str, Any] = {
    "smallest": SMALLEST,
    "full": FULL,
    "other": OTHER,
    **{path.stem: yaml.safe_load(path.read_text())["spec"] for path in SAMPLES},
    "image in the template only": {
        "template": {"spec": {"containers": [{"name": "main", "image": "busybox:1"}]}}
    },
    "lower bounds": SMALLEST
    | {
        "backoffLimit": 0,
        "backoff": {"duration": "0s", "factor": 1, "cap": "0s"},
        "activeDeadlineSeconds": 1,
        "attemptDeadlineSeconds": 1,
        "scheduleTimeoutSeconds": 1,
        "startupTimeoutSeconds": 1,
        "disruptionLimit": 0,
        "ttlSecondsAfterFinished": -1,
        "podGC": {"deleteDelayDuration": "0s"},
    },
    "upper bounds": SMALLEST
    | {
        "backoffLimit": 10_000,
        "backoff": {"duration": "999999h", "factor": 10, "cap": "999999h999999h99999h"},
        "activeDeadlineSeconds": 2**31 - 1,
        "attemptDeadlineSeconds": 2**31 - 1,
        "scheduleTimeoutSeconds": 2**31 - 1,
        "startupTimeoutSeconds": 2**31 - 1,
        "disruptionLimit": 10_000,
        "podFailurePolicy": {
            "rules": [
                {
                    "action": "Count",
                    "onExitCodes": {"operator": "NotIn", "values": list(range(n, n + 255))},
                }
                for n in range(20)
            ]
        },
        "ttlSecondsAfterFinished": 2**31 - 1,
    },
    "the podFailurePolicy of Kubernetes' documentation": SMALLEST
    | yaml.safe_load(JOBS_POLICY)
    | {"backoffLimit": 6},
    "backoff for attempts that never started": SMALLEST | {"backoff": {"factor": 1}},
    "amounts as numbers and as words": SMALLEST
    | {"resources": {"limits": {"cpu": 2, "memory": "1e3"}, "requests": {"cpu": "100m"}}},
    "empty parts": SMALLEST
    | {"env": [], "template": {}, "resources": {}, "args": [], "podGC": {}, "backoffLimit": 1}
    | {"backoff": {}, "nodeSelector": {}, "workingDir": "", "serviceAccountName": ""},
    "a first wait that raises the default cap": SMALLEST | {"backoff": {"duration": "1h"}},
    "fractions": SMALLEST
    | {"backoffLimit": 1, "backoff": {"duration": "0.5s", "factor": 1.5, "cap": "1.25m"}}
    | {"resources": {"limits": {"cpu": 0.5}}},
    "result beside a volume": FULL | {"resultPath": "/database/return.json"},
    "result in a volume": FULL | {"resultPath": "/data/return.json"},
    "result with dots in its name": SMALLEST | {"resultPath": "/a/..b/...c/.d/e."},
    "every script": SMALLEST | {"args": ["héllo \N{SNOWMAN} \N{GRINNING FACE} \t\n 'x' \"y\""]},
}


@pytest.mark.guarantee("A Job's policy is accepted unchanged")
@pytest.mark.parametrize("spec", GOOD.values(), ids=GOOD)
def test_a_valid_spec_is_stored_unchanged_and_the_run_is_unobserved(api: Api, spec: Any) -> None:
    run = api.read(api.create(spec))
    assert run["spec"] == spec
    assert run["status"] == {"observedGeneration": -1}
    assert TaskRun.model_validate(run).status.observed_generation == -1


def test_a_large_task_run_is_accepted(api: Api) -> None:
    """etcd accepts a megabyte; the rules' cost budget must not be the narrower bound."""
    spec = FULL | {
        "args": ["x" * 100_000],
        "env": [{"name": f"VARIABLE_{n}", "value": "v" * 300} for n in range(2_000)],
        "volumeMounts": [{"name": "data", "mountPath": f"/m/{n}/" + "p" * 900} for n in range(256)],
        "tolerations": [{"key": f"key-{n}", "operator": "Exists"} for n in range(500)],
    }
    run = api.create(spec)
    assert len(json.dumps(spec)) > 850_000
    changed = api.replace(run, spec | {"ttlSecondsAfterFinished": 5})
    with pytest.raises(Refused, match="env is immutable: create another TaskRun"):
        api.replace(changed, spec | {"env": [*spec["env"][:-1], {"name": "LAST"}]})


def test_a_null_field_is_dropped(api: Api) -> None:
    run = api.create(SMALLEST | {"resultPath": None, "template": None, "cancel": None})
    assert run["spec"] == SMALLEST


def test_an_integer_may_be_written_as_a_float(api: Api) -> None:
    """YAML and JSON writers differ in this; the model reads both forms."""
    run = api.create(SMALLEST | {"backoffLimit": 3.0})
    assert TaskRun.model_validate(run).spec.backoff_limit == 3


def test_a_jobs_pod_template_is_stored_unchanged(api: Api) -> None:
    template = {
        "metadata": {"name": "pasted", "creationTimestamp": "2026-01-01T00:00:00Z", "labels": {}},
        "spec": {
            "restartPolicy": "Never",
            "containers": [{"name": "main", "image": "busybox:1", "env": []}],
            "terminationGracePeriodSeconds": 5,
        },
    }
    assert api.create({"template": template})["spec"]["template"] == template


@settings(max_examples=150, deadline=None, derandomize=True)
@given(spec=schemas.conforming(SCHEMA["spec"]))
def test_a_spec_that_fits_the_schema_is_parsed_or_refused_by_a_rule(api: Api, spec: Any) -> None:
    response = answer(lambda: api.create(spec))
    if isinstance(response, Refused):
        assert response.status == 422
        assert "evaluating rule" not in response.sentence
    else:
        TaskRun.model_validate(response)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(data=st.data())
def test_every_accepted_spec_can_be_parsed(api: Api, data: st.DataObject) -> None:
    """Any value in any place of a spec is refused, or read by the model."""
    places = [path for path, _ in schemas.fields(SCHEMA["spec"]) if path]
    path = data.draw(st.sampled_from(places))
    spec = schemas.replaced(full_with(path), path, data.draw(schemas.ANYTHING))
    response = answer(lambda: api.create(spec))
    if isinstance(response, Refused):
        assert response.status in {400, 422}
    else:
        TaskRun.model_validate(response)
