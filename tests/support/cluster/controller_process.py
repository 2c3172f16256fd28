"""A controller as a process of this machine: started, stopped or killed."""

import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster import Cluster

_ROOT = Path(__file__).resolve().parents[3]
_READY_WITHIN = 120
_STOPPED_WITHIN = 15
_OK = 200


class ControllerProcess:
    """A controller process; its log goes to a file that outlives it."""

    def __init__(
        self,
        cluster: Cluster,
        *arguments: str,
        module: str = "taskruns.operator",
        kubeconfig: Path | None = None,
    ) -> None:
        self._command = [
            # A controller that outlives its tests would continue to act on their cluster.
            *("setpriv", "--pdeathsig", "KILL"),
            *(sys.executable, "-m", module, *arguments),
            *("--kubeconfig", str(kubeconfig or cluster.kubeconfig), "--probes-port", "0"),
            *("--metrics-port", "0"),
        ]
        self.log = Path(tempfile.mkdtemp(prefix="taskruns-controller-")) / "log"
        self.log.touch()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *, until_ready: bool = True) -> None:
        """Start the controller; wait until it is ready unless `until_ready` is false."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, cwd=_ROOT)
        if not until_ready:
            return
        deadline = time.monotonic() + _READY_WITHIN
        while not self.is_ready():
            assert self._process.poll() is None, f"the controller has ended:\n{self.log_tail()}"
            assert time.monotonic() < deadline, f"the controller is not ready:\n{self.log_tail()}"
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop the controller gracefully and wait until it has ended."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            code = self._wait(_STOPPED_WITHIN)
            assert code == 0, f"the controller ended with {code}:\n{self.log_tail()}"

    def kill(self) -> None:
        """End the controller by SIGKILL, if it runs."""
        if self._process is not None:
            self._process.kill()
            self._wait(_STOPPED_WITHIN)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Run the controller during the block; stop it gracefully if the block succeeds."""
        self.start()
        try:
            yield
            self.stop()
        finally:
            self.kill()

    def died(self, seconds: float) -> None:
        """Wait until the controller has been ended by SIGKILL.

        Raises:
            AssertionError: it ended in another way, or not within `seconds`.
        """
        code = self._wait(seconds)
        assert code == -signal.SIGKILL, f"the controller ended with {code}:\n{self.log_tail()}"

    def is_running(self) -> bool:
        """Return whether the process was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The controller's process id; it must be running."""
        assert self._process is not None, "the controller was not started"
        assert self._process.poll() is None, f"the controller has ended:\n{self.log_tail()}"
        return self._process.pid

    def log_tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-60:])

    def _wait(self, seconds: float) -> int:
        """Return the exit code; kill a controller that does not end in time, and fail."""
        assert self._process is not None, "the controller was not started"
        process, self._process = self._process, None
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"the controller did not end:\n{self.log_tail()}") from None

    def address(self, what: str) -> str:
        """Return the last logged address of `probes` or `metrics`; empty if there is none yet."""
        addresses = re.findall(
            rf"serving {what} on http://([^/]+)/", self.log.read_text(errors="replace")
        )
        return addresses[-1] if addresses else ""

    def is_ready(self) -> bool:
        """Return whether /readyz reports success."""
        address = self.address("probes")
        if not address:
            return False
        try:
            with urllib.request.urlopen(f"http://{address}/readyz", timeout=5) as answer:
                return bool(answer.status == _OK)
        except (urllib.error.URLError, OSError):
            return False
