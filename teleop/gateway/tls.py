"""Certificates for https: headset browsers give WebXR to secure pages only.

A private authority is made once and kept in the user's state directory, readable by the user
alone. Its certificate can be installed on the headset once; server certificates are issued anew at
each start, because the addresses of the host change.
"""

from __future__ import annotations

import datetime
import os
import socket
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from teleop.errors import GatewayError
from teleop.gateway.mdns import local_name

VALID_DAYS = 397  # the longest browsers accept of a server certificate


@dataclass(frozen=True, slots=True)
class Certificates:
    """Files of one server.

    Attributes:
        authority: Certificate of the private authority, to be trusted on the headset.
        chain: Server certificate.
        key: Its private key.
    """

    authority: Path
    chain: Path
    key: Path


def state_dir() -> Path:
    """Where telecap keeps what outlives a run: `$XDG_DATA_HOME/telecap`."""
    base = os.environ.get("XDG_DATA_HOME", "")
    return (Path(base) if base else Path.home() / ".local" / "share") / "telecap"


def certificates_dir() -> Path:
    """Where this user's authority and server certificate are kept."""
    return state_dir() / "tls"


def host_names() -> list[str]:
    """Names and addresses this host can be reached at."""
    name = socket.gethostname()
    names = {"localhost", "127.0.0.1", "::1", name, f"{name}.local", local_name()}
    try:
        names |= {str(info[4][0]) for info in socket.getaddrinfo(name, None)}
    except OSError:
        names.discard(name)  # a host that does not know its own name
    names |= outgoing_addresses()
    return sorted(n for n in names if _usable(n))


def outgoing_addresses() -> set[str]:
    """Addresses of the interfaces that lead out; connecting a UDP socket sends nothing."""
    found = set()
    probes = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))
    for family, probe in probes:
        with socket.socket(family, socket.SOCK_DGRAM) as udp:
            try:
                udp.connect((probe, 9))
            except OSError:
                continue
            found.add(str(udp.getsockname()[0]))
    return found


def _usable(name: str) -> bool:
    try:
        return not ip_address(name).is_unspecified
    except ValueError:
        return bool(name) and "%" not in name and "_" not in name and not name.startswith("-")


def make_certificates(directory: Path, names: list[str]) -> Certificates:
    """Issue a server certificate for `names` from the authority in `directory`.

    Raises:
        GatewayError: The directory cannot be written.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        authority = _authority(directory)
        expires = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=VALID_DAYS)
        issued = authority.issue_cert(*names, not_after=expires)
        chain, key = directory / "server.pem", directory / "server.key"
        _write_private(key, issued.private_key_pem.bytes())
        chain.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    except OSError as error:
        raise GatewayError(f"cannot keep certificates in {directory}: {error}") from error
    return Certificates(directory / "ca.pem", chain, key)


def own_authority() -> Path | None:
    """Certificate of this user's authority; None before the first run with https."""
    certificate = certificates_dir() / "ca.pem"
    return certificate if certificate.is_file() else None


def fingerprint(certificate: Path) -> str:
    """SHA-256 of a certificate, in the form browsers show it."""
    loaded = x509.load_pem_x509_certificate(certificate.read_bytes())
    return loaded.fingerprint(hashes.SHA256()).hex(":").upper()


def _authority(directory: Path) -> trustme.CA:
    certificate, key = directory / "ca.pem", directory / "ca.key"
    if certificate.is_file() and key.is_file():
        return trustme.CA.from_pem(certificate.read_bytes(), key.read_bytes())
    authority = trustme.CA(
        organization_name="telecap", organization_unit_name=f"private to {socket.gethostname()}"
    )
    _write_private(key, authority.private_key_pem.bytes())
    certificate.write_bytes(authority.cert_pem.bytes())
    return authority


def _write_private(path: Path, data: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
