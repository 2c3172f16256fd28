"""Offline validation of TaskRuns by the CRD's schema and rules.

The CRD is generated from the same schema and rules. jsonschema evaluates the schema, and CEL
evaluates the rules. Properties that only a cluster can check are skipped: the fields below
`template`, quantities, the existence of Secrets, quotas and policies.
"""

import difflib
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from cel_expr_python import cel
from cel_expr_python.ext import ext_optional
from jsonschema import Draft4Validator, validators
from pydantic import ValidationError
from typing_extensions import override

from taskruns.api import names
from taskruns.api.cel_rules import RULES
from taskruns.api.crd import PRESERVED, Schema, resource_schema
from taskruns.api.v1alpha1 import TaskRun
from taskruns.cli.exit_status import CommandError
from taskruns.cli.yaml_source import Document, FieldPath
from taskruns.core.pods import InvalidTemplate, build_pod
from taskruns.core.unstructured import mapping, text

_LIST_TYPE, _LIST_KEYS = "x-kubernetes-list-type", "x-kubernetes-list-map-keys"
_INT64, _ROUNDED = 2**63, 2.0**53
UNKNOWN_UID = "00000000-0000-0000-0000-000000000000"
"""Placeholder for the uid, which is assigned at creation and is part of Pod names."""
_OF_A_CHANGE = "oldSelf"
"""Variable that marks a transition rule; such rules do not apply to a new TaskRun."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One invalid field, with the correction in its message."""

    path: FieldPath
    message: str

    @override
    def __str__(self) -> str:
        where = written(self.path)
        return f"{where}: {self.message}" if where else self.message


def problems(document: Document) -> list[Problem]:
    """Return the problems of a TaskRun; an empty list if the apiserver would accept it."""
    content = _as_taken(document.content)
    invalid = [Problem(path, sentence) for path, sentence in misplaced(content)]
    if isinstance(content, Mapping) and "spec" in content:
        invalid += _of_schema(content)
    for look in (_of_rules, _of_pod):
        if not invalid:  # each check relies on the result of the previous ones
            invalid += look(content)
    return invalid


def refuse_invalid(document: Document) -> dict[str, Any]:
    """Raise the first problem of a TaskRun; return a valid one as the apiserver would store it.

    Raises:
        CommandError: the TaskRun is invalid; the message names the first problem.
    """
    if problem := next(iter(problems(document)), None):
        raise CommandError(f"{document.where}:{document.line(problem.path)}: {problem}")
    return dict(_as_taken(document.content))


def written(path: FieldPath) -> str:
    """Format a field path as `spec.env[0].name`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return "".join(parts).removeprefix(".")


def _as_taken(content: Any) -> Any:
    if not isinstance(content, Mapping):
        return content
    taken = {**content, "metadata": without_nulls(content.get("metadata"))}
    if "spec" in taken:
        taken["spec"] = _pruned(taken["spec"], _spec_schema()[0])
    return taken


def _of_schema(content: Mapping[str, Any]) -> Iterator[Problem]:
    schema, checker = _spec_schema()
    errors = sorted(checker.iter_errors(content["spec"]), key=lambda e: [*map(str, e.path)])
    for error in errors:
        path: FieldPath = ("spec", *error.path)
        for sentence, below in _sentences(error):
            yield Problem((*path, *below), sentence)
    if not errors:
        yield from _of_lists(schema, content["spec"], ("spec",))


def _pruned(value: Any, schema: Schema) -> Any:
    """Drop null fields that the schema knows, as the apiserver does before validation."""
    if isinstance(value, list):
        return [_pruned(item, schema.get("items", {})) for item in value]
    if not isinstance(value, Mapping):
        return value
    known, additional = schema.get("properties", {}), schema.get("additionalProperties")
    below = {key: known.get(key, additional) for key in value}
    return {
        key: item if below[key] is None else _pruned(item, below[key])
        for key, item in value.items()
        if item is not None or below[key] is None
    }


@cache
def _spec_schema() -> tuple[Schema, Draft4Validator]:
    """Return the schema of a spec and its validator, created once."""
    schema = resource_schema()["properties"]["spec"]
    return schema, _Checker(_strict(schema))


def _is_whole(_checker: object, value: object) -> bool:
    """Return whether the apiserver accepts a value as an integer.

    It accepts 3.0, but not floats of 2^53 and above, which have lost digits.
    """
    if isinstance(value, float):
        return value.is_integer() and abs(value) < _ROUNDED
    return isinstance(value, int) and not isinstance(value, bool) and -_INT64 <= value < _INT64


_Checker = validators.extend(
    Draft4Validator, type_checker=Draft4Validator.TYPE_CHECKER.redefine("integer", _is_whole)
)


def _strict(schema: Any) -> Any:
    """Return the schema with unknown fields forbidden where the CRD would prune them."""
    if isinstance(schema, list):
        return [_strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    strict = {key: _strict(value) for key, value in schema.items()}
    closed = isinstance(schema.get("properties"), dict) and not schema.get(PRESERVED)
    return strict | ({"additionalProperties": False} if closed and "type" in schema else {})


_WORDS: Mapping[str, Callable[[Any], str]] = {
    "enum": lambda words: f"write one of {', '.join(words)}",
    "minimum": lambda bound: f"write at least {bound:g}",
    "maximum": lambda bound: f"write at most {bound:g}",
    "minLength": lambda _: "it is empty: write a value, or leave it out",
    "minItems": lambda _: "it is empty: write an item, or leave it out",
    "maxLength": lambda bound: f"it is too long: write at most {bound} characters",
    "maxItems": lambda bound: f"it has too many items: write at most {bound}",
    "pattern": lambda pattern: f"write a value that matches {pattern}",
}


def _sentences(error: Any) -> Iterator[tuple[str, FieldPath]]:
    """Yield the message and the relative path of each problem, worded as in the CRD's own rules."""
    keyword, bound = error.validator, error.validator_value
    if keyword == "required":
        for name in bound:
            if name not in error.instance:
                yield "it is missing", (name,)
    elif keyword == "additionalProperties":
        known = error.schema.get("properties", {})
        for name in error.instance:
            if name not in known:
                yield unknown(name, known), (name,)
    elif keyword == "type":
        quoted = bound == "string" and isinstance(error.instance, int | float)
        yield f"it must be of type {bound}" + (": put it in quotes" if quoted else ""), ()
    else:
        message = _WORDS.get(keyword)
        yield (message(bound) if message else error.message), ()


