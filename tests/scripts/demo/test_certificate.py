from __future__ import annotations

import stat
from pathlib import Path

from cryptography import x509

from demo.certificate import write_certificate


def test_names_the_hosts_and_keeps_the_key_private(tmp_path: Path) -> None:
    certificate_path, key_path = write_certificate(tmp_path, ("*.services.ai.azure.com", "localhost"))

    certificate = x509.load_pem_x509_certificate(certificate_path.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["*.services.ai.azure.com", "localhost"]
    assert (certificate.not_valid_after_utc - certificate.not_valid_before_utc).days <= 1
    assert stat.S_IMODE(key_path.stat().st_mode) == 0o600
    assert b"PRIVATE" not in certificate_path.read_bytes()
