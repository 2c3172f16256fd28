"""A controller of taskruns as a process, of this checkout or of another.

Ports are chosen here, not read from the log, because log lines differ between commits.
"""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.throughput.system import Controller

READY_WITHIN = 120.0
STOPPED_WITHIN = 30.0
TAIL_LINES = 40


@contextmanager
def running(controller: Controller, kubeconfig: Path, log: Path) -> Iterator[int]:
    """Run a controller for the block, which begins when it is ready; yield its process id."""
    log.parent.mkdir(parents=True, exist_ok=True)
    probes, metrics = _free_ports(2)
    command = [
        # A controller that outlives the benchmark would continue to act on the cluster.
        *("setpriv", "--pdeathsig", "KILL"),
        *(sys.executable, "-m", "taskruns.operator", *controller.flags),
        *("--kubeconfig", str(kubeconfig), "--log-level", "warning"),
        *("--probes-port", str(probes), "--metrics-port", str(metrics)),
    ]
    environ = {**os.environ, "PYTHONPATH": str(controller.checkout / "controller")}
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - our own program
            command, stdout=output, stderr=output, env=environ, cwd=controller.checkout
        )
    try:
        _wait_ready(process, probes, log)
        yield process.pid
    finally:
        _stop(process)


def _free_ports(number: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _wait_ready(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + READY_WITHIN
    while not _is_ready(port):
        if process.poll() is not None or time.monotonic() > deadline:
            lines = log.read_text(errors="replace").splitlines()[-TAIL_LINES:]
            raise RuntimeError("the controller is not ready:\n" + "\n".join(lines))
        time.sleep(0.05)


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5):
            return True
    except (urllib.error.URLError, OSError):
        return False


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOPPED_WITHIN)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
