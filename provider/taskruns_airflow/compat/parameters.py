"""Tables that define how a parameter of another provider's operator is handled.

A parameter is kept, translated, needless or refused. One table per operator is the single source
for the constructor's signature, for the refusals and for the migration page.
"""

from collections.abc import Callable, Iterable, Mapping, Sized
from dataclasses import dataclass
from enum import StrEnum
from inspect import Parameter as Argument
from typing import Any, ClassVar

from typing_extensions import override

from taskruns_airflow.manifest import C, with_parameters
from taskruns_airflow.operator import TaskRunOperator


class Fate(StrEnum):
    """How a parameter is handled."""

    KEPT = "kept"
    """TaskRunOperator has a parameter of the same name and meaning."""
    TRANSLATED = "translated"
    """Other fields of the TaskRun are set from it."""
    NEEDLESS = "needless"
    """A TaskRun does not need it; a task that sets it logs a note."""
    REFUSED = "refused"
    """Not supported; refused unless its value is the default."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of another provider's operator."""

    name: str
    fate: Fate
    description: str
    """The translation, the reason why it is needless, or the replacement, in Markdown."""
    harmless: Any = None
    """A value without effect, in addition to None."""

    def has_effect(self, arguments: Mapping[str, Any]) -> bool:
        """Whether the parameter is given with a value that has an effect."""
        value = arguments.get(self.name)
        empty = isinstance(value, Sized) and not len(value)
        return value is not None and not empty and bool(value != self.harmless)


def kept(name: str, description: str = "the same") -> Parameter:
    """Return a parameter that TaskRunOperator also has."""
    return Parameter(name, Fate.KEPT, description)


def translated(name: str, description: str) -> Parameter:
    """Return a parameter from which other fields of the TaskRun are set."""
    return Parameter(name, Fate.TRANSLATED, description)


def needless(name: str, description: str, *, harmless: Any = None) -> Parameter:
    """Return a parameter that a TaskRun does not need."""
    return Parameter(name, Fate.NEEDLESS, description, harmless)


def refused(name: str, description: str, *, harmless: Any = None) -> Parameter:
    """Return a parameter that is not supported, with its replacement."""
    return Parameter(name, Fate.REFUSED, description, harmless)


def check(table: Iterable[Parameter], arguments: Mapping[str, Any], operator: str) -> None:
    """Raise one error for all refused parameters that are given.

    Raises:
        ValueError: Some parameters are not supported. The message names each and says what to use
            instead.
    """
    rejected = [each for each in table if each.fate is Fate.REFUSED and each.has_effect(arguments)]
    if rejected:
        sentences = "; ".join(f"{each.name}: {each.description}" for each in rejected)
        raise ValueError(f"{operator}: unsupported arguments: {sentences}")


def notes(table: Iterable[Parameter], arguments: Mapping[str, Any]) -> list[str]:
    """Return a note for each needless parameter that is given, with the reason."""
    needless = (each for each in table if each.fate is Fate.NEEDLESS and each.has_effect(arguments))
    return [f"{each.name} has no effect in a TaskRun: {each.description}" for each in needless]


def named(table: Iterable[Parameter]) -> Callable[[C], C]:
    """Return a decorator that adds a table's parameters to a constructor's signature."""
    return with_parameters(
        [Argument(each.name, Argument.KEYWORD_ONLY, default=None) for each in table]
    )


def page(table: Iterable[Parameter]) -> str:
    """Return a table as Markdown, in its order."""
    rows = (f"| `{each.name}` | {each.fate} | {each.description} |" for each in table)
    return "\n".join(["| parameter | is | |", "|---|---|---|", *rows])


class Migrated(TaskRunOperator):
    """Base of operators that take another provider's parameters.

    Unsupported values are refused when a DAG is parsed. For a mapped task, only the arguments of
    `partial` are checked then; those of `expand` and `default_args` are checked when it runs.
    """

    parameters: ClassVar[Iterable[Parameter]]
    """Parameters of the other provider's operator."""
    stands_for: ClassVar[str]
    """Class name of the other provider's operator."""

    @classmethod
    def refusals(cls, arguments: Mapping[str, Any]) -> Iterable[str]:
        """Return a message for each unsupported value, with what to write instead.

        Args:
            arguments: The value of each parameter of the other provider's operator, None where it
                is not given, and all other arguments that are given.
        """
        raise NotImplementedError

    @classmethod
    def refuse(cls, arguments: Mapping[str, Any]) -> None:
        """Raise one error for all unsupported parameters and values.

        Raises:
            ValueError: Some arguments are not supported. The message names each and says what to
                use instead.
        """
        values = {each.name: None for each in cls.parameters} | dict(arguments)
        check(cls.parameters, values, cls.stands_for)
        if sentences := list(cls.refusals(values)):
            raise ValueError(f"{cls.stands_for}: unsupported arguments: {'; '.join(sentences)}")

    @classmethod
    @override
    def partial(cls, **kwargs: Any) -> Any:
        cls.refuse(kwargs)
        return super().partial(**kwargs)
