"""What operators have in common that are called by another provider's names."""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from typing_extensions import override

from taskruns_airflow.compat.parameters import Parameter, check
from taskruns_airflow.operator import TaskRunOperator


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
