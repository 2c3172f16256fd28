"""How another provider's parameter is taken: kept, translated, needless, or refused.

A table of these is an operator's one word on its parameters: the constructor has its names, what is
refused is refused by it, and the page for those who migrate shows it.
"""

from collections.abc import Callable, Iterable, Mapping, Sized
from dataclasses import dataclass
from enum import StrEnum
from inspect import Parameter as Argument
from inspect import Signature
from typing import Any, ClassVar, TypeVar

from typing_extensions import override

from taskruns_airflow.operator import TaskRunOperator

F = TypeVar("F", bound=Callable[..., None])


class Fate(StrEnum):
    """What becomes of a parameter."""

    KEPT = "kept"
    """TaskRunOperator has it, by this name and with this meaning."""
    TRANSLATED = "translated"
    """It becomes something else of a TaskRun."""
    NEEDLESS = "needless"
    """What it is for holds anyway; a task that gives it says so in its log."""
    REFUSED = "refused"
    """It cannot be had, unless its value asks for nothing but the default."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of another provider's operator."""

    name: str
    fate: Fate
    told: str
    """What it becomes, why it is needless, or what to use instead; in Markdown."""
    harmless: Any = None
    """A value that asks for nothing; None is always one."""

    def asks(self, told: Mapping[str, Any]) -> bool:
        """Whether it is given, with a value that asks for something."""
        value = told.get(self.name)
        empty = isinstance(value, Sized) and not len(value)
        return value is not None and not empty and bool(value != self.harmless)


def kept(name: str, told: str = "the same") -> Parameter:
    """Describe a parameter that TaskRunOperator has, too."""
    return Parameter(name, Fate.KEPT, told)


def translated(name: str, told: str) -> Parameter:
    """Describe a parameter that becomes something else of a TaskRun."""
    return Parameter(name, Fate.TRANSLATED, told)


def needless(name: str, told: str, *, harmless: Any = None) -> Parameter:
    """Describe a parameter whose purpose holds anyway."""
    return Parameter(name, Fate.NEEDLESS, told, harmless)


def refused(name: str, told: str, *, harmless: Any = None) -> Parameter:
    """Describe a parameter that cannot be had, with what to use instead."""
    return Parameter(name, Fate.REFUSED, told, harmless)


def check(table: Iterable[Parameter], told: Mapping[str, Any], operator: str) -> None:
    """Refuse what cannot be had, all of it at once.

    Raises:
        ValueError: names each parameter, and says what to use instead.
    """
    found = [each for each in table if each.fate is Fate.REFUSED and each.asks(told)]
    if found:
        sentences = "; ".join(f"{each.name}: {each.told}" for each in found)
        raise ValueError(f"{operator}, as a TaskRun: {sentences}")


def notes(table: Iterable[Parameter], told: Mapping[str, Any]) -> list[str]:
    """Say which parameters were given that have nothing to do here, and why."""
    found = (each for each in table if each.fate is Fate.NEEDLESS and each.asks(told))
    return [f"{each.name} has nothing to do in a TaskRun: {each.told}" for each in found]


def named(table: Iterable[Parameter]) -> Callable[[F], F]:
    """Give a constructor of keywords the names of a table, for `default_args` and `partial`."""
    names = [Argument(each.name, Argument.KEYWORD_ONLY, default=None) for each in table]
    own = Argument("self", Argument.POSITIONAL_OR_KEYWORD)
    rest = Argument("kwargs", Argument.VAR_KEYWORD)

    def name(constructor: F) -> F:
        constructor.__dict__["__signature__"] = Signature([own, *names, rest])
        return constructor

    return name


def page(table: Iterable[Parameter]) -> str:
    """Write a table as Markdown, in its order."""
    rows = (f"| `{each.name}` | {each.fate} | {each.told} |" for each in table)
    return "\n".join(["| parameter | is | |", "|---|---|---|", *rows])


class Migrated(TaskRunOperator):
    """Takes another provider's parameters, and refuses when a DAG is parsed what cannot be had.

    Of a mapped task that is what `partial` is given: what `expand` and `default_args` give it is
    known when it runs.
    """

    parameters: ClassVar[Iterable[Parameter]]
    """The other provider's."""
    stands_for: ClassVar[str]
    """The name that they are known by."""

    @classmethod
    def refusals(cls, told: Mapping[str, Any]) -> Iterable[str]:
        """Say what values cannot be had, with what to write instead.

        Args:
            told: The value of each parameter of the other provider's, None where none is given, and
                whatever else is given.
        """
        raise NotImplementedError

    @classmethod
    def refuse(cls, given: Mapping[str, Any]) -> None:
        """Refuse what cannot be had, all of it at once.

        Raises:
            ValueError: names each parameter, and says what to use instead.
        """
        told = {each.name: None for each in cls.parameters} | dict(given)
        check(cls.parameters, told, cls.stands_for)
        if found := list(cls.refusals(told)):
            raise ValueError(f"{cls.stands_for}, as a TaskRun: {'; '.join(found)}")

    @classmethod
    @override
    def partial(cls, **kwargs: Any) -> Any:
        cls.refuse(kwargs)
        return super().partial(**kwargs)
