"""Two controllers that are killed and frozen, and started again as a kubelet would."""

import os
import signal
from contextlib import suppress

from tests.cluster import Cluster
from tests.support.cluster.controller_process import ControllerProcess


class Controllers:
    """Two controllers of one cluster."""

    def __init__(self, cluster: Cluster, *arguments: str) -> None:
        self._processes = [ControllerProcess(cluster, *arguments) for _ in range(2)]
        self._frozen: set[int] = set()
        self._down: set[int] = set()
        self.exits = 0
        """Number of processes that have ended by themselves."""

    def start(self) -> None:
        for process in self._processes:
            process.start(until_ready=False)

    def kill(self, choice: float) -> int:
        """Kill one by SIGKILL; return its number."""
        number = int(choice * len(self._processes))
        self._down.add(number)
        self._frozen.discard(number)
        self._processes[number].kill()
        return number

    def restart(self, number: int) -> None:
        if number in self._down:
            self._down.discard(number)
            self._processes[number].start(until_ready=False)

    def freeze(self, choice: float) -> int:
        """Stop one by SIGSTOP; return its number."""
        number = int(choice * len(self._processes))
        if number not in self._down:
            self._frozen.add(number)
            self._signal(number, signal.SIGSTOP)
        return number

    def thaw(self, number: int) -> None:
        if number in self._frozen:
            self._frozen.discard(number)
            self._signal(number, signal.SIGCONT)

    def supervise(self) -> None:
        """Start each controller again that has ended by itself, as a kubelet does."""
        for number, process in enumerate(self._processes):
            if number not in self._down and not process.is_running():
                self.exits += 1
                self._frozen.discard(number)
                process.start(until_ready=False)

    def heal(self) -> None:
        """Let both controllers run."""
        for number in tuple(self._down):
            self.restart(number)
        for number in tuple(self._frozen):
            self.thaw(number)

    def stop(self) -> None:
        for process in self._processes:
            process.kill()

    def log_tails(self) -> str:
        return "\n\n".join(process.log_tail() for process in self._processes)

    def _signal(self, number: int, number_of_signal: signal.Signals) -> None:
        with suppress(AssertionError, ProcessLookupError):  # it has just ended by itself
            os.kill(self._processes[number].pid, number_of_signal)
