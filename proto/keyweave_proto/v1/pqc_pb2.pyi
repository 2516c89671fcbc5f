from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PqcLetter(_message.Message):
    __slots__ = ("propose", "answer", "proved", "lost", "declined")
    PROPOSE_FIELD_NUMBER: _ClassVar[int]
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    PROVED_FIELD_NUMBER: _ClassVar[int]
    LOST_FIELD_NUMBER: _ClassVar[int]
    DECLINED_FIELD_NUMBER: _ClassVar[int]
    propose: Propose
    answer: Answer
    proved: Proved
    lost: Lost
    declined: Declined
    def __init__(self, propose: _Optional[_Union[Propose, _Mapping]] = ..., answer: _Optional[_Union[Answer, _Mapping]] = ..., proved: _Optional[_Union[Proved, _Mapping]] = ..., lost: _Optional[_Union[Lost, _Mapping]] = ..., declined: _Optional[_Union[Declined, _Mapping]] = ...) -> None: ...

class Propose(_message.Message):
    __slots__ = ("kem", "nonce", "public_key", "credential", "signature")
    KEM_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIELD_NUMBER: _ClassVar[int]
    PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    CREDENTIAL_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    kem: str
    nonce: bytes
    public_key: bytes
    credential: bytes
    signature: bytes
    def __init__(self, kem: _Optional[str] = ..., nonce: _Optional[bytes] = ..., public_key: _Optional[bytes] = ..., credential: _Optional[bytes] = ..., signature: _Optional[bytes] = ...) -> None: ...

class Answer(_message.Message):
    __slots__ = ("nonce", "own_nonce", "ciphertext", "keeper", "held", "credential", "signature", "proof")
    NONCE_FIELD_NUMBER: _ClassVar[int]
    OWN_NONCE_FIELD_NUMBER: _ClassVar[int]
    CIPHERTEXT_FIELD_NUMBER: _ClassVar[int]
    KEEPER_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    CREDENTIAL_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    nonce: bytes
    own_nonce: bytes
    ciphertext: bytes
    keeper: bytes
    held: _containers.RepeatedScalarFieldContainer[bytes]
    credential: bytes
    signature: bytes
    proof: bytes
    def __init__(self, nonce: _Optional[bytes] = ..., own_nonce: _Optional[bytes] = ..., ciphertext: _Optional[bytes] = ..., keeper: _Optional[bytes] = ..., held: _Optional[_Iterable[bytes]] = ..., credential: _Optional[bytes] = ..., signature: _Optional[bytes] = ..., proof: _Optional[bytes] = ...) -> None: ...

class Proved(_message.Message):
    __slots__ = ("secret_id", "counter", "body", "mac")
    SECRET_ID_FIELD_NUMBER: _ClassVar[int]
    COUNTER_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    MAC_FIELD_NUMBER: _ClassVar[int]
    secret_id: bytes
    counter: int
    body: bytes
    mac: bytes
    def __init__(self, secret_id: _Optional[bytes] = ..., counter: _Optional[int] = ..., body: _Optional[bytes] = ..., mac: _Optional[bytes] = ...) -> None: ...

class Said(_message.Message):
    __slots__ = ("confirm", "confirmed", "offer", "stored")
    CONFIRM_FIELD_NUMBER: _ClassVar[int]
    CONFIRMED_FIELD_NUMBER: _ClassVar[int]
    OFFER_FIELD_NUMBER: _ClassVar[int]
    STORED_FIELD_NUMBER: _ClassVar[int]
    confirm: Confirm
    confirmed: Confirmed
    offer: Offer
    stored: Stored
    def __init__(self, confirm: _Optional[_Union[Confirm, _Mapping]] = ..., confirmed: _Optional[_Union[Confirmed, _Mapping]] = ..., offer: _Optional[_Union[Offer, _Mapping]] = ..., stored: _Optional[_Union[Stored, _Mapping]] = ...) -> None: ...

class Confirm(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Confirmed(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Offer(_message.Message):
    __slots__ = ("batch_id", "key_bytes", "key_ids", "link_ids", "clients")
    BATCH_ID_FIELD_NUMBER: _ClassVar[int]
    KEY_BYTES_FIELD_NUMBER: _ClassVar[int]
    KEY_IDS_FIELD_NUMBER: _ClassVar[int]
    LINK_IDS_FIELD_NUMBER: _ClassVar[int]
    CLIENTS_FIELD_NUMBER: _ClassVar[int]
    batch_id: bytes
    key_bytes: int
    key_ids: bytes
    link_ids: _containers.RepeatedScalarFieldContainer[bytes]
    clients: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, batch_id: _Optional[bytes] = ..., key_bytes: _Optional[int] = ..., key_ids: _Optional[bytes] = ..., link_ids: _Optional[_Iterable[bytes]] = ..., clients: _Optional[_Iterable[str]] = ...) -> None: ...

class Stored(_message.Message):
    __slots__ = ("batch_id", "keeper")
    BATCH_ID_FIELD_NUMBER: _ClassVar[int]
    KEEPER_FIELD_NUMBER: _ClassVar[int]
    batch_id: bytes
    keeper: bytes
    def __init__(self, batch_id: _Optional[bytes] = ..., keeper: _Optional[bytes] = ...) -> None: ...

class Lost(_message.Message):
    __slots__ = ("secret_id",)
    SECRET_ID_FIELD_NUMBER: _ClassVar[int]
    secret_id: bytes
    def __init__(self, secret_id: _Optional[bytes] = ...) -> None: ...

class Declined(_message.Message):
    __slots__ = ("about", "why")
    class Why(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        WHY_UNSPECIFIED: _ClassVar[Declined.Why]
        UNTRUSTED: _ClassVar[Declined.Why]
        OTHER_KEM: _ClassVar[Declined.Why]
        OTHER_MODE: _ClassVar[Declined.Why]
        OTHER_ENDS: _ClassVar[Declined.Why]
        FULL: _ClassVar[Declined.Why]
    WHY_UNSPECIFIED: Declined.Why
    UNTRUSTED: Declined.Why
    OTHER_KEM: Declined.Why
    OTHER_MODE: Declined.Why
    OTHER_ENDS: Declined.Why
    FULL: Declined.Why
    ABOUT_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    about: bytes
    why: Declined.Why
    def __init__(self, about: _Optional[bytes] = ..., why: _Optional[_Union[Declined.Why, str]] = ...) -> None: ...
