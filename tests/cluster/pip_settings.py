"""Settings of this machine's pip for builds inside images.

A Dockerfile contains none of them. pip in a build should find packages like pip on this machine: in
the same index, and with the same certificate bundle if the machine has one.
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
    """Return the possible paths of pip's configuration, in ascending precedence.

    They are not read from pip, because a virtual environment may have no pip, and an image must not
    depend on the Python that starts its build.
    """
    home = Path(environ.get("HOME", "/"))
    shared = [Path(folder) for folder in environ.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":")]
    own = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    named = [Path(environ["PIP_CONFIG_FILE"])] if environ.get("PIP_CONFIG_FILE") else []
    folders = [*(folder / "pip" for folder in shared), Path("/etc"), home / ".pip", own / "pip"]
    return [*(folder / "pip.conf" for folder in folders), *named]


def read(paths: Iterable[Path], environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the settings for package sources; variables override files."""
    parser = configparser.RawConfigParser(strict=False)
    parser.read(paths)
    settings: dict[str, str] = {}
    for section in ("global", "install"):
        if parser.has_section(section):
            settings.update(parser.items(section))
    for setting in (*SETTINGS, *TIMEOUTS):
        if value := environ.get(f"PIP_{setting.upper().replace('-', '_')}"):
            settings[setting] = value
    return _useful(settings)


def _useful(found: Mapping[str, str]) -> dict[str, str]:
    """Return the settings that are valid inside an image, without local folders."""
    kept: dict[str, str] = {}
    for setting, text in found.items():
        words = text.split()
        if setting == "find-links":
            words = [word for word in words if "://" in word]
        if words and setting in (*SETTINGS, *TIMEOUTS):
            kept["timeout" if setting in TIMEOUTS else setting] = " ".join(words)
    return kept


def bundle(environ: Mapping[str, str] = os.environ) -> Path | None:
    """Return the certificate bundle that this machine is configured to trust, or None."""
    named = (Path(environ[name]) for name in BUNDLES if environ.get(name))
    return next((path for path in named if path.is_file()), None)


def as_config(settings: Mapping[str, str]) -> str:
    """Return a pip.conf.

    It allows pip to break system packages, because the image's Python has no other use.
    """
    lines = [f"{name} = {value}" for name, value in sorted(settings.items())]
    return "\n".join(["[global]", "break-system-packages = true", *lines, ""])
