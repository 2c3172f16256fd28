"""Kubernetes, etcd and Helm as programs, built from the Go module proxy alone.

No package registry has a kube-apiserver, but its source is a Go module. Each folder of `build/` is
a module that pins the sources by hash (go.sum) and declares the programs as tools. The programs are
in the user's cache under a key of their sources, so that all checkouts build them once.
"""

import hashlib
import platform
import re
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.cluster import place
from tests.cluster.command import run, run_long
from tests.cluster.error import ClusterError
from tests.cluster.lock import held
from tests.cluster.progress import Progress

MODULES = Path(__file__).with_name("build")
LIMIT = 40 * 60.0
# The user's Go settings (proxy, checksum database, toolchain) apply. Settings that change the
# result are set here.
ENVIRON = {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOWORK": "off"}
# `--version` prints the first; clients name the second in the audit log.
VERSIONS = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")


@dataclass(frozen=True)
class Module:
    """A folder of `build/`: its programs, and the duration of a first build on two cores."""

    name: str
    programs: tuple[str, ...]
    cold: str
    target: str = "tool"
    renamed: tuple[tuple[str, str], ...] = ()

    @property
    def folder(self) -> Path:
        return MODULES / self.name

    def flags(self) -> tuple[str, ...]:
        linked = ["-s", "-w", *self._version()]
        return ("-trimpath", "-buildvcs=false", "-ldflags", " ".join(linked))

    def _version(self) -> list[str]:
        """Return linker flags for the version variables, which only release builds set."""
        version_match = re.search(r"k8s\.io/kubernetes (v(\d+)\.(\d+)\.\d+)", self._go_mod())
        if self.name != "kubernetes" or not version_match:
            return []
        version, major, minor = version_match.groups()
        values = {"gitVersion": version, "gitMajor": major, "gitMinor": minor}
        return [f"-X {p}.{name}={value}" for p in VERSIONS for name, value in values.items()]

    def _go_mod(self) -> str:
        return (self.folder / "go.mod").read_text()

    @property
    def key(self) -> str:
        sources = [path for path in sorted(self.folder.rglob("*")) if path.is_file()]
        return content_key([*self.flags(), platform.machine()], sources)

    @property
    def built(self) -> Path:
        """Folder of the programs once they are built."""
        return place.cache() / "bin" / f"{self.name}-{self.key}"


KUBERNETES = Module(
    "kubernetes",
    ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kubectl"),
    "about 5 min",
)
ETCD = Module("etcd", ("etcd",), "about 30 s", renamed=(("server", "etcd"),))
HELM = Module("helm", ("helm", "helm-batch"), "about 2 min")
PAUSE = Module("pause", ("pause",), "a few seconds", target=".")
KWOK = Module("kwok", ("kwok",), "about 1 min")
"""Simulator of nodes and Pods; only benchmarks build it."""

ALL = (KUBERNETES, ETCD, HELM, PAUSE)
"""What every cluster needs."""


def content_key(words: Iterable[str], files: Iterable[Path] = ()) -> str:
    """Return a key for a result, derived from the content that determines it."""
    digest = hashlib.sha256()
    for word in words:
        digest.update(word.encode() + b"\0")
    for path in files:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def build(module: Module, progress: Progress) -> Path:
    """Build a module's programs unless they are cached, and return their folder."""
    if module.built.is_dir():
        return module.built
    module.built.parent.mkdir(parents=True, exist_ok=True)
    with held(module.built.with_suffix(".lock"), f"the build of {module.name}", progress):
        if not module.built.is_dir():
            _build(module, progress)
    return module.built


def _build(module: Module, progress: Progress) -> None:
    _require_go(module)
    task = f"building {', '.join(module.programs)}"
    progress.say(f"{task} (cold: {module.cold})")
    log = place.cache() / "log" / f"build-{module.name}.log"
    scratch = Path(tempfile.mkdtemp(prefix=f".{module.name}-", dir=module.built.parent))
    try:
        scratch.chmod(0o755)
        run_long(
            ["go", "build", "-v", *module.flags(), "-o", f"{scratch}/", module.target],
            task=task,
            log=log,
            progress=progress,
            within=LIMIT,
            env=ENVIRON,
            cwd=module.folder,
            note=lambda: f" ({len(log.read_text().splitlines())} packages so far)",
        )
        for made, program in module.renamed:
            (scratch / made).rename(scratch / program)
        scratch.rename(module.built)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _require_go(module: Module) -> None:
    if obstacle := go_obstacle(module):
        raise ClusterError(obstacle)


def go_obstacle(module: Module) -> str | None:
    """Return why Go cannot build the module, or None if it can."""
    if not shutil.which("go"):
        return "Go 1.26 or newer is needed to build the cluster; put `go` on the PATH"
    version = run(["go", "-C", module.folder, "env", "GOVERSION"], check=False)
    if version.returncode:
        return f"Go 1.26 or newer is needed to build the cluster: {version.stderr.strip()}"
    return None
