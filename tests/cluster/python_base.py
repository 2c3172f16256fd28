"""Base images with Python, made of Debian packages because no container registry is available.

Debian 13 has the Python version of `python:3.13-slim`, and the image has that name, so Dockerfiles
and Pods use it unchanged. Debian 12 likewise provides Python 3.11.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.cluster import archive, binary, image, package, pip_settings, place
from tests.cluster.command import run_long
from tests.cluster.error import ClusterError
from tests.cluster.progress import Progress

PYTHONS = {"trixie": "3.13", "bookworm": "3.11"}
PACKAGES = ("ca-certificates", "python3", "python3-pip", "python3-venv")
LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")
SOURCES = ("/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list")
RECIPE = "1"
LIMIT = 15 * 60.0


@dataclass(frozen=True)
class PythonBase:
    """The image of one Debian release."""

    suite: str = "trixie"
    name: str = ""
    """Image name before the release's name; empty for the name of the official image."""
    extra: tuple[str, ...] = ()
    """Packages of the release in addition to Python."""

    @property
    def tag(self) -> str:
        if self.suite not in PYTHONS:
            raise ClusterError(
                f"Debian {self.suite!r} is not supported: choose one of {', '.join(PYTHONS)}"
            )
        return f"{self.name}:{self.suite}" if self.name else f"python:{PYTHONS[self.suite]}-slim"

    def archive(self, progress: Progress) -> Path:
        """Return the image as a docker-archive, from the cache or newly created."""
        settings = pip_settings.read(pip_settings.files())
        trusted = pip_settings.bundle()
        words = [RECIPE, self.tag, self._system_key, pip_settings.as_config(settings)]
        key = binary.content_key(words, [trusted] if trusted else [])

        def make(scratch: Path, made: Path) -> None:
            system = self._system(progress)
            layer = _settings_layer(scratch / "settings.tar", settings, trusted)
            layer.write()
            archive.write(made, [system, layer.path], _runtime(trusted), [self.tag])

        return image.cached(f"python-{self.suite}", key, progress, make)

    @property
    def _system_key(self) -> str:
        return binary.content_key([RECIPE, self.suite, *self._packages, *LEFT_OUT])

    @property
    def _packages(self) -> tuple[str, ...]:
        return PACKAGES + self.extra

    def _system(self, progress: Progress) -> Path:
        """Return the layer of the plain system, which is slow to build and the same everywhere."""
        package.require_root()
        package.install(package.BUILD, progress)

        def make(_: Path, made: Path) -> None:
            task = f"building Debian {self.suite} with Python"
            progress.say(f"{task} (cold: about 30 s)")
            log = place.cache() / "log" / f"mmdebstrap-{self.suite}.log"
            run_long(self._command(made), task=task, log=log, progress=progress, within=LIMIT)

        return image.cached(f"system-{self.suite}", self._system_key, progress, make)

    def _command(self, made: Path) -> list[str | Path]:
        excluded = [f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT]
        chosen = ["--variant=minbase", f"--include={','.join(self._packages)}", *excluded]
        return ["mmdebstrap", "--format=tar", *chosen, self.suite, made, *self._sources()]

    def _sources(self) -> list[str]:
        """Return this machine's package sources, if it runs the same release."""
        about = Path("/etc/os-release").read_text()
        if f"VERSION_CODENAME={self.suite}\n" not in about:
            return []
        return [path for path in SOURCES if Path(path).is_file() and Path(path).read_text().strip()]


def _settings_layer(path: Path, settings: Mapping[str, str], trusted: Path | None) -> archive.Layer:
    """Return the layer that adds this machine's pip settings and the official image's links."""
    texts = {"etc/pip.conf": pip_settings.as_config(settings)}
    if trusted:
        texts[pip_settings.BUNDLE_IN_IMAGE.lstrip("/")] = trusted.read_text()
    links = {"usr/local/bin/python": "/usr/bin/python3", "usr/local/bin/pip": "/usr/bin/pip3"}
    return archive.Layer(path, links=links, texts=texts)


def _runtime(trusted: Path | None) -> archive.Settings:
    own_trust = (f"PIP_CERT={pip_settings.BUNDLE_IN_IMAGE}",) if trusted else ()
    environ = (archive.PATH, "LANG=C.UTF-8", *own_trust)
    return archive.Settings(image.architecture(), command=("python3",), environ=environ)
