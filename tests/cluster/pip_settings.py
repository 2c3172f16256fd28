"""This machine's own way to packages, for builds inside images: nothing of it is in a Dockerfile.

pip in a build should find packages as pip on this machine does: the same index, and the same trust
where the machine has a certificate bundle of its own.
"""

import configparser
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

SETTINGS = ("index-url", "extra-index-url", "find-links", "trusted-host", "proxy", "retries")
TIMEOUTS = ("timeout", "default-timeout")
BUNDLES = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
BUNDLE_IN_IMAGE = "/etc/ssl/certs/ca-certificates.crt"


def files(environ: Mapping[str, str] = os.environ) -> list[Path]:
    """Where pip looks for its configuration, the stronger the later.

    Read here and not by asking pip: a virtual environment may have none, and an image must not
    depend on which Python starts its build.
    """
    home = Path(environ.get("HOME", "/"))
    shared = [Path(folder) for folder in environ.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":")]
    own = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    named = [Path(environ["PIP_CONFIG_FILE"])] if environ.get("PIP_CONFIG_FILE") else []
    folders = [*(folder / "pip" for folder in shared), Path("/etc"), home / ".pip", own / "pip"]
    return [*(folder / "pip.conf" for folder in folders), *named]


def read(paths: Iterable[Path], environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Keep what says where packages come from; what the environment says outdoes a file."""
    parser = configparser.RawConfigParser(strict=False)
    parser.read(paths)
    found: dict[str, str] = {}
    for section in ("global", "install"):
        if parser.has_section(section):
            found.update(parser.items(section))
    for setting in (*SETTINGS, *TIMEOUTS):
        if value := environ.get(f"PIP_{setting.upper().replace('-', '_')}"):
            found[setting] = value
    return _useful(found)


def _useful(found: Mapping[str, str]) -> dict[str, str]:
    """Leave out what means nothing inside an image, as a folder of this machine."""
    kept: dict[str, str] = {}
    for setting, given in found.items():
        words = given.split()
        if setting == "find-links":
            words = [word for word in words if "://" in word]
        if words and setting in (*SETTINGS, *TIMEOUTS):
            kept["timeout" if setting in TIMEOUTS else setting] = " ".join(words)
    return kept


def bundle(environ: Mapping[str, str] = os.environ) -> Path | None:
    """The certificates that this machine was told to trust, if it was."""
    named = (Path(environ[name]) for name in BUNDLES if environ.get(name))
    return next((path for path in named if path.is_file()), None)


def as_config(settings: Mapping[str, str]) -> str:
    """Write a pip.conf; the image has no other use for its Python than what is installed there."""
    lines = [f"{name} = {value}" for name, value in sorted(settings.items())]
    return "\n".join(["[global]", "break-system-packages = true", *lines, ""])
