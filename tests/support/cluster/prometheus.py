"""A real Prometheus on loopback, from Debian's package, and its promtool."""

import json
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode

import yaml

from tests.cluster import package
from tests.cluster.progress import Progress

PACKAGE = {"prometheus": "prometheus"}
JOB = "taskruns"
_READY_WITHIN = 30.0

Series = dict[str, Any]


def install() -> None:
    """Install the package if it is missing; no service is started.

    Raises:
        ClusterError: this machine cannot; the message names what to install.
    """
    package.install(PACKAGE, Progress())


def promtool(*arguments: str, stdin: str = "") -> str:
    """Run promtool; return its output if it failed, otherwise an empty string."""
    done = subprocess.run(
        ["promtool", *arguments], input=stdin, capture_output=True, text=True, check=False
    )
    return f"{done.stdout}{done.stderr}" if done.returncode else ""


class Prometheus:
    """Scrape one target every `every` seconds while the context is entered."""

    def __init__(self, target: str, every: int = 1) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="taskruns-prometheus-"))
        self._target = target
        self._every = every
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._address = f"127.0.0.1:{free.getsockname()[1]}"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        scrape = {"job_name": JOB, "static_configs": [{"targets": [self._target]}]}
        interval = f"{self._every}s"
        every = {"scrape_interval": interval, "scrape_timeout": interval}
        settings = self._folder / "prometheus.yaml"
        settings.write_text(yaml.safe_dump({"global": every, "scrape_configs": [scrape]}))
        command = [
            # Prometheus must end with its tests.
            *("setpriv", "--pdeathsig", "KILL", "prometheus"),
            f"--config.file={settings}",
            f"--storage.tsdb.path={self._folder / 'data'}",
            f"--web.listen-address={self._address}",
        ]
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        self._await(lambda: self._get("/-/ready") is not None, "ready")
        self.until("up == 1")
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
        shutil.rmtree(self._folder, ignore_errors=True)

    def query(self, expression: str) -> list[Series]:
        """Return the present values of an expression.

        Raises:
            ValueError: Prometheus refuses the expression; the message is its own.
        """
        return self._ask("query", {"query": expression})

    def query_range(self, expression: str, start: float, end: float, step: float) -> list[Series]:
        """Return the values of an expression every `step` seconds between two times.

        Raises:
            ValueError: Prometheus refuses the expression; the message is its own.
        """
        times = {"start": str(start), "end": str(end), "step": str(step)}
        return self._ask("query_range", {"query": expression, **times})

    def until(self, expression: str) -> None:
        """Wait until an expression has a result, as a comparison has when it is true."""
        self._await(lambda: self.query(expression), f"at {expression}")

    def _ask(self, what: str, parameters: Mapping[str, str]) -> list[Series]:
        answer = self._get(f"/api/v1/{what}?{urlencode(parameters)}")
        if answer is None:
            raise ValueError(f"{self._address} does not answer")
        response = json.loads(answer)
        if response["status"] != "success":
            raise ValueError(f"{parameters['query']}: {response['error']}")
        series: list[Series] = response["data"]["result"]
        return series

    def _get(self, path: str) -> bytes | None:
        try:
            with urllib.request.urlopen(f"http://{self._address}{path}", timeout=10) as answer:
                read: bytes = answer.read()
                return read
        except urllib.error.HTTPError as error:
            return error.read() if path.startswith("/api/") else None
        except OSError:
            return None

    def _await(self, look: Any, what: str) -> None:
        deadline = time.monotonic() + _READY_WITHIN
        while not look():
            if time.monotonic() > deadline:
                log = (self._folder / "log").read_text(errors="replace")[-2000:]
                raise TimeoutError(f"Prometheus is not {what}:\n{log}")
            time.sleep(0.1)
