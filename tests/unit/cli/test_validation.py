"""`taskrun validate` refuses what the apiserver refuses, with its words, and names the line."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from taskruns.api.cel_rules import RULES
from taskruns.api.names import API_VERSION, KIND
from taskruns.cli.validation import problems, written
from taskruns.cli.yaml_source import Document
from tests.support.builders import schemas
from tests.support.builders.invalid_specs import BROKEN, bad_values, policy, without_what_is_needed
from tests.support.builders.specs import BY_CODE, FULL, SMALLEST, full_with
from tests.support.command_line import here

SAMPLES = sorted((Path(__file__).parents[3] / "manifests/samples").glob("*.yaml"))
HEAD = f"apiVersion: {API_VERSION}\nkind: {KIND}\nmetadata:\n  name: a\n"


def found(spec: Any, name: str = "a") -> dict[str, str]:
    """Return the messages about a spec, by the place that each is about."""
    manifest = {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": name}, "spec": spec}
    issues = problems(Document("file", manifest, {(): 1}))
    return {written(problem.path): problem.message for problem in issues}


@pytest.mark.parametrize(("path", "value", "answer"), list(bad_values()))
def test_a_wrong_type_or_an_exceeded_bound_is_reported(
    path: schemas.Path, value: Any, answer: str
) -> None:
    messages = found(schemas.replaced(full_with(path), path, value))
    place = schemas.written(("spec", *path))
    assert any(location.startswith(place) for location in messages), (messages, answer)


@pytest.mark.parametrize(("path", "place"), list(without_what_is_needed()))
def test_a_missing_value_is_reported(path: schemas.Path, place: str) -> None:
    assert found(schemas.removed(full_with(path), path))[place] == "it is missing"


@pytest.mark.parametrize(
    ("rule", "spec", "place"), BROKEN, ids=[f"{place}-{n}" for n, (*_, place) in enumerate(BROKEN)]
)
def test_a_violated_rule_is_reported(rule: Any, spec: Any, place: str) -> None:
    assert found(spec)[place] == rule.message


def test_a_name_that_is_invalid_or_too_long_for_a_label_is_reported() -> None:
    (rule,) = RULES[""]
    assert rule.message in found(SMALLEST, "n" * 64).values()
    assert found(SMALLEST, "n" * 63) == {}
    assert "lower-case letters" in found(SMALLEST, "Not_Valid")["metadata.name"]


def test_a_duplicate_exit_code_is_reported() -> None:
    rule = {"action": "Count", "onExitCodes": {"operator": "In", "values": [3, 3]}}
    assert (
        "duplicate item"
        in found(SMALLEST | policy(rule))["spec.podFailurePolicy.rules[0].onExitCodes.values[1]"]
    )
    assert (
        found(SMALLEST | policy({**BY_CODE, "action": "FailIndex"}))[
            "spec.podFailurePolicy.rules[0].action"
        ]
        == "write one of FailJob, Ignore, Count"
    )


def test_a_valid_taskrun_passes() -> None:
    assert found(SMALLEST) == found(FULL) == {}
    done = here("validate", *map(str, SAMPLES))
    assert (done.code, done.err) == (0, "")
    assert done.out.count(" is valid") == len(SAMPLES)


def test_containers_without_a_main_container_are_reported() -> None:
    containers = [{"name": "a", "image": "a"}, {"name": "b", "image": "b"}]
    messages = found({"template": {"spec": {"containers": containers}}})
    assert "none of them is the main one" in messages["spec.template"]


@pytest.mark.parametrize(
    ("words", "line", "message"),
    [
        (HEAD + "spec:\n  imagee: a\n", 6, "spec.imagee: unknown field: did you mean ima"),
        (
            HEAD + "spec:\n  image: a\n  backoffLimit: -1\n",
            7,
            "spec.backoffLimit: write at least 0",
        ),
        (HEAD + "spec:\n  image: a b\n", 6, "spec.image: an image cannot contain white space"),
        (HEAD + "spec:\n  image: a\n  env:\n  - name: A\n    value: 1\n", 9, "put it in quotes"),
        (HEAD + "spec:\n  image: a\n  env:\n  - value: a\n", 8, "spec.env[0].name: it is missing"),
        (HEAD + "spec:\n  image: a\n  image: b\n", 7, "duplicate key image"),
        (HEAD + "spec:\n  image: [a\n", 7, "invalid YAML"),
        (HEAD + "spec:\n  image: a\n  1: b\n", 7, "is not a string"),
        (HEAD + "spec:\n  image: !!binary aGVsbG8=\n", 6, "cannot be represented in JSON"),
        (HEAD + "spec:\n  image: a\n  resources: {a: .inf}\n", 7, "cannot be represented in JSON"),
        (HEAD, 1, "spec: it is missing: write at least spec.image"),
        ("kind: Pod\n", 1, "kind: write TaskRun"),
        ("- a\n", 1, "taskrun new"),
    ],
)
def test_problems_have_their_line(words: str, line: int, message: str) -> None:
    done = here("validate", "-", stdin=words.encode())
    assert done.code != 0
    assert done.out == ""
    (sentence,) = (each for each in done.err.splitlines() if message in each)
    assert sentence.removeprefix("taskrun: ").startswith(f"standard input:{line}: ")


@pytest.mark.parametrize(
    ("metadata", "place"),
    [
        ({"name": 5}, "name"),
        ({"generateName": "Not-"}, "generateName"),
        ({"nmae": "b"}, "nmae"),
        ({"labels": {"team": 1}}, "labels.team"),
        ({"labels": {"team": "a b"}}, "labels.team"),
        ({"labels": {"a b": "c"}}, "labels.a b"),
        ({"annotations": {"count": 1}}, "annotations.count"),
        ({"annotations": {"long": "x" * 300_000}}, "annotations"),
        ({"labels": []}, "labels"),
    ],
)
def test_invalid_metadata_is_reported(metadata: dict[str, Any], place: str) -> None:
    head = {"apiVersion": API_VERSION, "kind": KIND, "spec": SMALLEST}
    named = {} if "generateName" in metadata else {"name": "a"}
    issues = problems(Document("file", head | {"metadata": named | metadata}, {(): 1}))
    assert [written(problem.path) for problem in issues] == [f"metadata.{place}"]


@pytest.mark.parametrize(
    "words",
    [
        "spec:\n  image: a\n  podGC: {strategy: null}\n",
        "  labels: {a: null}\n  annotations: null\nspec:\n  image: a\n  backoffLimit: 3.0\n",
    ],
)
def test_null_fields_are_ignored_as_in_the_apiserver(words: str) -> None:
    assert here("validate", "-", "--quiet", stdin=(HEAD + words).encode()) == (0, "", "")
    assert here("render", "--on", "docker", "-", stdin=(HEAD + words).encode()).code == 0


def test_dates_are_strings_as_in_kubectl() -> None:
    dated = HEAD + "spec:\n  image: a\n  env: [{name: D, value: 2026-01-01}]\n"
    assert here("validate", "-", "--quiet", stdin=dated.encode()) == (0, "", "")


def test_the_template_is_valid_with_and_without_its_comments() -> None:
    begun = here("new", "etl", "--image", "python:3.13-slim").out
    more = re.sub(r"^  # (?=[ a-z-]+[A-Za-z]*:( |$)|  )", "  ", begun, flags=re.MULTILINE)
    assert yaml.safe_load(more)["spec"].keys() >= {"env", "resources", "backoff", "template"}
    for words in (begun, more):
        assert here("validate", "-", stdin=words.encode()).code == 0


def test_run_validates_before_it_connects_to_docker() -> None:
    broken = HEAD + "spec:\n  image: a b\n"
    done = here("run", "-", stdin=broken.encode())
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(
        "taskrun: standard input:6: spec.image: an image cannot contain white space"
    )
    sound = here("run", "--image", "a", "--", "true")
    assert (sound.code, "cannot connect to the Docker daemon" in sound.err) == (125, True)


def test_a_main_container_that_is_restarted_in_place_is_refused() -> None:
    main = {"name": "main", "restartPolicy": "OnFailure"}
    problems = found(SMALLEST | {"template": {"spec": {"containers": [main]}}})
    assert problems["spec.template"] == (
        "template.spec.containers[main].restartPolicy must be Never or left out: "
        "use backoffLimit for retries"
    )
    main["restartPolicy"] = "Never"
    assert not found(SMALLEST | {"template": {"spec": {"containers": [main]}}})
