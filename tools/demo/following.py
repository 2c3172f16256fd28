"""Following of TaskRuns, with one line for each relevant change."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from tools.demo.commands import Commands, Object
from tools.demo.screen import Screen

PATIENCE = 120
"""Timeout for all samples together, in seconds; they need a few."""

_ENDS = {"Succeeded", "Failed", "Cancelled"}
_COLUMNS = "{:<10}{:<10}{:<12}{:<9}{:<6}{}"


class TooSlow(Exception):
    """A sample did not end in time. The message names it and the command that shows its state."""


@dataclass
class Ended:
    """Status of an ended run, and the log of its last Pod, which may have been deleted since."""

    name: str
    status: Object
    log: str


@dataclass
class Following:
    """Follower of runs in the default namespace."""

    commands: Commands
    screen: Screen
    ended: dict[str, Ended] = field(default_factory=dict)
    _shown: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def until_all_end(self, names: tuple[str, ...]) -> Mapping[str, Ended]:
        """Print every change until all runs have ended; read each log as soon as its run ends.

        Raises:
            TooSlow: a run did not end in time.
        """
        self.screen.output(_COLUMNS.format("TIME", "RUN", "PHASE", "ATTEMPT", "EXIT", "REASON"))
        with self.commands.watching("kubectl get taskruns", PATIENCE) as changes:
            for change in changes:
                if change["metadata"]["name"] in names:
                    self._take(change)
                if len(self.ended) == len(names):
                    return self.ended
        late = [name for name in names if name not in self.ended]
        raise TooSlow(
            f"{', '.join(late)} did not end within {PATIENCE}s; check it with\n"
            f"  kubectl describe taskrun {late[0]}"
        )

    def _take(self, run: Object) -> None:
        name, status = run["metadata"]["name"], run.get("status") or {}
        phase = status.get("phase")
        line = (
            phase or "",
            str(status.get("attempt", "-")),
            str(status.get("exitCode", "-")),
            status.get("reason") or "",
        )
        if phase is None or self._shown.get(name) == line:
            return
        self._shown[name] = line
        now = datetime.now().astimezone().strftime("%H:%M:%S")
        self.screen.output(self._coloured(_COLUMNS.format(now, name, *line), phase))
        if phase in _ENDS:
            log = self.commands.run(f"kubectl logs {status['podName']}")
            self.ended[name] = Ended(name, status, log)

    def _coloured(self, text: str, phase: str) -> str:
        if phase == "Succeeded":
            return self.screen.good(text)
        return self.screen.bad(text) if phase in _ENDS else text
