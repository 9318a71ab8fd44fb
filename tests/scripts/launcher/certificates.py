"""What stands for a certificate where nobody looks into it."""

from __future__ import annotations


def pem(name: str) -> str:
    return f"-----BEGIN CERTIFICATE-----\n{name}\n-----END CERTIFICATE-----\n"
