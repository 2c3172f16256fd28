"""Rendered manifests, parsed as YAML 1.1 and 1.2 and checked as the apiserver would.

YAML 1.1 and 1.2 differ in which plain scalars are numbers, booleans or null: `1e3`, `0755`, `yes`.
A manifest is safe when both readings are the same.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import yaml
from typing_extensions import override
from yaml.constructor import ConstructorError
from yaml.nodes import MappingNode

Object = dict[str, Any]
LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
KEY = re.compile(r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
SUBDOMAIN = re.compile(
    r"(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
)
SERVICE = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
NAMES = {"Service": SERVICE, "Job": LABEL, "Deployment": LABEL}
SELECTORS = {
    "Deployment": ("selector", "matchLabels"),
    "Service": ("selector",),
    "NetworkPolicy": ("podSelector", "matchLabels"),
}
"""Path below `spec` of the Pod selector, by kind."""


class Yaml11(yaml.CSafeLoader):
    """PyYAML's default reading (YAML 1.1), which also rejects duplicate keys.

    libyaml reads a rendered chart in a tenth of the time of PyYAML's own parser.
    """

    @override
    def construct_mapping(self, node: MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        if len(keys) != len(set(keys)):
            raise ConstructorError(None, None, f"a key twice in {keys}", node.start_mark)
        return super().construct_mapping(node, deep=deep)


class Yaml12(Yaml11):
    """The core schema of YAML 1.2."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", "~nN\0"),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    (
        "float",
        r"[-+]?([.][0-9]+|[0-9]+([.][0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?[.]inf|[.]nan",
        "-+.0123456789",
    ),
):
    Yaml12.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}",
        re.compile(f"^(?:{_pattern})$"),
        [*_first.strip("\0"), ""],
    )


LOADERS = {"1.1": Yaml11, "1.2": Yaml12}
"""Loaders by version of YAML."""


def read(rendered: str) -> list[Object]:
    """Return the objects of rendered manifests that YAML 1.1 and 1.2 read alike.

    Raises:
        AssertionError: the two readings differ.
    """
    readings = [
        [each for document in rendered.split("\n---\n") if (each := _read(document, version))]
        for version in LOADERS
    ]
    assert repr(readings[0]) == repr(readings[1])
    return readings[0]


def _read(document: str, version: str) -> Any:
    """Parse a document; the schema of the CRD, which is half of a chart, once only."""
    head, mark, spec = document.partition("\nspec:\n")
    if "\nkind: CustomResourceDefinition\n" not in head:
        return yaml.load(document, LOADERS[version])
    return yaml.load(head, LOADERS[version]) | _read_schema(mark + spec, version)


@cache
def _read_schema(text: str, version: str) -> Any:
    return yaml.load(text, LOADERS[version])


def check(objects: list[Object]) -> None:
    """Check names, labels, texts and references as the apiserver does, and more strictly.

    Raises:
        AssertionError: the apiserver would refuse an object, or a reference has no target.
    """
    keys = [
        (each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"])
        for each in objects
    ]
    assert len(keys) == len(set(keys)), "two objects of one name"
    for each in objects:
        _check_names(each)
        for texts in _texts(each):
            assert all(isinstance(text, str) for text in texts), (each["kind"], texts)
    _check_references(objects)


def _check_names(each: Object) -> None:
    metadata = each["metadata"]
    pattern = NAMES.get(each["kind"], SUBDOMAIN)
    assert pattern.fullmatch(metadata["name"]), (each["kind"], metadata["name"])
    assert LABEL.fullmatch(metadata.get("namespace", "x")), (each["kind"], metadata["namespace"])
    for labels in _mappings(each, "labels", "matchLabels", "nodeSelector"):
        assert all(LABEL_VALUE.fullmatch(value) for value in labels.values()), (
            each["kind"],
            labels,
        )
        assert all(KEY.fullmatch(key) for key in labels), (each["kind"], labels)


def _texts(each: Object) -> Iterator[list[Any]]:
    """Yield values that must be strings: labels, annotations, arguments, variables, names."""
    for texts in _mappings(each, "labels", "matchLabels", "nodeSelector", "annotations", "data"):
        yield [*texts, *texts.values()]
    for place in _walk(each):
        yield [
            place[key]
            for key in ("name", "namespace", "serviceAccountName", "image")
            if key in place
        ]
        yield place.get("args") or []
        yield place.get("resourceNames") or []
        yield [variable.get("value", "") for variable in place.get("env") or []]
        yield [place["priorityClassName"]] if "priorityClassName" in place else []


def _mappings(each: Object, *keys: str) -> Iterator[Object]:
    for place in _walk(each):
        yield from (place[key] for key in keys if isinstance(place.get(key), dict))


def _walk(content: Any) -> Iterator[Object]:
    if isinstance(content, dict):
        if content.get("kind") == "CustomResourceDefinition":
            content = {"metadata": content["metadata"]}
        yield content
        for value in content.values():
            yield from _walk(value)
    elif isinstance(content, list):
        for value in content:
            yield from _walk(value)


def _check_references(objects: list[Object]) -> None:
    by_kind: dict[str, list[Object]] = {}
    for each in objects:
        by_kind.setdefault(each["kind"], []).append(each)
    (deployment,) = by_kind["Deployment"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    for kind, path in SELECTORS.items():
        for each in by_kind.get(kind, []):
            selector = each["spec"]
            for key in path:
                selector = selector[key]
            assert selector
            assert selector.items() <= labels.items(), (kind, selector, labels)
    names = {(each["kind"], each["metadata"]["name"]) for each in objects}
    for each in (*by_kind.get("RoleBinding", []), *by_kind.get("ClusterRoleBinding", [])):
        assert (each["roleRef"]["kind"], each["roleRef"]["name"]) in names, each
    for job in by_kind.get("Job", []):
        metadata = deployment["metadata"]
        argument = f"--deployment={metadata['namespace']}/{metadata['name']}"
        assert argument in job["spec"]["template"]["spec"]["containers"][0]["args"]
