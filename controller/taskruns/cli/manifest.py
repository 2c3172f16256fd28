"""TaskRuns from the command line: a file, or an image and a command, and how they get a name."""

import os
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from taskruns.api import names
from taskruns.cli.backend import Object
from taskruns.cli.exit_codes import CommandError, ExitCode
from taskruns.cli.yaml_source import STANDARD_INPUT, Document, read_documents
from taskruns.core.unstructured import mapping, text


def read_variables(given: Sequence[str], file: str | None) -> dict[str, str]:
    """Read NAME=VALUE pairs, those of the file first, by the rules of the docker command.

    NAME alone takes this process's value; a variable that is not set here is left out.
    """
    lines = [*(_lines_of(file) if file else ()), *given]
    variables: dict[str, str] = {}
    for line in lines:
        name, equals, value = line.partition("=")
        if not name or "\0" in line:
            raise click.UsageError("a variable has a name: write NAME=VALUE")
        if equals:
            variables[name] = value
        elif name in os.environ:
            variables[name] = os.environ[name]
    return variables


def _lines_of(file: str) -> Iterator[str]:
    """Yield the lines of a file of variables, without comments and empty lines."""
    try:
        content = Path(file).read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise click.UsageError(f"--env-file {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise click.UsageError(f"--env-file {file} is no text in UTF-8") from error
    for number, line in enumerate(content.split("\n"), 1):
        found = line.removesuffix("\r").lstrip()
        if not found or found.startswith("#"):
            continue
        name = found.partition("=")[0]
        if not name or any(letter.isspace() for letter in name):
            raise click.UsageError(f"--env-file {file}:{number}: write NAME=VALUE, or NAME alone")
        yield found


def read_secrets(given: Sequence[str]) -> dict[tuple[str, str], str]:
    """Read NAME/KEY=VALUE: what a cluster would keep in a Secret."""
    pairs: dict[tuple[str, str], str] = {}
    for item in given:
        key, equals, value = item.partition("=")
        name, slash, part = key.partition("/")
        if not (equals and slash):
            raise click.UsageError("--secret: write NAME/KEY=VALUE")
        pairs[name, part] = value
    return pairs


_SUFFIX_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
"""Without vowels and look-alikes, as in Kubernetes' own names."""
_PREFIX_LETTERS = 50
"""Of a name that gets a suffix, so that it stays short enough for a label."""

_FILLED_IN = re.compile(r"\$(?=[$(])")
"""What a kubelet does not leave as it is: `$$` and `$(NAME)`."""

_OF_ONE_RUN = (names.ANNOTATION_COLLECTED, "kubectl.kubernetes.io/last-applied-configuration")
"""Annotations that tell of one TaskRun, and nothing of another that does the same."""


def read_manifest(path: str) -> Document:
    """Read one TaskRun from a YAML or JSON file, or from standard input.

    Raises:
        CommandError: there is no such file, it is no YAML, or it is no single TaskRun.
    """
    documents = read_documents(path)
    if len(documents) != 1 or not isinstance(documents[0].content, dict):
        where = "standard input" if path == STANDARD_INPUT else path
        raise CommandError(f"{where} must hold exactly one TaskRun", ExitCode.USAGE)
    return documents[0]


def manifest_of(image: str, command: Sequence[str]) -> dict[str, Any]:
    """Make a TaskRun that runs a command in an image; without a command, the image's own.

    Its words are taken literally, as a shell hands them over: `$$` and `$(NAME)` stay as they are.
    """
    words = [_literal(word) for word in command]
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"generateName": "run-"},
        "spec": {"image": image} | ({"command": words} if words else {}),
    }


def named(manifest: Object, name: str | None = None) -> dict[str, Any]:
    """Give a TaskRun a name: this one, its own, or one from its generateName as an apiserver does.

    What is wrong with it is not looked at here.
    """
    given = manifest.get("metadata")
    if given is not None and not isinstance(given, Mapping):
        return dict(manifest)
    metadata = dict(given or {})
    if name or not metadata.get("name"):
        prefix = metadata.pop("generateName", None) or "run-"
        suffix = "".join(secrets.choice(_SUFFIX_LETTERS) for _ in range(5))
        metadata["name"] = name or f"{prefix}{suffix}"
    return {**manifest, "metadata": metadata}


def repeated(run: Object, name: str | None) -> dict[str, Any]:
    """Make a TaskRun that does the same again, under a name or one that a suffix makes."""
    metadata = mapping(run.get("metadata"))
    prefix = {"generateName": f"{text(metadata.get('name'))[:_PREFIX_LETTERS]}-"}
    annotations = mapping(metadata.get("annotations")).items()
    kept = {
        "labels": dict(mapping(metadata.get("labels"))),
        "annotations": {key: value for key, value in annotations if key not in _OF_ONE_RUN},
    }
    spec = {
        key: value
        for key, value in mapping(run.get("spec")).items()
        if key not in ("cancel", "suspend")
    }
    body = {"apiVersion": names.API_VERSION, "kind": names.KIND, "spec": spec}
    return named({**body, "metadata": {**prefix, **kept}}, name)


def _literal(value: str) -> str:
    """Write a text so that nothing in it is filled in."""
    return _FILLED_IN.sub("$$", value)


def with_variables(manifest: Object, variables: Mapping[str, str]) -> dict[str, Any]:
    """Return a TaskRun with variables that a person gave, to be taken literally.

    They replace those of the same name; others come first, so that the TaskRun's may refer to them.
    """
    spec = dict(mapping(manifest.get("spec")))
    own = spec.get("env") or []
    if not isinstance(own, list) or not variables:  # what is no list is refused later
        return dict(manifest)
    given = {name: {"name": name, "value": _literal(v)} for name, v in variables.items()}
    known = [text(mapping(each).get("name")) for each in own]
    more = [each for name, each in given.items() if name not in known]
    kept = [given.get(name, each) for name, each in zip(known, own, strict=True)]
    return {**manifest, "spec": spec | {"env": [*more, *kept]}}


def check_namespace(manifest: Object, namespace: str) -> None:
    """See that a TaskRun names no other namespace than it is run in, as kubectl does.

    Raises:
        CommandError: it does.
    """
    given = mapping(manifest.get("metadata")).get("namespace")
    if given and given != namespace:
        raise CommandError(f"metadata.namespace is {given} and not {namespace}: say -n {given}")
