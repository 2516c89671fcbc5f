"""The master key of a key store: where it comes from, and how it wraps the keys that encrypt the records.

Rule of this file: the master key encrypts data keys and nothing else. `KeyWrap` is what a store needs of it:
a token (PKCS#11, a TPM) that wraps and unwraps without showing its key can stand in its place.
"""

import os
import stat
import subprocess
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keyweave_agents.keys.settings import StorageSettings
from keyweave_core.errors import SettingsError

KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16


class KeyWrap(Protocol):
    """Something that holds a master key."""

    @property
    def source(self) -> str:
        """Where the master key is, for error texts."""
        ...

    def wrap(self, data_key: bytearray, context: bytes) -> bytes:
        """Encrypt a data key; `context` is bound to it."""
        ...

    def unwrap(self, wrapped: bytes, context: bytes) -> bytearray:
        """The data key again. SettingsError: it was wrapped by another master key, or damaged."""
        ...


class MasterKey:
    """A master key of 32 bytes in this process: AES-256-GCM under random nonces, one a data key."""

    def __init__(self, key: bytearray, source: str) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"a master key of {len(key)} bytes")
        self.source = source
        self._cipher = AESGCM(key)
        key[:] = bytes(len(key))

    def wrap(self, data_key: bytearray, context: bytes) -> bytes:
        """See `KeyWrap.wrap`."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, data_key, context)

    def unwrap(self, wrapped: bytes, context: bytes) -> bytearray:
        """See `KeyWrap.unwrap`."""
        data_key = bytearray(KEY_BYTES)
        try:
            self._cipher.decrypt_into(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], context, data_key)
        except (InvalidTag, ValueError) as error:
            raise SettingsError(f"the master key of {self.source} does not fit") from error
        return data_key


def read_master_key(settings: StorageSettings) -> MasterKey:
    """The master key that `[keys.storage]` names.

    SettingsError naming file or command: it cannot be had, others can read it, or it is not 32 bytes (as
    they are, or as 64 hex digits).
    """
    if settings.key_file is not None:
        return MasterKey(_from_file(settings.key_file), str(settings.key_file))
    return MasterKey(_from_command(settings.key_command, settings.key_command_timeout_s), "key_command")


def read_former_master_key(settings: StorageSettings) -> MasterKey | None:
    """The master key that was in use before, when the settings name its file. SettingsError as above."""
    path = settings.former_key_file
    return None if path is None else MasterKey(_from_file(path), str(path))


def _from_file(path: Path) -> bytearray:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise SettingsError(f"{path}: cannot read (keys.storage.key_file): {error.strerror}") from error
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise SettingsError(f"{path}: no regular file (keys.storage.key_file)")
        if facts.st_mode & 0o077:
            mode = stat.S_IMODE(facts.st_mode)
            raise SettingsError(
                f"{path}: others may read it (mode {mode:04o}); chmod 0600 (keys.storage.key_file)"
            )
        content = bytearray(128)
        content = content[: os.readv(descriptor, [content])]
    finally:
        os.close(descriptor)
    return _key_of(content, str(path))


def _from_command(argv: tuple[str, ...], timeout_s: float) -> bytearray:
    where = f"keys.storage.key_command {argv[0]}"
    try:
        done = subprocess.run(  # noqa: S603 - the operator's own command, no shell
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=timeout_s,
            check=False,
        )
    except OSError as error:
        raise SettingsError(f"{where}: cannot run: {error.strerror}") from error
    except subprocess.TimeoutExpired:
        raise SettingsError(f"{where}: no answer within {timeout_s:g} s") from None
    if done.returncode:
        raise SettingsError(f"{where}: exit status {done.returncode}")
    return _key_of(bytearray(done.stdout), where)


def _key_of(content: bytearray, where: str) -> bytearray:
    """32 bytes as they are, or as hex digits (with an end of line); `content` is wiped."""
    try:
        if len(content) == KEY_BYTES:
            return bytearray(content)
        digits = content.strip()
        if len(digits) == 2 * KEY_BYTES:
            try:
                return bytearray.fromhex(digits.decode("ascii"))
            except ValueError:
                pass
        raise SettingsError(f"{where}: a master key is 32 bytes, or 64 hex digits; this is neither")
    finally:
        content[:] = bytes(len(content))
