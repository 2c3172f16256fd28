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
from collections.abc import Callable, Iterable
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
ENVIRON = {"CGO_ENABLED": "0", "GOWORK": "off"}
# `--version` prints the first; clients name the second in the audit log.
VERSIONS = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")


@dataclass(frozen=True)
class Module:
    """A folder of `build/`: its programs, and the duration of a first build on two cores."""

    name: str
    programs: tuple[str, ...]
    cold: str
    targets: tuple[str, ...] = ("tool",)
    renamed: tuple[tuple[str, str], ...] = ()
    version: str = ""
    """Version of programs that no folder of `build/` pins."""
    go_mod: Callable[[], str] | None = None
    """Returns the content of go.mod for that version."""

    @property
    def folder(self) -> Path:
        if self.version:
            return place.cache() / "modules" / f"{self.name}-{self.version}"
        return MODULES / self.name

    def prepare(self) -> str:
        """Create the folder unless it is part of `build/`, and return Go's flag for its files."""
        if self.go_mod is None:
            return "-mod=readonly"
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "go.mod").write_text(self.go_mod())
        return "-mod=mod"

    def flags(self) -> tuple[str, ...]:
        linked = ["-s", "-w", *_linked_version(self.kubernetes)]
        return ("-trimpath", "-buildvcs=false", "-ldflags", " ".join(linked))

    @property
    def kubernetes(self) -> str:
        """Version of Kubernetes, without a v; empty for other programs."""
        if self.version or self.name != "kubernetes":
            return self.version
        go_mod = (self.folder / "go.mod").read_text()
        (version,) = set(re.findall(r"k8s\.io/kubernetes v(\d+\.\d+\.\d+)\b", go_mod))
        return str(version)

    @property
    def key(self) -> str:
        if self.version:
            return f"{self.version}-{content_key([*self.flags(), platform.machine()])}"
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
PAUSE = Module("pause", ("pause",), "a few seconds", targets=(".",))
KWOK = Module("kwok", ("kwok",), "about 1 min")
"""Simulator of nodes and Pods; only benchmarks build it."""

ALL = (KUBERNETES, ETCD, HELM, PAUSE)
"""What every cluster needs."""


def _linked_version(version: str) -> list[str]:
    """Return linker flags for the version variables, which only release builds set."""
    if not version:
        return []
    major, minor, _ = version.split(".")
    values = {"gitVersion": f"v{version}", "gitMajor": major, "gitMinor": minor}
    return [f"-X {p}.{name}={value}" for p in VERSIONS for name, value in values.items()]


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
    files = module.prepare()
    task = f"building {', '.join(module.programs)}"
    progress.say(f"{task} (cold: {module.cold})")
    log = place.cache() / "log" / f"build-{module.name}.log"
    scratch = Path(tempfile.mkdtemp(prefix=f".{module.name}-", dir=module.built.parent))
    try:
        scratch.chmod(0o755)
        run_long(
            ["go", "build", "-v", *module.flags(), "-o", f"{scratch}/", *module.targets],
            task=task,
            log=log,
            progress=progress,
            within=LIMIT,
            env=ENVIRON | {"GOFLAGS": files},
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
    folder = module.folder if module.folder.is_dir() else MODULES
    version = run(["go", "-C", folder, "env", "GOVERSION"], check=False)
    if version.returncode:
        return f"Go 1.26 or newer is needed to build the cluster: {version.stderr.strip()}"
    return None
