"""Certificates for tests of TLS: an authority, what it signs, and the files that a server reads."""

import ssl
from pathlib import Path

import trustme


class Authority:
    """An authority of a test's own, and the file in which clients find it."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self.authority = trustme.CA()
        self.file = folder / f"{name}.pem"
        self.authority.cert_pem.write_to_path(str(self.file))
        self.folder = folder

    def issue(self, name: str, *hosts: str, common_name: str | None = None) -> tuple[Path, Path]:
        """Writes a certificate with its chain, and its key."""
        issued = self.authority.issue_cert(*(hosts or ("127.0.0.1", "localhost")), common_name=common_name)
        chain, key = self.folder / f"{name}.chain.pem", self.folder / f"{name}.key.pem"
        chain.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        key.write_bytes(issued.private_key_pem.bytes())
        return chain, key

    def trusting(self, **versions) -> ssl.SSLContext:
        """What a client of this authority's servers uses."""
        context = ssl.create_default_context(cafile=str(self.file))
        context.set_alpn_protocols(["http/1.1"])
        for name, version in versions.items():
            setattr(context, name, version)
        return context
