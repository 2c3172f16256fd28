"""The containers of a TaskRun's Pod by their names, and those whose logs are a task's."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from taskruns.api import names

Asked = str | Collection[str] | bool | None
"""Containers as a task names them: one, several, or (True) every one that there is."""


@dataclass(frozen=True, slots=True)
class Shown:
    """The containers whose logs are told, in the order in which their Pod has them."""

    main: str
    """The main container's name, whether it is told or not."""
    before: tuple[str, ...] = ()
    """Init containers that end before the main one starts."""
    beside: tuple[str, ...] = ()
    """The main one, and what runs beside it."""
    named: bool = False
    """Whether each line is told with its container's name."""

    def line(self, container: str, text: str) -> str:
        """Return a line as it is told."""
        return f"[{container}] {text}" if self.named else text

    def to_json(self) -> dict[str, Any]:
        """Return the parts as a trigger is given them."""
        return asdict(self) | {"before": list(self.before), "beside": list(self.beside)}

    @classmethod
    def of_json(cls, told: Mapping[str, Any]) -> Self:
        """Read what `to_json` has written."""
        return cls(
            told["main"], tuple(told["before"]), tuple(told["beside"]), named=bool(told["named"])
        )


@dataclass(frozen=True, slots=True)
class Containers:
    """The containers that a TaskRun's spec names, in their order."""

    main: str
    init: tuple[str, ...]
    others: tuple[str, ...]
    """Those that are no init containers, main among them."""
    sidecars: frozenset[str]
    """Init containers that go on beside main."""

    @classmethod
    def of(cls, spec: Mapping[str, Any]) -> Self:
        """Read them from a TaskRun's spec."""
        template = spec.get("template") or {}
        annotations = (template.get("metadata") or {}).get("annotations") or {}
        pod = template.get("spec") or {}
        init, others = pod.get("initContainers") or [], _names(pod.get("containers") or [])
        annotated = str(annotations.get(names.ANNOTATION_DEFAULT_CONTAINER, ""))
        main = names.main_of(others, annotated) or names.MAIN_CONTAINER
        return cls(
            main,
            init=_names(init),
            others=others if main in others else (main, *others),
            sidecars=frozenset(_names(c for c in init if c.get("restartPolicy") == "Always")),
        )

    def shown(self, asked: Iterable[str], *, named: bool = True) -> Shown:
        """Choose those whose logs are told; a name that is not here may be added by the cluster.

        Args:
            asked: their names, in any order.
            named: whether lines are told with their container's name, where it is not the only one.
        """
        wanted = dict.fromkeys(asked)
        known = [each for each in (*self.init, *self.others) if each in wanted]
        chosen = dict.fromkeys([*known, *wanted])
        ends = {each for each in self.init if each not in self.sidecars}
        return Shown(
            self.main,
            before=tuple(each for each in chosen if each in ends),
            beside=tuple(each for each in chosen if each not in ends),
            named=named and len(chosen) > 1,
        )


def names_of(asked: Asked, every: Iterable[str], default: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the names that are asked for; `default` where nothing is."""
    if asked is True:
        return tuple(every)
    if not asked:
        return tuple(default)
    return (asked,) if isinstance(asked, str) else tuple(asked)


def _names(containers: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    return tuple(str(each.get("name")) for each in containers)
