"""Supervisor of components, which continue after this program has ended.

Each component records its identity (process id and start time) before it executes the real program,
so it never runs unrecorded. A digest of its arguments and configuration shows whether a running
component is up to date.
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.cluster.cgroup import Cgroup
from tests.cluster.command import run, tail
from tests.cluster.deadline import wait_until
from tests.cluster.error import ClusterError
from tests.cluster.process import BOOT_ID, Process

# Arguments: $1 record, $2 log, $3 the control group's file; then the program.
LAUNCH = """
record=$1 log=$2 group=$3; shift 3
echo $$ > "$group" || exit 1
{ cat "$BOOT_ID"; read -r stat < /proc/$$/stat; echo "$stat"; } > "$record.new"
mv "$record.new" "$record"
exec "$@" < /dev/null >> "$log" 2>&1
"""


@dataclass(frozen=True)
class Component:
    """A program with its arguments and the configuration files that it reads at its start."""

    name: str
    argv: tuple[str, ...]
    files: Mapping[Path, str] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=dict)
    grace: float = 10

    @property
    def digest(self) -> str:
        """Digest of the component, which includes the target of a program's link."""
        program = str(Path(self.argv[0]).resolve()) if self.argv[0].startswith("/") else ""
        files = {str(path): text for path, text in self.files.items()}
        content = json.dumps([program, self.argv, files], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()


@dataclass(frozen=True)
class Supervisor:
    """The started components of one place, in one control group."""

    run_folder: Path
    log_folder: Path
    group: Cgroup

    def log(self, name: str) -> Path:
        return self.log_folder / f"{name}.log"

    def process(self, name: str) -> Process | None:
        """Return the component's process if it runs, or None."""
        process = Process.read(self.run_folder / f"{name}.process")
        return process if process and process.alive else None

    def is_current(self, component: Component) -> bool:
        """Return whether the component runs with its current arguments and configuration."""
        digest = self.run_folder / f"{component.name}.digest"
        started_with = digest.read_text() if digest.exists() else ""
        return started_with == component.digest and self.process(component.name) is not None

    def start(self, component: Component) -> None:
        """Start the component, and stop a running one with other arguments first."""
        self.stop(component.name, component.grace)
        for folder in (self.run_folder, self.log_folder):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for path, text in component.files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (self.run_folder / f"{component.name}.digest").write_text(component.digest)
        self._launch(component)

    def _launch(self, component: Component) -> None:
        log = self.log(component.name)
        if log.exists():
            log.replace(log.with_suffix(".log.before"))
        record = self.run_folder / f"{component.name}.process"
        record.unlink(missing_ok=True)
        marks = [str(path) for path in (record, log, self.group.entry)]
        launch = ["sh", "-c", LAUNCH, "launch", *marks, *component.argv]
        environ = {**_plain_environ(), **component.environ, "BOOT_ID": str(BOOT_ID)}
        # A forked session receives no signals of the terminal and needs no parent to reap it.
        bare = [f"{name}={value}" for name, value in environ.items()]
        run(["env", "--ignore-environment", *bare, "setsid", "--fork", *launch])
        wait_until(record.exists, within=10, condition=f"{component.name} to be started")

    def wait_ready(self, component: Component, probe: Callable[[], bool], within: float) -> None:
        """Wait until the component is ready; raise at once if it has ended."""

        def ready_or_dead() -> bool:
            return self.process(component.name) is None or probe()

        try:
            wait_until(ready_or_dead, within=within, condition=f"{component.name} to be ready")
        except ClusterError as error:
            raise ClusterError(f"{error}. {self._advice(component.name)}") from error
        if self.process(component.name) is None:
            raise ClusterError(f"{component.name} has ended. {self._advice(component.name)}")

    def _advice(self, name: str) -> str:
        return f"{tail(self.log(name))}\nFix the cause, then repeat the command to continue"

    def stop(self, name: str, grace: float = 10) -> None:
        """Stop the component if it runs. It counts as outdated even if this call is interrupted."""
        (self.run_folder / f"{name}.digest").unlink(missing_ok=True)
        process = self.process(name)
        if process:
            process.stop(grace)


def _plain_environ() -> dict[str, str]:
    """Return the PATH and HOME for components, without variables that could affect them."""
    system = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return {"PATH": system, "HOME": os.environ.get("HOME", "/")}
