"""Certificates and keys of a cluster, created by openssl, because the standard library cannot.

They are created once and kept, so clients of a cluster remain valid after restarts.
"""

from dataclasses import dataclass
from pathlib import Path

from tests.cluster.command import run
from tests.cluster.slot import API_SERVICE, Slot

DAYS = "3650"
LEAF = """
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature, keyEncipherment
extendedKeyUsage = serverAuth, clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""
AUTHORITY = """
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
"""
NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


@dataclass(frozen=True)
class Identity:
    """Identity of a certificate; Kubernetes reads the organisation as the group."""

    file: str
    name: str
    organisation: str = ""
    addresses: tuple[str, ...] = ()

    @property
    def subject(self) -> str:
        return (f"/O={self.organisation}" if self.organisation else "") + f"/CN={self.name}"


def kubelet(slot: Slot, node: str, file: str = "kubelet") -> Identity:
    """Return the identity of a node's kubelet, as a server and a client."""
    addresses = (f"IP:{slot.gateway}", f"DNS:{node}")
    return Identity(file, f"system:node:{node}", "system:nodes", addresses)


def identities(slot: Slot, node: str) -> list[Identity]:
    """Return the identities of all servers and clients in a cluster."""
    gateway = f"IP:{slot.gateway}"
    api = (gateway, f"IP:{API_SERVICE}", "IP:127.0.0.1", "DNS:localhost", "DNS:kubernetes")
    services = ("DNS:kubernetes.default", "DNS:kubernetes.default.svc")
    return [
        Identity("apiserver", "kube-apiserver", addresses=(*api, *services)),
        Identity("apiserver-kubelet-client", "kube-apiserver", "system:masters"),
        Identity("admin", "admin", "system:masters"),
        Identity("controller-manager", "system:kube-controller-manager"),
        Identity("scheduler", "system:kube-scheduler"),
        kubelet(slot, node),
    ]


def make(folder: Path, slot: Slot, node: str) -> None:
    """Create missing files, in an order that allows an interrupted call to be repeated."""
    make_authority(folder)
    for identity in identities(slot, node):
        make_one(folder, identity)
    if not (folder / "service-account.pub").exists():
        key = folder / "service-account.key"
        algorithm = ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
        run(["openssl", "genpkey", *algorithm, "-out", key])
        half = folder / "service-account.new"
        run(["openssl", "pkey", "-in", key, "-pubout", "-out", half])
        half.replace(folder / "service-account.pub")


def make_authority(folder: Path) -> None:
    """Create the certificate authority if it is missing."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not (folder / "ca.crt").exists():
        _certificate(folder, "ca", "/CN=taskruns-test-cluster", AUTHORITY)


def make_one(folder: Path, identity: Identity) -> None:
    """Create the certificate of an identity if it is missing; requires the authority."""
    if not (folder / f"{identity.file}.crt").exists():
        names = ", ".join(identity.addresses)
        extensions = LEAF + (f"subjectAltName = {names}\n" if names else "")
        _certificate(folder, identity.file, identity.subject, extensions, signed=True)


def _certificate(
    folder: Path, file: str, subject: str, extensions: str, *, signed: bool = False
) -> None:
    """Create a key and a certificate.

    The certificate is moved into place last, so its existence means that both are complete.
    """
    config = folder / f"{file}.cnf"
    config.write_text(f"[req]\ndistinguished_name = name\n[name]\n[extensions]\n{extensions}")
    key, half = folder / f"{file}.key", folder / f"{file}.new"
    signer: list[str | Path] = ["-CA", folder / "ca.crt", "-CAkey", folder / "ca.key"]
    extended: list[str | Path] = ["-config", config, "-extensions", "extensions"]
    made: list[str | Path] = ["-days", DAYS, "-keyout", key, "-out", half]
    request = ["openssl", "req", "-x509", "-subj", subject, *NEW_KEY]
    run([*request, *extended, *made, *(signer if signed else ())])
    key.chmod(0o600)
    half.replace(folder / f"{file}.crt")
    config.unlink()
