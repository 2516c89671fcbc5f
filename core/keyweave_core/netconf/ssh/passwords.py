"""Passwords as settings hold them: Argon2id hashes in PHC form, never the password itself.

Rule of this file: the parameters are those of OWASP for a server that many log in to (19 MiB, 2 passes), so a
login costs about 20 ms and a stolen file years.
"""

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

SALT_BYTES = 16
_FORM = "$argon2id$"
_MEMORY_KIB, _PASSES, _LANES, _LENGTH = 19 * 1024, 2, 1, 32


def is_hash(text: str) -> bool:
    """True for what `hash_password` gives, as far as its form tells."""
    return text.startswith(_FORM) and text.count("$") == 5


def hash_password(password: str, salt: bytes) -> str:
    """The text that stands for `password` in settings; `salt` is SALT_BYTES fresh random bytes."""
    derivation = Argon2id(
        salt=salt, length=_LENGTH, iterations=_PASSES, lanes=_LANES, memory_cost=_MEMORY_KIB
    )
    return derivation.derive_phc_encoded(password.encode())


def password_fits(stored: str, given: str) -> bool:
    """True when `given` is the password behind `stored`. Takes milliseconds: call it in a thread."""
    try:
        Argon2id.verify_phc_encoded(given.encode(), stored)
    except (InvalidKey, ValueError):
        return False
    return True
