"""Driver for a cluster by kind, which needs Docker and a container registry.

It needs kind 0.32 or newer. No test runs it, because no container registry was available during
development, and it is kept small for that reason. It cannot stop single components, because kind
runs them as Pods.
"""

import json
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.cluster import configuration
from tests.cluster.command import run, run_long
from tests.cluster.error import ClusterError
from tests.cluster.image_build import ImageBuild
from tests.cluster.place import Place
from tests.cluster.progress import Progress
from tests.cluster.python_base import PythonBase
from tests.cluster.status import ComponentStatus, Status
from tests.cluster.tuning import Tuning

MINIMUM_VERSION = (0, 32)
"""kind's oldest version: the first whose `kind load` works with the node's image, and which
configures nodes of Kubernetes 1.36 by KUBEADM_API."""

KUBEADM_API = "kubeadm.k8s.io/v1beta4"
"""API version of the patch below, in which `extraArgs` is a list of names and values."""

NODE_IMAGE = "kindest/node:v1.36.1"
"""The image that was published with kind 0.32.0."""

NO_SPARE_NODES = "spare nodes need `--driver local`"
NEEDED = ("docker", "kind", "kubectl", "helm")
LIMIT = 15 * 60.0
AUDIT = "/etc/taskruns"
AUDIT_FLAGS = {
    "audit-policy-file": f"{AUDIT}/config/audit-policy.json",
    "audit-log-path": f"{AUDIT}/log/audit.log",
}


