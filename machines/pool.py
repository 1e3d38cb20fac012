"""The folder of a pool of machines: its joining key, the certificates made from it, where its scheduler is.

The key is the only secret, and all that a person carries from one PC to another. Both sides derive the same certificate authority
from it (HKDF, then a P-256 key) and make themselves a certificate of that authority; each takes only the other whose certificate
comes from it. So nothing has to be fetched over a line that nobody has proven yet, and who has no key cannot even say hello.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import secrets
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ConfigDict, Field

from client_folder.private import private_folder
from locales.language import N_
from machine.packages import PackagesMissing
from machines.errors import REQUIREMENTS
from utils import PipelineError, Record, locked, replacing, write_record

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

PORT = 8786  # Dask's own
NO_PAGES = "127.0.0.1:0"
CONNECT_SECONDS = 10.0  # after which a machine or scheduler does not answer; a busy PC takes seconds
KEY_BYTES = 20  # 160 bits, 32 letters and digits: nobody guesses that, and it can still be read out over a phone
_GROUP = 4
_AUTHORITY = "Avatar Pipeline, a pool of machines"
_INFO = b"avatar-pipeline pool certificate authority, version 1"
# The order of P-256: a private key is a number from 1 to one less (SEC 2, 2.4.2).
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
# The key is what ends, not the certificates: whoever changes it has new ones. Clocks of PCs are wrong by days, so no other dates.
_FROM, _UNTIL = datetime(2020, 1, 1, tzinfo=UTC), datetime(2099, 1, 1, tzinfo=UTC)


class NotAKey(PipelineError):
    """Facts: letters."""

    message = N_("That is no joining key: it has {letters} letters and digits, as in ABCD-EFGH-...")
    hint = N_("Copy the key whole from where the scheduler was started: machines shows it there.")


class SchedulerRecord(Record):
    """`pool/scheduler.json`: where the scheduler of this home listens."""

    model_config = ConfigDict(frozen=True)

    schema_: Literal[1] = Field(default=1, alias="schema")
    address: str  # for this PC
    shown: str = ""  # for others


def pool_folder(home: Path) -> Path:
    """Where the key, the certificates and what machines work at lie; its owner's alone."""
    folder = home / "pool"
    private_folder(folder)
    return folder


def scheduler_file(home: Path) -> Path:
    """Where a home's scheduler says how to reach it."""
    return home / "pool" / "scheduler.json"


def machine_name() -> str:
    """What this PC calls itself."""
    return socket.gethostname().partition(".")[0] or "pc"


def full_address(address: str) -> str:
    """An address as Dask writes it: `studio`, `studio:8786` and `tls://studio:8786` are the same."""
    host = address.removeprefix("tls://").rstrip("/")
    return f"tls://{host}" if host.rpartition(":")[2].isdigit() and ":" in host else f"tls://{host}:{PORT}"


def require_distributed() -> None:
    """Raise PackagesMissing where what several machines need is not here."""
    try:
        import cryptography  # noqa: F401 - whether it is there
        import distributed  # noqa: F401
    except ImportError as error:
        raise PackagesMissing(package=error.name or "distributed", requirements=REQUIREMENTS) from error
    import logging

    import dask

    for name in [name for name in logging.root.manager.loggerDict if name.partition(".")[0] in ("distributed", "tornado")]:
        logging.getLogger(name).setLevel(logging.CRITICAL)  # what goes wrong is told in our own words
    # A machine that is gone is known to be gone in seconds; and cards are asked by `machine.gpu`, not by Dask.
    # Nothing is told over its HTTP server, which no key closes: it has no pages, and `NO_PAGES` keeps it on this PC.
    for one in ("scheduler", "worker"):
        dask.config.set({f"distributed.{one}.http.routes": []})
    dask.config.set({"distributed.comm.timeouts.connect": f"{CONNECT_SECONDS}s", "distributed.diagnostics.nvml": False})


# --- the key ----------------------------------------------------------------------------------------------------------
def joining_key(home: Path) -> str:
    """The key of this home's pool, made at the first start."""
    file = pool_folder(home) / "joining-key.txt"
    with locked(file):
        if not file.is_file():
            letters = base64.b32encode(secrets.token_bytes(KEY_BYTES)).decode()
            key = "-".join(letters[at : at + _GROUP] for at in range(0, len(letters), _GROUP))
            _write_private(file, f"{key}\n".encode())
    return file.read_text(encoding="utf-8").strip()


def read_key(text: str) -> bytes:
    """The secret of a key as it was typed; raises NotAKey."""
    letters = "".join(letter for letter in text.upper() if letter.isalnum())
    try:
        secret = base64.b32decode(letters)
    except (binascii.Error, ValueError):
        secret = b""
    if len(secret) != KEY_BYTES:
        raise NotAKey(letters=len(base64.b32encode(bytes(KEY_BYTES))))
    return secret


def _write_private(file: Path, content: bytes) -> None:
    with replacing(file) as part:
        part.touch(mode=0o600)
        part.write_bytes(content)
        if os.name != "nt":
            part.chmod(0o600)


# --- certificates -----------------------------------------------------------------------------------------------------
def certificates(home: Path, secret: bytes) -> tuple[Path, Path, Path]:
    """The authority's certificate, ours and our private key, made from a joining key once."""
    folder = pool_folder(home) / "tls"
    private_folder(folder)
    stem = hashlib.sha256(_INFO + secret).hexdigest()[:16]
    files = (folder / f"{stem}.authority.pem", folder / f"{stem}.pem", folder / f"{stem}.key.pem")
    with locked(folder / stem):
        if not all(file.is_file() for file in files):
            for file, content in zip(files, _make_certificates(secret), strict=True):
                _write_private(file, content)
    return files


def _make_certificates(secret: bytes) -> tuple[bytes, bytes, bytes]:
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    number = int.from_bytes(HKDF(SHA256(), 48, None, _INFO).derive(secret), "big")  # 128 bits more than needed: no bias
    authority, own = ec.derive_private_key(number % (_ORDER - 1) + 1, ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    of_authority = _certificate(authority, authority, _AUTHORITY, is_authority=True)
    ours = _certificate(authority, own, machine_name()[:64], is_authority=False)
    private = own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return of_authority.public_bytes(Encoding.PEM), ours.public_bytes(Encoding.PEM), private


def _certificate(
    authority: ec.EllipticCurvePrivateKey, own: ec.EllipticCurvePrivateKey, name: str, *, is_authority: bool
) -> x509.Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256

    def named(common_name: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])

    identifier = x509.SubjectKeyIdentifier.from_public_key(own.public_key())
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key())
    usage = x509.KeyUsage(
        digital_signature=not is_authority, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=is_authority, crl_sign=is_authority, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    return (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named(_AUTHORITY))
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_FROM)
        .not_valid_after(_UNTIL)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=0 if is_authority else None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(identifier, critical=False)
        .add_extension(issuer, critical=False)
        .sign(authority, SHA256())
    )


def security(home: Path, secret: bytes) -> Any:
    """What Dask has to know to speak with machines of this key, and with no others: its `Security`."""
    from distributed import Security

    authority, ours, private = (str(file) for file in certificates(home, secret))
    of_each = (("cert", ours), ("key", private))
    roles = {f"tls_{role}_{what}": file for role in ("scheduler", "worker", "client") for what, file in of_each}
    return Security(require_encryption=True, tls_ca_file=authority, **roles)


def note_scheduler(home: Path, address: str, shown: str) -> None:
    """Write down where this home's scheduler listens: for this PC, and for others."""
    write_record(scheduler_file(home), SchedulerRecord(address=address, shown=shown))
