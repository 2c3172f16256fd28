"""A private Docker engine for image builds and tests, separate from the system's.

Its data folder is kept, because it caches layers for the next build; everything else is removed
when it stops. Only one engine runs on a data folder at a time, and a second build waits for the
first.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.cluster import mount, package, place
from tests.cluster.archive import image_id_of
from tests.cluster.cgroup import Cgroup
from tests.cluster.command import run, run_long
from tests.cluster.lock import held, held_if_free
from tests.cluster.progress import Progress
from tests.cluster.supervisor import Component, Supervisor

START_LIMIT = 60.0
BUILD_LIMIT = 30 * 60.0
OVERTAKEN_AFTER = "3h"
PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


@dataclass(frozen=True)
class DockerEngine:
    """dockerd and its own containerd, both below `run`; images and layers are in `data`."""

    data: Path
    run: Path
    group: Cgroup

    @classmethod
    def for_builds(cls) -> "DockerEngine":
        """Return the engine for image builds, which all clusters of this user share."""
        folder = place.cache() / "docker"
        return cls(folder, place.state() / "docker", Cgroup(f"/taskruns-docker-{os.geteuid()}"))

    @classmethod
    def for_containers(cls, name: str) -> "DockerEngine":
        """Return an engine that runs the containers of tests, one for each name."""
        folder = place.cache() / f"docker-{name}"
        group = Cgroup(f"/taskruns-docker-{name}-{os.geteuid()}")
        return cls(folder, place.state() / f"docker-{name}", group)

    @property
    def address(self) -> str:
        return f"unix://{self.run}/docker.sock"

    @property
    def supervisor(self) -> Supervisor:
        return Supervisor(self.run / "run", self.run / "log", self.group.child("system"))

    @contextmanager
    def running(self, progress: Progress) -> Iterator[None]:
        """Run the engine for the block, and remove all of its processes afterwards."""
        package.require_root()
        package.install({**package.NODE, **package.BUILD}, progress)
        package.install(package.CLIENT, progress)
        with held(self.lock, "the Docker engine", progress):
            self._clear()
            try:
                self._start(progress)
                yield
            finally:
                self.supervisor.stop("dockerd", grace=15)
                self._clear()

    @property
    def lock(self) -> Path:
        return self.data.with_suffix(".lock")

    def clear_leftovers(self) -> None:
        """Stop an engine whose builder was killed, unless another build uses it."""
        if self.run.exists():
            with held_if_free(self.lock) as free:
                if free:
                    self._clear()

    def _start(self, progress: Progress) -> None:
        progress.say("starting a private Docker engine")
        self.group.child("system").make()
        self.group.child("containers").make()
        self.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        for component in (self._containerd(), self._dockerd()):
            self.supervisor.start(component)
            socket = self.run / f"{component.name.removesuffix('d')}.sock"
            self.supervisor.wait_ready(component, socket.exists, START_LIMIT)
        self.supervisor.wait_ready(self._dockerd(), self.answers, START_LIMIT)

    def _clear(self) -> None:
        """Remove all traces of the engine, including those of an interrupted build."""
        self.supervisor.stop("dockerd")
        self.group.kill()
        for folder in (self.run, self.data):
            mount.unmount_below(folder)
        self.group.remove()
        shutil.rmtree(self.run, ignore_errors=True)

    def _containerd(self) -> Component:
        config = self.run / "containerd.toml"
        text = f"""version = 2
root = "{self.run}/containerd/root"
state = "{self.run}/containerd/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "{self.run}/container.sock"
"""
        return Component("containerd", ("containerd", f"--config={config}"), {config: text})

    def _dockerd(self) -> Component:
        config = self.run / "dockerd.json"
        environ = {name: os.environ[name] for name in PROXIES if name in os.environ}
        argv = (
            "dockerd",
            f"--config-file={config}",
            f"--host={self.address}",
            f"--containerd={self.run}/container.sock",
            f"--data-root={self.data}",
            f"--exec-root={self.run}/exec",
            f"--pidfile={self.run}/dockerd.pid",
            f"--cgroup-parent={self.group.path}/containers",
            "--storage-driver=overlay2",
            "--bridge=none",
            "--iptables=false",
            "--ip6tables=false",
            "--ip-forward=false",
        )
        return Component("dockerd", argv, {config: "{}\n"}, environ, grace=15)

    @property
    def environ(self) -> dict[str, str]:
        """Environment for the docker command to use this engine, without the user's settings."""
        classic = {"DOCKER_BUILDKIT": "0", "DOCKER_CONFIG": str(self.run / "client")}
        return {"DOCKER_HOST": self.address, **classic}

    def answers(self) -> bool:
        return not self.docker("version", check=False).returncode

    def docker(self, *args: str | Path, check: bool = True) -> "subprocess.CompletedProcess[str]":
        bare = [f"{name}={value}" for name, value in self.environ.items()]
        return run(["env", *bare, "docker", *args], within=300, check=check)

    def load(self, tag: str, archive: Path, progress: Progress) -> None:
        """Load an archive from `docker save`, unless the data folder already contains it."""
        if self.image_id(tag) != image_id_of(archive):
            progress.say(f"loading {tag} into the Docker engine")
            self.docker("load", "--input", archive)

    def build(
        self,
        tag: str,
        dockerfile: Path,
        context: Path,
        build_args: Mapping[str, str],
        progress: Progress,
    ) -> str:
        """Build an image and return its id."""
        task = f"building image {tag}"
        progress.say(f"{task} (log: {self.build_log})")
        proxies = {name: os.environ[name] for name in PROXIES if name in os.environ}
        all_args = {**proxies, **build_args}
        args = [f"--build-arg={name}={value}" for name, value in all_args.items()]
        group = f"--cgroup-parent={self.group.path}/containers"
        argv = ["docker", "build", "--network=host", group, *args, "--tag", tag, "--file"]
        run_long(
            [*argv, dockerfile, context],
            task=task,
            log=self.build_log,
            progress=progress,
            within=BUILD_LIMIT,
            env=self.environ,
        )
        # Layers of replaced builds would otherwise grow to gigabytes within a day.
        self.docker("image", "prune", "--force", f"--filter=until={OVERTAKEN_AFTER}", check=False)
        return self.image_id(tag)

    @property
    def build_log(self) -> Path:
        return place.cache() / "log" / "build-image.log"

    def image_id(self, tag: str) -> str:
        """Return the id of an image, or an empty string."""
        inspection = self.docker("image", "inspect", "--format={{.Id}}", tag, check=False)
        return inspection.stdout.strip() if not inspection.returncode else ""