@dataclass(frozen=True)
class KindDriver:
    """A cluster with one kind node."""

    place: Place
    name = "kind"

    @staticmethod
    def obstacles() -> list[str]:
        """Return what this machine lacks for kind, one sentence each; the check takes seconds."""
        if absent := [program for program in NEEDED if not shutil.which(program)]:
            return [f"not installed: {', '.join(absent)}"]
        if not _succeeds("docker", "info"):
            return ["no Docker daemon responds: start it, or set DOCKER_HOST"]
        version = run(["kind", "version"], within=10, check=False).stdout
        if parse_version(version) < MINIMUM_VERSION:
            needed = ".".join(map(str, MINIMUM_VERSION))
            return [
                f"kind {needed} or newer is needed, and `kind version` prints: {version.strip()}"
            ]
        if not _succeeds("docker", "image", "inspect", NODE_IMAGE) and not _succeeds(
            "docker", "manifest", "inspect", NODE_IMAGE
        ):
            return [f"the image {NODE_IMAGE} is not on this machine and cannot be pulled"]
        return []

    @property
    def kind_name(self) -> str:
        return f"taskruns-{self.place.name}"

    @property
    def node_name(self) -> str:
        return f"{self.kind_name}-control-plane"

    @property
    def server(self) -> str:
        view = self._kubectl("config", "view", "--minify", "--output=json")
        server: str = json.loads(view)["clusters"][0]["cluster"]["server"]
        return server

    def up(self, progress: Progress) -> None:
        if not self._exists():
            self._write_settings()
            progress.say("creating a cluster with kind (about a minute)")
            settings = self.place.config / "kind.json"
            argv = ["kind", "create", "cluster", "--name", self.kind_name, "--image", NODE_IMAGE]
            argv += ["--kubeconfig", str(self.place.kubeconfig), "--wait", "5m"]
            run_long(
                [*argv, "--config", settings],
                task="kind create cluster",
                log=self.place.log / "kind.log",
                progress=progress,
                within=LIMIT,
            )
        self._link_programs()

    def _link_programs(self) -> None:
        self.place.bin.mkdir(parents=True, exist_ok=True)
        for program in ("kubectl", "helm"):
            link, path = self.place.bin / program, shutil.which(program)
            if path and not link.is_symlink():
                link.symlink_to(path)

    def _write_settings(self) -> None:
        """Write kind's settings, which enable an audit log in the cluster's log folder."""
        for folder in (self.place.config, self.place.log):
            folder.mkdir(parents=True, exist_ok=True)
        (self.place.config / "audit-policy.json").write_text(configuration.audit_policy())
        volumes = [
            {"name": name, "hostPath": f"{AUDIT}/{name}", "mountPath": f"{AUDIT}/{name}"}
            for name in ("config", "log")
        ]
        flags = [{"name": name, "value": value} for name, value in AUDIT_FLAGS.items()]
        patch = {
            "apiVersion": KUBEADM_API,
            "kind": "ClusterConfiguration",
            "apiServer": {"extraArgs": flags, "extraVolumes": volumes},
        }
        mounts = [
            {"hostPath": str(path), "containerPath": f"{AUDIT}/{path.name}"}
            for path in (self.place.config, self.place.log)
        ]
        node = {
            "role": "control-plane",
            "extraMounts": mounts,
            "kubeadmConfigPatches": [json.dumps(patch)],
        }
        cluster = {"kind": "Cluster", "apiVersion": "kind.x-k8s.io/v1alpha4", "nodes": [node]}
        (self.place.config / "kind.json").write_text(json.dumps(cluster, indent=2))

    def down(self, progress: Progress) -> None:
        progress.say(f"deleting the kind cluster {self.kind_name}")
        run(["kind", "delete", "cluster", "--name", self.kind_name], within=120)
        shutil.rmtree(self.place.folder, ignore_errors=True)

    def _exists(self) -> bool:
        return self.kind_name in run(["kind", "get", "clusters"]).stdout.split()

    def _kubectl(self, *args: str) -> str:
        return run(["kubectl", "--kubeconfig", self.place.kubeconfig, *args]).stdout

    def status(self) -> Status:
        runs = self.place.kubeconfig.exists() and self._exists()
        ready = runs and '"True"' in self._kubectl(
            "get", "node", self.node_name, '--output=jsonpath="{.status.conditions[-1].status}"'
        )
        return Status(
            name=self.place.name,
            driver=self.name,
            server=self.server if runs else "-",
            node=self.node_name,
            node_ready=ready,
            components=(ComponentStatus("kind", None, runs),),
        )

    def start(self, name: str, progress: Progress) -> None:  # noqa: ARG002 - of the protocol
        raise ClusterError(f"kind runs {name} itself: single components need `--driver local`")

    def stop(self, name: str, grace: float) -> None:  # noqa: ARG002 - as above
        raise ClusterError(f"kind runs {name} itself: single components need `--driver local`")

    def add_node(self, number: int, progress: Progress) -> None:  # noqa: ARG002 - as above
        raise ClusterError(NO_SPARE_NODES)

    def power_off(self, number: int) -> None:  # noqa: ARG002 - as above
        raise ClusterError(NO_SPARE_NODES)

    def remove_node(self, number: int) -> None:  # noqa: ARG002 - as above
        raise ClusterError(NO_SPARE_NODES)

    def simulate_node(self, stages: str, progress: Progress) -> None:  # noqa: ARG002 - as above
        raise ClusterError("a simulated node needs `--driver local`")

    def tune(self, tuning: Tuning, progress: Progress) -> None:  # noqa: ARG002 - as above
        raise ClusterError("other settings of the control plane need `--driver local`")

    def load_image(self, archive: Path) -> None:
        run(["kind", "load", "image-archive", archive, "--name", self.kind_name], within=LIMIT)

    def load_python(self, base: PythonBase, progress: Progress) -> str:
        """Return the image's name. The node pulls official images itself; others are loaded."""
        if base.name:
            self.load_image(base.archive(progress))
        else:
            progress.say(f"the node pulls {base.tag} itself")
        return base.tag

    def build_image(self, build: ImageBuild, progress: Progress) -> str:
        args = [f"--build-arg={name}={value}" for name, value in build.build_args.items()]
        run_long(
            ["docker", "build", "--tag", build.tag, "--file", build.file, *args, build.context],
            task=f"building image {build.tag}",
            log=self.place.log / "build-image.log",
            progress=progress,
            within=LIMIT,
        )
        with tempfile.TemporaryDirectory() as scratch:
            saved = Path(scratch) / "image.tar"
            run(["docker", "save", "--output", saved, build.tag], within=LIMIT)
            self.load_image(saved)
        return build.tag


def parse_version(output: str) -> tuple[int, ...]:
    """Return major and minor version from the output of `kind version`; empty if it has none."""
    match = re.search(r"v(\d+)\.(\d+)\.", output)
    return tuple(map(int, match.groups())) if match else ()


def _succeeds(*argv: str) -> bool:
    try:
        return run(argv, within=10, check=False).returncode == 0
    except ClusterError:
        return False
