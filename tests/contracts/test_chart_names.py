"""Names and values that YAML may misread, names that are too long, and null values."""

import json
import os
import shutil
from collections.abc import Iterator
from itertools import groupby, zip_longest
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import rendering
from tools import helm as helm_tool

CHART = Path(__file__).parents[2] / "charts" / "taskruns"
THOROUGH = os.environ.get("TASKRUNS_PROPERTIES") == "thorough"
LONGEST = "a" * 53
"""Helm's own limit for the name of a release."""
ODD = (
    "2024",
    "1e3",
    "0755",
    "true",
    "null",
    "no",
    "0x10",
    "0o17",
    "1.5",
    "a.b",
    "12e-3",
    "9",
    LONGEST,
)
EVERYTHING: dict[str, Any] = {
    "commonLabels": {"a": "1e3", "b": "0755", "c": "yes", "d": "", "e": "12"},
    "image": {"tag": "1.10", "registry": "registry.test:5000/", "pullSecrets": [{"name": "1e3"}]},
    "global": {"imagePullSecrets": ["0755", {"name": "1e3"}]},
    "taskPodDefaults": {
        "metadata": {"labels": {"a": "1e3"}},
        "spec": {"nodeSelector": {"a": "no"}},
    },
    "serviceAccount": {"name": "1e3", "annotations": {"a": "true", "b": "0755"}},
    "roles": {
        "client": {
            "bindings": [
                {"namespace": "1234", "serviceAccount": "0755", "serviceAccountNamespace": "1e3"},
                {"namespace": "a", "serviceAccount": "b-c", "serviceAccountNamespace": "a"},
                {"namespace": "a", "serviceAccount": "c", "serviceAccountNamespace": "a-b"},
                {"namespace": "a", "serviceAccount": "b-c"},
            ]
        }
    },
    "networkPolicy": {"enabled": True, "apiserverCIDRs": ["10.0.0.0/8", "fd00::/8", "::1/128"]},
    "serviceMonitor": {"enabled": True, "interval": "1m30s", "labels": {"a": "1e3"}},
    "alerts": {"enabled": True, "labels": {"a": "on"}},
    "dashboard": {
        "enabled": True,
        "labels": {"a": "1e3", "grafana_dashboard": "2"},
        "annotations": {"a": "0755"},
    },
    "podLabels": {"a": "0755", "app.kubernetes.io/name": "does-not-count"},
    "podAnnotations": {"a": "1e3", "kubectl.kubernetes.io/default-container": "does-not-count"},
    "nodeSelector": {"a": "true"},
    "tolerations": [{"key": "a", "value": "true", "tolerationSeconds": 5}],
    "priorityClassName": "0755",
    "priorityClass": {"create": True},
    "extraArgs": ["--resync-seconds=30", "true", "1e3"],
    "extraEnv": [{"name": "A", "value": "yes"}, {"name": "B", "value": "1_000"}],
    "resources": {"limits": {"cpu": 2, "memory": 1073741824}, "requests": {"cpu": 0.5}},
}
"""Values that switch on every object of the chart, with texts that YAML may misread."""

pytestmark = pytest.mark.usefixtures("helm")


def _render(
    values: dict[str, Any],
    release: str = "taskruns",
    namespace: str = "taskruns-system",
    chart: Path = CHART,
) -> list[rendering.Object]:
    flags = [
        f for name, value in values.items() for f in ("--set-json", f"{name}={json.dumps(value)}")
    ]
    objects = rendering.read(helm_tool.render(chart, namespace, *flags, release=release))
    rendering.check(objects)
    return objects


def _named(objects: list[rendering.Object], kind: str) -> rendering.Object:
    (match,) = (each for each in objects if each["kind"] == kind)
    return match


@pytest.mark.parametrize("release", ODD)
def test_every_name_of_a_release_makes_valid_objects(release: str) -> None:
    objects = _render(EVERYTHING, release=release)
    labels = [each["metadata"]["labels"] for each in objects]
    assert {each["app.kubernetes.io/instance"] for each in labels} == {release}


@pytest.mark.parametrize("namespace", ["1234", "1e3", "0755", "true", "null", "b" * 63])
def test_every_namespace_makes_valid_objects(namespace: str) -> None:
    _render(EVERYTHING, namespace=namespace)
    served = _render({"namespaces": [namespace, "a"]}, namespace=namespace)
    roles = {each["metadata"]["namespace"] for each in served if each["kind"] == "Role"}
    assert roles == {namespace, "a"}


@pytest.mark.parametrize("key", ["nameOverride", "fullnameOverride"])
@pytest.mark.parametrize("name", ["b" * 63, "1e3", "0755", "true", True, 1234, 12345678])
def test_every_override_makes_valid_objects(key: str, name: str | int) -> None:
    objects = _render(EVERYTHING | {key: name}, release=LONGEST)
    if key == "fullnameOverride":
        assert _named(objects, "Deployment")["metadata"]["name"] == json.dumps(name).strip('"')


