"""kubectl and helm commands of the demo, against its own cluster."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.cluster import Cluster

Object = dict[str, Any]


class CommandFailed(Exception):
    """A command failed; the message contains its standard error."""


class Commands:
    """Runner for programs in a cluster's bin folder, with the cluster's kubeconfig."""

    def __init__(self, cluster: Cluster) -> None:
        self._bin = cluster.bin_dir
        self._environment = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig)}

    def run(self, line: str, *more: str) -> str:
        """Run a command and return its standard output.

        Args:
            line: the command line, which is split at spaces.
            more: further arguments, which are not split.

        Raises:
            CommandFailed: the exit code is not 0.
        """
        program, *arguments = line.split()
        done = subprocess.run(
            [str(self._bin / program), *arguments, *more],
            capture_output=True,
            text=True,
            env=self._environment,
            check=False,
        )
        if done.returncode:
            raise CommandFailed(f"`{line}` exited with {done.returncode}:\n{done.stderr.strip()}")
        return done.stdout

    def read(self, line: str) -> Object:
        """Run `kubectl get ...` and return the object from its JSON output."""
        content: Object = json.loads(self.run(f"{line} --output=json"))
        return content

    @contextmanager
    def watching(self, line: str, seconds: int) -> Iterator[Iterator[Object]]:
        """Run `kubectl get ...` as a watch that ends after `seconds` at the latest."""
        program, *arguments = line.split()
        flags = ["--watch", "--output=json", f"--request-timeout={seconds}s"]
        watch = subprocess.Popen(
            [str(self._bin / program), *arguments, *flags],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=self._environment,
        )
        try:
            yield _objects(watch)
        finally:
            watch.terminate()
            watch.wait()
            if watch.stdout:
                watch.stdout.close()


def _objects(watch: "subprocess.Popen[str]") -> Iterator[Object]:
    """Yield JSON objects from output in which each object ends with a line `}`."""
    lines: list[str] = []
    for line in watch.stdout or ():
        lines.append(line)
        if line == "}\n":
            yield json.loads("".join(lines))
            lines.clear()
