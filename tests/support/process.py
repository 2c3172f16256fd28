"""A controller as a program of this machine: started, asked to stop, or killed."""

import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from tests.cluster import Cluster

_READY_WITHIN = 30
_STOPPED_WITHIN = 15
_OK = 200


class ControllerProcess:
    """One life of a controller; its log goes to a file that outlives it."""

    def __init__(
        self, cluster: Cluster, *arguments: str, module: str = "taskruns.operator"
    ) -> None:
        self._command = [
            *(sys.executable, "-m", module, *arguments),
            *("--kubeconfig", str(cluster.kubeconfig), "--probes-port", "0"),
        ]
        self.log = Path(tempfile.mkdtemp(prefix="taskruns-controller-")) / "log"
        self.log.touch()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it says that it is ready."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        deadline = time.monotonic() + _READY_WITHIN
        while not self._is_ready():
            assert self._process.poll() is None, f"the controller has ended:\n{self.log_tail()}"
            assert time.monotonic() < deadline, f"the controller is not ready:\n{self.log_tail()}"
            time.sleep(0.05)

    def stop(self) -> None:
        """Ask it to stop and wait until it has, in good order."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            code = self._process.wait(_STOPPED_WITHIN)
            self._process = None
            assert code == 0, f"the controller ended with {code}:\n{self.log_tail()}"

    def kill(self) -> None:
        """End it without warning."""
        if self._process is not None:
            self._process.kill()
            self.died(_STOPPED_WITHIN)

    def died(self, seconds: float) -> None:
        """Wait until it has been killed, by itself or by somebody.

        Raises:
            AssertionError: it ended in another way, or not in time.
        """
        assert self._process is not None
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the controller still lives:\n{self.log_tail()}") from None
        self._process = None
        assert code == -signal.SIGKILL, f"the controller ended with {code}:\n{self.log_tail()}"

    def log_tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-60:])

    def _is_ready(self) -> bool:
        marker = "probes are answered on "
        told = self.log.read_text(errors="replace").rpartition(marker)[2].split()
        if not told or not told[0].startswith("http"):
            return False
        url = told[0].removesuffix("/livez") + "/readyz"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return bool(answer.status == _OK)
        except (urllib.error.URLError, OSError):
            return False
