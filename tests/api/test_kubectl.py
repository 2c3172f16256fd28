"""The output that a user with kubectl alone sees."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from taskruns.api import names
from tests.api.crd_copy import Api, Object
from tests.api.test_status import FULL as FULL_STATUS
from tests.cluster import Cluster
from tests.support.builders.specs import FULL, SMALLEST
from tests.support.cluster.client import Kube

DEFINITION = Path(__file__).parents[2] / "crds" / "taskruns.yaml"
SELECTABLE_FIELDS = 31
"""Minor version of Kubernetes since which a definition has them."""


def stamp(ago: timedelta) -> str:
    return (datetime.now(UTC) - ago).strftime("%Y-%m-%dT%H:%M:%SZ")


def table(cluster: Cluster, api: Api, *flags: str) -> list[dict[str, str]]:
    """Return the rows that `kubectl get` prints, by the columns' headings."""
    printed = cluster.kubectl("get", f"{api.plural}.{api.group}", "-n", api.namespace, *flags)
    heading, *rows = printed.stdout.splitlines()
    starts = [heading.index(name) for name in heading.split()]
    ends = [*starts[1:], None]
    cut = [
        [row[start:end].strip() for start, end in zip(starts, ends, strict=True)] for row in rows
    ]
    return [dict(zip(heading.split(), row, strict=True)) for row in cut]


def test_the_crd_is_served_unpruned(kube: Kube, definition: Object) -> None:
    """Nothing was pruned, so the apiserver knows every field of the definition."""
    written = yaml.safe_load(DEFINITION.read_text())
    assert definition["metadata"]["name"] == written["metadata"]["name"]
    served, expected = definition["spec"]["versions"], written["spec"]["versions"]
    if kube.minor() < SELECTABLE_FIELDS:
        expected = [{k: v for k, v in each.items() if k != "selectableFields"} for each in expected]
    assert served == expected
    conditions = {each["type"]: each["status"] for each in definition["status"]["conditions"]}
    assert conditions.get("NonStructuralSchema", "False") == "False"
    assert conditions["NamesAccepted"] == "True"


@pytest.mark.usefixtures("definition")
@pytest.mark.parametrize("flags", [("--server-side", "--force-conflicts"), ()])
def test_the_crd_can_be_applied_again(cluster: Cluster, flags: tuple[str, ...]) -> None:
    """Client-side apply must fit the whole definition into an annotation."""
    for _ in range(2):
        cluster.kubectl("apply", "--dry-run=server", *flags, "-f", str(DEFINITION))


@pytest.mark.usefixtures("definition")
@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("spec.backoffLimit", ["<integer>", "Number of retries after failures of the application"]),
        ("spec.backoffLimit", ["Default: 0, no retry.", "At least 0 and at most 10000."]),
        (
            "spec.activeDeadlineSeconds",
            ["<integer>", "Duration in seconds from", "Default: no limit."],
        ),
        (
            "spec.podGC.strategy",
            ["ENUM: OnPodCompletion OnPodSuccess Never", "Default: OnPodCompletion."],
        ),
        ("spec.backoff.duration", ["<string>", "30s, 5m or 1h30m", "Default: 10s."]),
        ("spec.env.name", ["<string>", "Name of the variable. Not empty."]),
        ("spec.template", ["<Object>", "core/v1 PodTemplateSpec"]),
        ("spec.resources", ["<map[string]", "core/v1 ResourceRequirements"]),
        ("spec", ["Immutable except for suspend, cancel and ttlSecondsAfterFinished."]),
        ("status.conditions.type", ["Finished (Complete or Failed)"]),
        ("status.phase", ["ENUM: Suspended Queued Pending", "Succeeded, Failed and Cancelled are"]),
    ],
)
def test_explain_shows_meaning_unit_default_and_bound(
    cluster: Cluster, field: str, expected: list[str]
) -> None:
    explained = cluster.kubectl("explain", f"{names.SHORT_NAME}.{field}").stdout
    text = " ".join(explained.split())
    for word in expected:
        assert word in text


@pytest.mark.usefixtures("definition")
def test_explain_lists_every_field_of_spec(cluster: Cluster) -> None:
    explained = cluster.kubectl("explain", f"{names.SHORT_NAME}.spec").stdout
    assert all(f"  {field}\t<" in explained for field in FULL)


@pytest.mark.usefixtures("definition")
def test_kubectl_get_accepts_the_short_name(cluster: Cluster) -> None:
    listed = cluster.kubectl("get", names.SHORT_NAME, "-n", "default", "-o", "name")
    assert listed.returncode == 0