def test_names_that_differ_at_their_end_alone_stay_different() -> None:
    names = [
        [
            (each["kind"], each["metadata"]["name"])
            for each in _render({"fullnameOverride": "b" * 62 + end})
        ]
        for end in "xy"
    ]
    assert not {*names[0]} & {*names[1]} - {("CustomResourceDefinition", "taskruns.taskruns.dev")}


def test_each_account_of_a_binding_is_bound_once() -> None:
    bound = [
        (
            each["metadata"]["namespace"],
            each["subjects"][0]["namespace"],
            each["subjects"][0]["name"],
        )
        for each in _render(EVERYTHING)
        if each["kind"] == "RoleBinding" and "-client-" in each["metadata"]["name"]
    ]
    assert bound == [("1234", "1e3", "0755"), ("a", "a", "b-c"), ("a", "a-b", "c")]


def test_numbers_and_booleans_become_texts() -> None:
    """`--set` turns 2024 and true into a number and a boolean."""
    objects = _render(
        {
            "image.tag": 20240101,
            "namespaces": [1234],
            "podLabels": {"a": 12345678, "b": True, "left-out": None},
            "podAnnotations": {"prometheus.io/port": 8080, "prometheus.io/scrape": True},
            "nodeSelector": {"gpu": True},
            "tolerations": [{"key": "gpu", "value": True}],
            "extraArgs": [5],
            "extraEnv": [{"name": "A", "value": 8080}],
            "serviceAccount.annotations": {"a": 1},
        }
    )
    template = _named(objects, "Deployment")["spec"]["template"]
    (container,) = template["spec"]["containers"]
    assert container["image"] == "taskruns/controller:20240101"
    assert container["args"][-1] == "5"
    assert "--namespaces=1234" in container["args"]
    assert template["spec"]["nodeSelector"] == {"gpu": "true"}
    assert template["spec"]["tolerations"] == [{"key": "gpu", "value": "true"}]
    assert template["metadata"]["labels"]["a"] == "12345678"
    assert template["metadata"]["annotations"]["prometheus.io/port"] == "8080"
    assert container["env"] == [{"name": "A", "value": "8080"}]


def test_a_version_with_a_build_makes_valid_labels(tmp_path: Path) -> None:
    chart = shutil.copytree(CHART, tmp_path / "taskruns")
    about = chart / "Chart.yaml"
    build = "+build." + "7" * 70
    text = about.read_text().replace("version: 0.1.0", f"version: 0.1.0{build}")
    about.write_text(text.replace('appVersion: "0.1.0"', 'appVersion: "0.1.0+build.7"'))
    objects = _render(EVERYTHING, chart=chart)
    assert {each["metadata"]["labels"]["app.kubernetes.io/version"] for each in objects} == {
        "0.1.0_build.7"
    }
    image = _named(_render({}, chart=chart), "Deployment")["spec"]["template"]["spec"][
        "containers"
    ][0]["image"]
    assert image == "taskruns/controller:0.1.0_build.7"


# ---------------------------------------------------------------------------- null and missing


def _places(values: dict[str, Any], above: str = "") -> Iterator[str]:
    for name, value in values.items():
        yield f"{above}{name}"
        if isinstance(value, dict):
            yield from _places(value, f"{above}{name}.")


def _batches(places: list[str]) -> list[tuple[str, ...]]:
    """Return all places in batches with at most one place of each top-level group.

    `TASKRUNS_PROPERTIES=thorough` tries each place alone, which takes ten times as long.
    """
    if THOROUGH:
        return [(place,) for place in places]
    groups = [list(group) for _, group in groupby(places, lambda place: place.partition(".")[0])]
    return [tuple(filter(None, batch)) for batch in zip_longest(*groups)]


def _with_null(places: tuple[str, ...]) -> str:
    """Render with some values null and all else switched on; return helm's refusal, or ""."""
    everything = [
        f
        for name, value in EVERYTHING.items()
        for f in ("--set-json", f"{name}={json.dumps(value)}")
    ]
    nulls = [f for place in places for f in ("--set-json", f"{place}=null")]
    try:
        rendered = helm_tool.render(CHART, "a", *everything, *nulls)
    except ValueError as error:
        return str(error)
    rendering.check(rendering.read(rendered))
    return ""


def test_every_value_may_be_null() -> None:
    places = list(_places(yaml.safe_load((CHART / "values.yaml").read_text())))
    assert len(places) > 80
    batches = _batches(places)
    assert sorted(place for batch in batches for place in batch) == sorted(places)
    refused = {batch: words for batch in batches if (words := _with_null(batch))}
    assert refused == {}


def test_values_of_an_older_chart_may_lack_everything(tmp_path: Path) -> None:
    """`helm upgrade --reuse-values` renders with the values of the previous chart."""
    chart = shutil.copytree(CHART, tmp_path / "taskruns")
    (chart / "values.yaml").write_text("global: null\n")
    older, newer = _render({}, chart=chart), _render({})
    template = _named(newer, "Deployment")["spec"]["template"]["spec"]
    del (
        template["securityContext"],
        template["containers"][0]["securityContext"],
        template["containers"][0]["resources"],
    )
    job = _named(newer, "Job")["spec"]["template"]["spec"]
    del (
        job["securityContext"],
        job["containers"][0]["securityContext"],
        job["containers"][0]["resources"],
    )
    assert older == newer


