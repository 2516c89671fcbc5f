"""Settings of keys by ML-KEM: the table `[keys.pqc]` of an agent.

Rule of this file: values and their bounds; the files are read by `pqc_files`. Without the table the agent
takes no association of mode hybrid or pqc-fallback.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path


class Kem(StrEnum):
    """Parameter sets of FIPS 203, weaker first."""

    ML_KEM_768 = "ml-kem-768"
    ML_KEM_1024 = "ml-kem-1024"

    @property
    def strength(self) -> int:
        """For comparing: more is stronger (the security category of FIPS 203, table 2)."""
        return 3 if self is Kem.ML_KEM_768 else 5


@dataclass(frozen=True, slots=True, kw_only=True)
class PqcSettings:
    """Who this node is in ML-DSA, whom it believes, and when ML-KEM steps in. PEM files; seconds; counts.

    Either `certificate` and `ca` (X.509 under ML-DSA authorities, the node in a URI `urn:uuid:<node id>`), or
    `peers`, a directory with one public key `<node id>.pem` of each node believed. `kem` is what this
    node proposes, and the weakest that it accepts. `fallback_after_s` without a quantum key while keys are
    wanted begin a fallback, `return_after_s` with quantum keys end it. A secret is replaced after
    `renew_after_s` or `renew_after_keys`, and never used beyond twice of either.
    """

    private_key: Path
    certificate: Path | None = None
    ca: Path | None = None
    peers: Path | None = None
    kem: Kem = Kem.ML_KEM_768
    fallback_after_s: float = 2.0
    return_after_s: float = 30.0
    renew_after_s: float = 600.0
    renew_after_keys: int = 65_536

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.ca is None):
            raise ValueError("keys.pqc: certificate and ca belong together")
        if (self.certificate is None) == (self.peers is None):
            raise ValueError("keys.pqc: give either certificate and ca, or peers")
        for name, value, least, most in (
            ("fallback_after_s", self.fallback_after_s, 0.1, 3600),
            ("return_after_s", self.return_after_s, 0.1, 86_400),
            ("renew_after_s", self.renew_after_s, 1, 86_400),
            ("renew_after_keys", self.renew_after_keys, 1, 10_000_000),
        ):
            if not least <= value <= most:
                raise ValueError(f"keys.pqc: {name} must be {least}..{most}, not {value}")

    def anchored(self, folder: Path) -> "PqcSettings":
        """The same settings with relative paths taken from `folder` (where the settings file lies)."""
        return replace(
            self,
            private_key=folder / self.private_key,
            certificate=self.certificate and folder / self.certificate,
            ca=self.ca and folder / self.ca,
            peers=self.peers and folder / self.peers,
        )
