"""What /livez and /readyz say: named checks, each a sentence about what is wrong, or nothing."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

Check = Callable[[], str]
"""Says what is wrong; empty when all is well."""


class Pulse:
    """When something last gave a sign of life."""

    def __init__(self, ticks: Callable[[], float] | None = None) -> None:
        self._ticks = ticks or asyncio.get_running_loop().time
        self._last: float | None = None

    def beat(self) -> None:
        """Give a sign of life."""
        self._last = self._ticks()

    def missing(self, longest: float) -> str:
        """Say for how long there was no sign, if that is longer than `longest` seconds.

        What has not begun is not missed.
        """
        if self._last is None:
            return ""
        silence = self._ticks() - self._last
        return f"no sign of life for {silence:.0f} s" if silence > longest else ""


@dataclass(slots=True)
class Health:
    """Checks by the name of what they look at."""

    alive: dict[str, Check] = field(default_factory=dict)
    """What only a restart can mend."""
    ready: dict[str, Check] = field(default_factory=dict)
    """What must be well besides, for runs to be worked on."""
    notes: dict[str, Check] = field(default_factory=dict)
    """What an administrator should know of, although the rest is worked on."""

    def not_alive(self) -> Mapping[str, str]:
        """Return what only a restart can mend."""
        return _troubles(self.alive)

    def not_ready(self) -> Mapping[str, str]:
        """Return all that keeps runs from being worked on."""
        return _troubles(self.alive | self.ready)

    def noted(self) -> Mapping[str, str]:
        """Return what is to be known although all is well."""
        return _troubles(self.notes)


def _troubles(checks: Mapping[str, Check]) -> dict[str, str]:
    said = {name: check() for name, check in checks.items()}
    return {name: trouble for name, trouble in said.items() if trouble}