def test_a_group_of_any_content_that_is_null_is_left_out() -> None:
    spec = _named(_render({"resources": None, "podSecurityContext": None}), "Deployment")["spec"]
    assert "securityContext" not in spec["template"]["spec"]
    assert "resources" not in spec["template"]["spec"]["containers"][0]


# ---------------------------------------------------------------------------- refused values

REFUSED = {
    "an address for a CIDR": ({"networkPolicy.apiserverCIDRs": ["10.0.0.0"]}, "apiserverCIDRs/0"),
    "a CIDR beyond its bytes": (
        {"networkPolicy.apiserverCIDRs": ["10.0.0.256/8"]},
        "apiserverCIDRs has 10.0.0.256/8, which is not a CIDR",
    ),
    "a CIDR with too long a prefix": (
        {"networkPolicy.apiserverCIDRs": ["10.0.0.0/33"]},
        "10.0.0.0/33, which is not a CIDR",
    ),
    "a CIDR of nine groups": (
        {"networkPolicy.apiserverCIDRs": ["1:2:3:4:5:6:7:8:9/64"]},
        "which is not a CIDR",
    ),
    "a CIDR of one group": ({"networkPolicy.apiserverCIDRs": ["fd00/8"]}, "which is not a CIDR"),
    "a name in capitals": ({"nameOverride": "Runs"}, "at '/nameOverride': 'Runs'"),
    "a name too long": ({"fullnameOverride": "a" * 64}, "at '/fullnameOverride': maxLength"),
    "a name with a dot": ({"fullnameOverride": "a.b"}, "at '/fullnameOverride': 'a.b'"),
    "a label's key with a space": ({"commonLabels": {"a b": "x"}}, "'/commonLabels': additional"),
    "a label's value with a space": ({"podLabels": {"a": "x y"}}, "'/podLabels/a': 'x y'"),
    "a label's value too long": ({"nodeSelector": {"a": "x" * 64}}, "'/nodeSelector/a': maxLength"),
    "a negative label": ({"podLabels": {"a": -1}}, "'/podLabels/a': minimum"),
    "a label that is a fraction": ({"podLabels": {"a": 1.1}}, "'/podLabels/a': got number"),
    "an annotation's key with a space": ({"podAnnotations": {"a b": ""}}, "'/podAnnotations'"),
    "a tag that is a fraction": ({"image.tag": 1.1}, "'/image/tag': got number"),
    "a tag of a file that may be 1.0": ({"image.tag": 1}, "image.tag is the number 1, and"),
    "a tag with a plus sign": ({"image.tag": "1+2"}, "'/image/tag': '1+2'"),
    "a tag within the repository": ({"image.repository": "a/b:1"}, "'/image/repository': 'a/b:1'"),
    "a service account's name": ({"serviceAccount.name": "A_b"}, "'/serviceAccount/name'"),
    "a kind in the Pod's defaults": (
        {"taskPodDefaults": {"kind": "Pod"}},
        "'/taskPodDefaults': additional properties 'kind'",
    ),
    "a name in the Pod's defaults": (
        {"taskPodDefaults": {"metadata": {"name": "a"}}},
        "'/taskPodDefaults/metadata': additional properties 'name'",
    ),
    "a number for a label of the Pod's defaults": (
        {"taskPodDefaults": {"metadata": {"labels": {"a": 1}}}},
        "'/taskPodDefaults/metadata/labels/a': got number",
    ),
    "the probes' port for the metrics": (
        {"metrics.port": 8080},
        "metrics.port is 8080, where the controller serves its probes",
    ),
    "a port of the apiserver beyond all ports": (
        {"networkPolicy.apiserverPorts": [65536]},
        "'/networkPolicy/apiserverPorts/0': maximum",
    ),
    "a duration in the wrong order": ({"serviceMonitor.interval": "1s1h"}, "'1s1h'"),
    "a quantity with a space": ({"resources.limits": {"cpu": "1 core"}}, "'/resources/limits/cpu'"),
    "a variable without a name": ({"extraEnv": [{"value": "a"}]}, "'/extraEnv/0'"),
    "a variable twice": ({"extraEnv": [{"name": "A"}, {"name": "A"}]}, "extraEnv has the name A"),
    "a fraction for a toleration's value": ({"tolerations": [{"value": 1.5}]}, "'/tolerations/0"),
    "a mount without its volume": (
        {"extraVolumeMounts": [{"name": "a", "mountPath": "/a"}]},
        "extraVolumeMounts names the volume a, which is not in extraVolumes",
    ),
    "a PriorityClass of Kubernetes' own": (
        {"priorityClass.create": True, "priorityClassName": "system-mine"},
        "would make the PriorityClass system-mine",
    ),
}


@pytest.mark.parametrize(("values", "words"), REFUSED.values(), ids=REFUSED)
def test_it_is_refused_in_a_sentence_that_names_the_value(
    values: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match="taskruns") as error:
        _render(values)
    assert words in str(error.value)
