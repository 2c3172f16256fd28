"""Names of the containers of a TaskRun's Pod, and the choice of those whose logs are copied."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from taskruns.api import names

ContainerSelection = str | Collection[str] | bool | None
"""Containers as a task names them: one name, several names, or True for all."""


@dataclass(frozen=True, slots=True)
class Shown:
    """The containers whose logs are copied to the task's log, in the order of their Pod."""

    main: str
    """Name of the main container, even if its log is not copied."""
    before: tuple[str, ...] = ()
    """Init containers that end before main starts."""
    beside: tuple[str, ...] = ()
    """Main, sidecars and other containers that run beside main."""
    named: bool = False
    """Whether each line begins with its container's name."""

    def line(self, container: str, text: str) -> str:
        """Return a line as it is written to the task's log."""
        return f"[{container}] {text}" if self.named else text

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON-compatible arguments of a trigger."""
        return asdict(self) | {"before": list(self.before), "beside": list(self.beside)}

    @classmethod
    def of_json(cls, serialized: Mapping[str, Any]) -> Self:
        """Read the output of `to_json`."""
        return cls(
            serialized["main"],
            tuple(serialized["before"]),
            tuple(serialized["beside"]),
            named=bool(serialized["named"]),
        )


@dataclass(frozen=True, slots=True)
class Containers:
    """The containers that a TaskRun's spec names, in the order of the spec."""

    main: str
    init: tuple[str, ...]
    regular: tuple[str, ...]
    """Containers other than init containers, main included."""
    sidecars: frozenset[str]
    """Init containers with restartPolicy Always, which continue beside main."""

    @classmethod
    def of(cls, spec: Mapping[str, Any]) -> Self:
        """Return the containers of a TaskRun's spec."""
        template = spec.get("template") or {}
        annotations = (template.get("metadata") or {}).get("annotations") or {}
        pod = template.get("spec") or {}
        init, ordinary = pod.get("initContainers") or [], _names(pod.get("containers") or [])
        annotated = str(annotations.get(names.ANNOTATION_DEFAULT_CONTAINER, ""))
        main = names.main_container_name(ordinary, annotated) or names.MAIN_CONTAINER
        return cls(
            main,
            init=_names(init),
            regular=ordinary if main in ordinary else (main, *ordinary),
            sidecars=frozenset(_names(c for c in init if c.get("restartPolicy") == "Always")),
        )

    def shown(self, requested: Iterable[str], *, named: bool = True) -> Shown:
        """Return the choice of containers whose logs are copied.

        Unknown names are kept: the cluster may add such containers to the Pod.

        Args:
            requested: Names of the containers, in any order.
            named: Whether lines begin with their container's name if there are several.
        """
        unique = dict.fromkeys(requested)
        known = [each for each in (*self.init, *self.regular) if each in unique]
        chosen = dict.fromkeys([*known, *unique])
        ends = {each for each in self.init if each not in self.sidecars}
        return Shown(
            self.main,
            before=tuple(each for each in chosen if each in ends),
            beside=tuple(each for each in chosen if each not in ends),
            named=named and len(chosen) > 1,
        )


def names_of(
    selection: ContainerSelection, every: Iterable[str], default: Iterable[str] = ()
) -> tuple[str, ...]:
    """Return the requested names; `default` if none are requested."""
    if selection is True:
        return tuple(every)
    if not selection:
        return tuple(default)
    return (selection,) if isinstance(selection, str) else tuple(selection)


def _names(containers: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    return tuple(str(each.get("name")) for each in containers)
