"""How our programs are told something, by flag or by environment, and how they say no."""

import argparse
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

from typing_extensions import override

from taskruns.api.durations import parse_duration
from taskruns.operator.structured_logging import Format

_LONGEST_NAME = 63
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Option:
    """One setting. `parse` raises ValueError with what to write instead."""

    flag: str
    metavar: str
    """What the help calls its value; a flag without one is a switch."""
    default: str | None
    parse: Callable[[str], Any]
    help: str

    @property
    def name(self) -> str:
        """The setting's name in the code."""
        return self.flag.removeprefix("--").replace("-", "_")

    @property
    def variable(self) -> str:
        """The environment variable that tells the same as the flag."""
        return f"TASKRUNS_{self.name.upper()}"


def switch(flag: str, text: str) -> Option:
    """Make an option that is on where its flag is there, or its variable says true."""
    return Option(flag, "", "false", one_of({"true": True, "false": False}), text)


def whole(least: int, most: int) -> Callable[[str], int]:
    """Read a whole number within bounds."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if not least <= value <= most:
            raise ValueError(f"write a whole number from {least} to {most}")
        return value

    return parse


def or_off(parse: Callable[[str], int]) -> Callable[[str], int | None]:
    """Take what another takes, or the word off, which is None."""

    def parse_or_off(text: str) -> int | None:
        try:
            return None if text == "off" else parse(text)
        except ValueError as error:
            raise ValueError(f"{error}, or off") from None

    return parse_or_off


def one_of(choices: Mapping[str, Any]) -> Callable[[str], Any]:
    """Read one of some words."""

    def parse(text: str) -> Any:
        if text not in choices:
            raise ValueError(f"write {' or '.join(choices)}")
        return choices[text]

    return parse


def duration(text: str) -> timedelta:
    """Read a duration as a TaskRun has it."""
    try:
        return parse_duration(text)
    except ValueError:
        raise ValueError("write a duration such as 30s, 5m or 1h30m") from None


def file(text: str) -> str:
    """Read the path of a kubeconfig."""
    if not Path(text).is_file():
        raise ValueError("write the path of a kubeconfig file; there is none here")
    return text


def namespaces(text: str) -> tuple[str, ...]:
    """Read names of namespaces; none at all is a mistake, and no other word for all of them."""
    found = tuple(name.strip() for name in text.split(","))
    if not all(map(_is_namespace, found)):
        raise ValueError("write the names of namespaces with commas between, such as team-a,team-b")
    twice = sorted({name for name in found if found.count(name) > 1})
    if twice:
        raise ValueError(f"write each namespace once; more than once there is {', '.join(twice)}")
    return found


def _is_namespace(text: str) -> bool:
    return bool(_NAMESPACE.fullmatch(text)) and len(text) <= _LONGEST_NAME


LOG_FORMAT = Option(
    "--log-format",
    "FORMAT",
    "plain",
    one_of({each.value: each for each in Format}),
    "plain: lines for people; json: one JSON object a line",
)
NAMESPACES = Option(
    "--namespaces",
    "NAMES",
    None,
    namespaces,
    "the only namespaces to look at, with commas between; without it all of the cluster",
)
KUBECONFIG = Option(
    "--kubeconfig",
    "FILE",
    None,
    file,
    "the cluster to work on; without it the Pod's own service account, and outside a Pod what "
    "kubectl would use",
)
CONTEXT = Option(
    "--context", "NAME", None, str, "a context of the kubeconfig other than its current one"
)


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence; --help is there for the rest."""

    def __init__(
        self, program: str, description: str, epilog: str, options: Sequence[Option]
    ) -> None:
        super().__init__(
            prog=program,
            description=description,
            epilog=epilog,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        self._options = options
        for option in options:
            default = f"; default {option.default}" if option.default and option.metavar else ""
            text = f"{option.help} [{option.variable}{default}]".replace("%", "%%")
            if option.metavar:
                self.add_argument(option.flag, metavar=option.metavar, help=text)
            else:
                self.add_argument(option.flag, action="store_const", const="true", help=text)

    def read(self, argv: Sequence[str], environment: Mapping[str, str]) -> dict[str, Any]:
        """Read every option: a flag counts before its variable, that before the default.

        Raises:
            SystemExit: 2 after a sentence about a wrong value, 0 after --help.
        """
        given = vars(self.parse_args(argv))
        return {
            each.name: self._value(each, given[each.name], environment) for each in self._options
        }

    @override
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")

    def _value(self, option: Option, given: str | None, environment: Mapping[str, str]) -> Any:
        source, text = option.flag, given
        if text is None:
            source, text = option.variable, environment.get(option.variable) or option.default
        if text is None:
            return None
        try:
            return option.parse(text)
        except ValueError as error:
            self.error(f"{source} is {text!r}: {error}")
