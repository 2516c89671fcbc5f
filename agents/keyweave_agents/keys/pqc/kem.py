"""ML-KEM (FIPS 203): one encapsulation key for one agreement.

Rule of this file: a private key is used for one decapsulation and gone. Its seed comes from the randomness
that the key manager is given; that of an encapsulation is the library's own, which takes no other.
"""

from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric.mlkem import (
    MLKEM768PrivateKey,
    MLKEM768PublicKey,
    MLKEM1024PrivateKey,
    MLKEM1024PublicKey,
)

from keyweave_agents.keys.pqc.settings import Kem
from keyweave_agents.material import Secret
from keyweave_core.errors import MalformedMessage

SEED_BYTES = 64  # d and z of ML-KEM.KeyGen, FIPS 203 section 7.1
PUBLIC_BYTES = {Kem.ML_KEM_768: 1184, Kem.ML_KEM_1024: 1568}
CIPHERTEXT_BYTES = {Kem.ML_KEM_768: 1088, Kem.ML_KEM_1024: 1568}


class Ephemeral:
    """A key pair for one agreement."""

    __slots__ = ("_private", "public")

    def __init__(self, kem: Kem, random_bytes: Callable[[int], bytes]) -> None:
        make = MLKEM768PrivateKey if kem is Kem.ML_KEM_768 else MLKEM1024PrivateKey
        private = make.from_seed_bytes(random_bytes(SEED_BYTES))
        self._private: MLKEM768PrivateKey | MLKEM1024PrivateKey | None = private
        self.public = private.public_key().public_bytes_raw()

    def open(self, ciphertext: bytes) -> Secret:
        """The shared secret, 32 bytes; the private key is gone afterwards. ValueError when it is already."""
        private, self._private = self._private, None
        if private is None:
            raise ValueError("an encapsulation key was used twice")
        try:
            return Secret(private.decapsulate(ciphertext))
        except ValueError as error:
            raise MalformedMessage("no ciphertext of this KEM") from error

    def wipe(self) -> None:
        """Forget the private key; the library overwrites it when nothing refers to it any more."""
        self._private = None


def encapsulate(kem: Kem, public: bytes) -> tuple[Secret, bytes]:
    """A shared secret of 32 bytes and its ciphertext. MalformedMessage: no such key (FIPS 203, 7.2)."""
    load = MLKEM768PublicKey if kem is Kem.ML_KEM_768 else MLKEM1024PublicKey
    try:
        shared, ciphertext = load.from_public_bytes(public).encapsulate()
    except ValueError as error:
        raise MalformedMessage("no encapsulation key of this KEM") from error
    return Secret(shared), ciphertext
