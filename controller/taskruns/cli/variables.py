"""Variables and Secrets' values, as a person hands them over beside a TaskRun."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import click


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
