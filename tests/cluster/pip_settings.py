"""This machine's own way to packages, for builds inside images: nothing of it is in a Dockerfile.

pip in a build should find packages as pip on this machine does: the same index, and the same trust
where the machine has a certificate bundle of its own.
"""

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.cluster.command import run

SETTINGS = ("index-url", "extra-index-url", "find-links", "trusted-host", "proxy", "retries")
TIMEOUTS = ("timeout", "default-timeout")
BUNDLES = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
BUNDLE_IN_IMAGE = "/etc/ssl/certs/ca-certificates.crt"


def listing() -> list[str]:
    """Ask pip for everything that configures it here: files and environment alike."""
    listed = run([sys.executable, "-m", "pip", "config", "list"], check=False)
    return listed.stdout.splitlines() if not listed.returncode else []


def parse(lines: Iterable[str]) -> dict[str, str]:
    """Keep what says where packages come from; what the environment says outdoes a file.

    A folder of this machine means nothing inside an image, so only addresses are kept of
    `find-links`.
    """
    found: dict[str, str] = {}
    for line in sorted(lines, key=lambda line: line.startswith(":env:")):
        name, _, quoted = line.partition("=")
        setting, value = name.rpartition(".")[2], quoted.strip("'\"")
        if setting == "find-links":
            value = " ".join(word for word in value.split() if "://" in word)
        if value and setting in (*SETTINGS, *TIMEOUTS):
            found["timeout" if setting in TIMEOUTS else setting] = value
    return found


def bundle(environ: Mapping[str, str] = os.environ) -> Path | None:
    """The certificates that this machine was told to trust, if it was."""
    named = (Path(environ[name]) for name in BUNDLES if environ.get(name))
    return next((path for path in named if path.is_file()), None)


def as_config(settings: Mapping[str, str]) -> str:
    """Write a pip.conf; the image has no other use for its Python than what is installed there."""
    lines = [f"{name} = {value}" for name, value in sorted(settings.items())]
    return "\n".join(["[global]", "break-system-packages = true", *lines, ""])