@pytest.mark.usefixtures("definition")
@pytest.mark.parametrize("path", sorted((DEFINITION.parents[1] / "manifests/samples").glob("*")))
def test_a_sample_is_accepted(cluster: Cluster, path: Path) -> None:
    cluster.kubectl("create", "--dry-run=server", "-n", "default", "-f", str(path))


def test_columns_of_a_run_without_status(cluster: Cluster, api: Api) -> None:
    name = api.create(SMALLEST, "unseen")["metadata"]["name"]
    (row,) = table(cluster, api, "--field-selector", f"metadata.name={name}")
    assert row.pop("AGE").endswith("s")
    assert row == {"NAME": "unseen"} | dict.fromkeys(
        ["PHASE", "REASON", "EXIT", "ATTEMPT", "STARTED", "FINISHED"], ""
    )


def test_columns_of_a_run_that_has_ended(cluster: Cluster, api: Api) -> None:
    first = {"number": 1, "podName": "ended-1", "podUID": "1", "nodeName": "node-0"}
    run = api.create(SMALLEST, "ended")
    times = {"startTime": stamp(timedelta(hours=2)), "completionTime": stamp(timedelta(minutes=5))}
    attempts = {"attempts": [first, *FULL_STATUS["attempts"]]}
    api.report(run, FULL_STATUS | times | attempts)
    only = ("--field-selector", "metadata.name=ended")
    (row,) = table(cluster, api, *only)
    assert row.pop("AGE").endswith("s")
    assert row.pop("FINISHED").startswith("5m")
    plain = {
        "NAME": "ended",
        "PHASE": "Failed",
        "REASON": "OOMKilled",
        "EXIT": "137",
        "ATTEMPT": "2",
        "STARTED": "120m",
    }
    assert row == plain
    (wide,) = table(cluster, api, *only, "-o", "wide")
    assert wide.items() >= (plain | {
        "POD": "hello-9f3c1a77d2-2", "NODE": "node-1", "IMAGE": "busybox:1"
    }).items()  # fmt: skip


def test_runs_are_selected_by_phase(cluster: Cluster, api: Api) -> None:
    """Other tests may leave runs of any phase in the namespace."""
    if api.kube.minor() < SELECTABLE_FIELDS:
        pytest.skip("before Kubernetes 1.31, a field selector cannot name a field of a TaskRun")
    api.report(api.create(SMALLEST, "stopping"), {"phase": "Stopping"})
    api.report(api.create(SMALLEST, "not-stopping"), {"phase": "Running"})
    rows = table(cluster, api, "--field-selector", "status.phase=Stopping")
    names = [row["NAME"] for row in rows]
    assert "stopping" in names
    assert "not-stopping" not in names


@pytest.mark.parametrize("kind", ["Complete", "Failed"])
def test_kubectl_wait_for_finished_returns_for_either_end(
    cluster: Cluster, api: Api, kind: str
) -> None:
    run = api.create(SMALLEST, f"end-{kind.lower()}")
    finished = FULL_STATUS["conditions"][0]
    api.report(run, {"conditions": [finished, finished | {"type": kind}]})
    cluster.kubectl(
        *("wait", f"{api.plural}.{api.group}/{run['metadata']['name']}", "-n", api.namespace),
        *("--for=condition=Finished", "--timeout=5s"),
    )


@pytest.mark.parametrize("flags", [(), ("--server-side",)])
def test_a_manifest_can_be_applied_again_and_cancelled(
    cluster: Cluster, api: Api, flags: tuple[str, ...]
) -> None:
    name = f"applied{'-by-server' * len(flags)}"

    def apply(spec: Any) -> str:
        manifest = api.manifest(spec, name)
        manifest["metadata"]["namespace"] = api.namespace
        return cluster.kubectl("apply", *flags, "-f", "-", stdin=json.dumps(manifest)).stdout

    apply(FULL)
    again = apply(FULL)
    assert "unchanged" in again or "serverside-applied" in again
    apply(FULL | {"cancel": True})
    run = api.kube.get(api.resource, api.namespace, name)
    assert run is not None
    assert run["spec"] == FULL | {"cancel": True}
    assert run["metadata"]["generation"] == 2


def test_kubectl_prints_a_message_for_each_invalid_field(cluster: Cluster, api: Api) -> None:
    manifest = api.manifest(SMALLEST | {"resultPath": "result.json", "backoffLimit": -1}, "bad")
    done = cluster.kubectl(
        "create", "-n", api.namespace, "-f", "-", stdin=yaml.safe_dump(manifest), check=False
    )
    assert done.returncode == 1
    assert "spec.resultPath" in done.stderr
    assert "write the absolute path of a file, such as /airflow/xcom/return.json" in done.stderr
    assert "spec.backoffLimit in body should be greater than or equal to 0" in done.stderr
