"""Images built without a container engine.

A docker-archive is a tar file with a configuration, layers and a manifest.
"""

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.cluster.command import run
from tests.cluster.error import ClusterError

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CHUNK = 1 << 20


@dataclass(frozen=True)
class Settings:
    """Process settings of an image's containers."""

    architecture: str
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    environ: tuple[str, ...] = (PATH,)

    def config(self, layers: Iterable[str]) -> bytes:
        """Return the image configuration as JSON.

        Args:
            layers: SHA-256 digests of the layers.
        """
        process = {"Env": self.environ, "Entrypoint": self.entrypoint, "Cmd": self.command}
        value: dict[str, Any] = {
            "architecture": self.architecture,
            "os": "linux",
            "config": {name: [*words] for name, words in process.items() if words},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer}" for layer in layers]},
        }
        return json.dumps(value, sort_keys=True).encode()


@dataclass
class Layer:
    """Content of a layer. The same content results in the same bytes and the same image."""

    path: Path
    folders: Mapping[str, int] = field(default_factory=dict)
    programs: Mapping[str, Path] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)

    def write(self) -> None:
        with tarfile.open(self.path, "w") as tar:
            for name, mode in self.folders.items():
                _add(tar, name, mode, kind=tarfile.DIRTYPE)
            for name, source in self.programs.items():
                _add(tar, name, 0o755, content=source.read_bytes())
            for name, target in self.links.items():
                _add(tar, name, 0o777, kind=tarfile.SYMTYPE, target=target)
            for name, text in self.texts.items():
                _add(tar, name, 0o644, content=text.encode())


def _add(
    tar: tarfile.TarFile,
    name: str,
    mode: int,
    *,
    content: bytes = b"",
    kind: bytes = tarfile.REGTYPE,
    target: str = "",
) -> None:
    entry = tarfile.TarInfo(name)
    entry.mode, entry.type, entry.linkname, entry.size = mode, kind, target, len(content)
    tar.addfile(entry, io.BytesIO(content))


def write(path: Path, layers: Sequence[Path], settings: Settings, tags: Iterable[str]) -> None:
    """Write an archive for `ctr images import` and `docker load`."""
    digests = [_sha256(layer) for layer in layers]
    config = settings.config(digests)
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    names = [f"{digest}/layer.tar" for digest in digests]
    manifest = [{"Config": config_name, "RepoTags": [*tags], "Layers": names}]
    with tarfile.open(path, "w") as tar:
        _add(tar, config_name, 0o644, content=config)
        _add(tar, "manifest.json", 0o644, content=json.dumps(manifest).encode())
        for name, layer in zip(names, layers, strict=True):
            entry = tarfile.TarInfo(name)
            entry.size = layer.stat().st_size
            with layer.open("rb") as content:
                tar.addfile(entry, content)


def image_id_of(archive: Path) -> str:
    """Return the image id of an archive, as `docker load` computes it."""
    with tarfile.open(archive) as tar:
        manifest = tar.extractfile("manifest.json")
        if manifest is None:
            raise ClusterError(f"{archive} is no image: it has no manifest.json")
        config: str = json.load(manifest)[0]["Config"]
    return f"sha256:{Path(config).stem}"


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def busybox(layer: Path, program: Path) -> Layer:
    """Return a layer with busybox and a link for each of its commands."""
    names = run([program, "--list-full"]).stdout.split()
    folders = ("bin", "etc", "root", "sbin", "usr", "usr/bin", "usr/sbin", "var", "home")
    return Layer(
        layer,
        folders={**dict.fromkeys(folders, 0o755), "tmp": 0o1777},
        programs={"bin/busybox": program},
        links={name: "/bin/busybox" for name in names if name != "bin/busybox"},
        texts={
            "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/home:/bin/false\n",
            "etc/group": "root:x:0:\nnobody:x:65534:\n",
        },
    )