def _of_lists(schema: Schema, value: Any, path: FieldPath) -> Iterator[Problem]:
    """Yield the duplicate items of lists that are sets or maps."""
    for name, below in schema.get("properties", {}).items():
        if isinstance(value, Mapping) and name in value:
            yield from _of_lists(below, value[name], (*path, name))
    if not isinstance(value, list):
        return
    keys = schema.get(_LIST_KEYS, ())
    if keys or schema.get(_LIST_TYPE) == "set":
        identities = []
        for index, item in enumerate(value):
            identity = [item.get(key) for key in keys] if keys else item
            if identity in identities:
                yield Problem((*path, index), "duplicate item: remove one")
            identities.append(identity)
    for index, item in enumerate(value):
        yield from _of_lists(schema.get("items", {}), item, (*path, index))


def _of_rules(content: Any) -> Iterator[Problem]:
    named = "name" in mapping(content.get("metadata"))
    known = _without_nulls(content)
    for at, rules in RULES.items():
        for path, value in _values(known, at):
            for rule in rules:
                if _OF_A_CHANGE in rule.holds or not (at or named):
                    continue
                if _compiled(rule.holds).eval(data={"self": value}).value() is not True:
                    below = (rule.field,) if rule.field else ()
                    yield Problem((*path, *below), rule.message)


@cache
def _compiled(holds: str) -> Any:
    """Return a compiled CEL rule, cached for all documents."""
    return _language().compile(holds)


@cache
def _language() -> Any:
    return cel.NewEnv(variables={"self": cel.Type.DYN}, extensions=[ext_optional.ExtOptional()])


def _without_nulls(content: Any) -> Any:
    """Drop null fields, because CEL rules on the apiserver do not see them."""
    if isinstance(content, Mapping):
        return {key: _without_nulls(value) for key, value in content.items() if value is not None}
    return [_without_nulls(item) for item in content] if isinstance(content, list) else content


def _values(content: Any, at: str) -> list[tuple[FieldPath, Any]]:
    """Return the values at a path such as `spec.podFailurePolicy.rules[]`, with their paths."""
    items: list[tuple[FieldPath, Any]] = [((), content)]
    for part in filter(None, at.split(".")):
        name = part.removesuffix("[]")
        items = [((*p, name), v[name]) for p, v in items if isinstance(v, Mapping) and name in v]
        if part != name:
            items = [((*p, i), item) for p, v in items for i, item in enumerate(v)]
    return items


def _of_pod(content: Any) -> Iterator[Problem]:
    """Yield the errors of building the Pod."""
    try:
        pod_of(content)
    except InvalidTemplate as error:
        yield Problem(("spec", "template"), str(error))
    except ValidationError as error:
        for each in error.errors(include_url=False, include_input=False):
            yield Problem(each["loc"], text(each["msg"]))


_TOP = ("apiVersion", "kind", "metadata", "spec", "status")
_METADATA = frozenset(
    """annotations creationTimestamp deletionGracePeriodSeconds deletionTimestamp finalizers
    generateName generation labels managedFields name namespace ownerReferences resourceVersion
    selfLink uid""".split()  # noqa: SIM905 - so many names read best as words
)
_TEXTS = ("generateName", "name", "namespace")
_WORD = r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_KEY = re.compile(rf"((?=.{{1,253}}/){names.NAME}/)?{_WORD}")
_LABEL = re.compile(rf"({_WORD})?")
_MOST_BYTES_OF_ANNOTATIONS = 256 * 1024

Message = tuple[FieldPath, str]
"""Path of a field and the message about it."""


def misplaced(content: Any) -> Iterator[Message]:
    """Yield the problems of a document outside its spec."""
    if not isinstance(content, Mapping):
        yield (), "not a TaskRun: `taskrun new` prints a template"
        return
    for key, value in (("apiVersion", names.API_VERSION), ("kind", names.KIND)):
        if content.get(key) != value:
            yield (key,), f"write {value}"
    for key in content.keys() - set(_TOP):
        yield (key,), unknown(key, _TOP)
    if not isinstance(content.get("spec"), Mapping):
        yield ("spec",), "it is missing: write at least spec.image"
    metadata = content.get("metadata")
    if metadata is not None and not isinstance(metadata, Mapping):
        yield ("metadata",), "it must be of type object"
        return
    for path, sentence in _of_metadata(mapping(metadata)):
        yield ("metadata", *path), sentence


def without_nulls(metadata: Any) -> Any:
    """Return metadata as the apiserver reads it.

    Null fields are dropped; a null label or annotation becomes an empty string.
    """
    if not isinstance(metadata, Mapping):
        return metadata
    known = {key: value for key, value in metadata.items() if value is not None}
    for kind in ("labels", "annotations"):
        if isinstance(values := known.get(kind), Mapping):
            known[kind] = {key: "" if value is None else value for key, value in values.items()}
    return known


def unknown(name: str, known: Collection[str]) -> str:
    """Return the message for an unknown field, with the most similar known one."""
    near = difflib.get_close_matches(name, known, 1)
    return "unknown field" + (f": did you mean {near[0]}?" if near else "")


def _of_metadata(metadata: Mapping[str, Any]) -> Iterator[Message]:
    for key in metadata.keys() - _METADATA:
        yield (key,), unknown(key, _METADATA)
    for key in _TEXTS:
        if not isinstance(metadata.get(key, ""), str):
            yield (key,), "it must be of type string: put it in quotes"
            return
    yield from _of_names(metadata.get("name"), metadata.get("generateName"))
    for kind in ("labels", "annotations"):
        for path, sentence in _of_words(metadata.get(kind, {}), labels=kind == "labels"):
            yield (kind, *path), sentence


def _of_names(name: str | None, prefix: str | None) -> Iterator[Message]:
    if not name and not prefix:
        yield (), "write a name, or a generateName"
    elif name and not re.fullmatch(names.NAME, name):
        yield ("name",), "write lower-case letters, digits, - and ."
    elif prefix and not re.fullmatch(names.NAME, re.sub("-$", "0", prefix)):
        yield ("generateName",), "write lower-case letters, digits, - and .; it may end with -"


def _of_words(entries: Any, *, labels: bool) -> Iterator[Message]:
    """Yield the problems of labels or annotations. Both have the same rules for keys only."""
    if not isinstance(entries, Mapping):
        yield (), "it must be of type object"
        return
    for key, value in entries.items():
        if not _KEY.fullmatch(key if labels else key.lower()):  # as in the apiserver
            yield (key,), "write a key such as team or example.com/team"
        elif not isinstance(value, str):
            yield (key,), "it must be of type string: put it in quotes"
        elif labels and not _LABEL.fullmatch(value):
            yield (key,), "write at most 63 letters, digits, -, _ and .; none of these at an end"
    texts = [text for pair in entries.items() for text in pair if isinstance(text, str)]
    if not labels and sum(len(text.encode()) for text in texts) > _MOST_BYTES_OF_ANNOTATIONS:
        yield (), "they are too long: write 256 KiB at most"


def pod_of(manifest: Mapping[str, Any], namespace: str = "default") -> dict[str, Any]:
    """Return the Pod of the first attempt, without site defaults.

    Raises:
        InvalidTemplate: no Pod can be built from the template.
        ValidationError: the manifest is not a valid TaskRun.
    """
    declared = mapping(manifest.get("metadata"))
    name = text(declared.get("name")) or f"{text(declared.get('generateName'))}xxxxx"
    own_namespace = text(declared.get("namespace")) or namespace
    metadata = {**declared, "name": name, "namespace": own_namespace, "uid": UNKNOWN_UID}
    run = TaskRun.model_validate({"metadata": metadata, "spec": manifest.get("spec")})
    return build_pod(run, 1)
