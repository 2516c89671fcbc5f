from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Method(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ONE_TIME_PAD: _ClassVar[Method]
    AES_256_GCM: _ClassVar[Method]
    XOR_ANNOUNCE: _ClassVar[Method]
ONE_TIME_PAD: Method
AES_256_GCM: Method
XOR_ANNOUNCE: Method

class Frame(_message.Message):
    __slots__ = ("hello", "held", "sealed", "nack", "doubt", "missing", "ask", "keeper", "letter")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    SEALED_FIELD_NUMBER: _ClassVar[int]
    NACK_FIELD_NUMBER: _ClassVar[int]
    DOUBT_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    ASK_FIELD_NUMBER: _ClassVar[int]
    KEEPER_FIELD_NUMBER: _ClassVar[int]
    LETTER_FIELD_NUMBER: _ClassVar[int]
    hello: Hello
    held: Held
    sealed: Sealed
    nack: Nack
    doubt: Doubt
    missing: Missing
    ask: Ask
    keeper: Keeper
    letter: Letter
    def __init__(self, hello: _Optional[_Union[Hello, _Mapping]] = ..., held: _Optional[_Union[Held, _Mapping]] = ..., sealed: _Optional[_Union[Sealed, _Mapping]] = ..., nack: _Optional[_Union[Nack, _Mapping]] = ..., doubt: _Optional[_Union[Doubt, _Mapping]] = ..., missing: _Optional[_Union[Missing, _Mapping]] = ..., ask: _Optional[_Union[Ask, _Mapping]] = ..., keeper: _Optional[_Union[Keeper, _Mapping]] = ..., letter: _Optional[_Union[Letter, _Mapping]] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("version", "node_id", "link_id", "dialler", "acceptor")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    LINK_ID_FIELD_NUMBER: _ClassVar[int]
    DIALLER_FIELD_NUMBER: _ClassVar[int]
    ACCEPTOR_FIELD_NUMBER: _ClassVar[int]
    version: int
    node_id: bytes
    link_id: bytes
    dialler: Stock
    acceptor: Stock
    def __init__(self, version: _Optional[int] = ..., node_id: _Optional[bytes] = ..., link_id: _Optional[bytes] = ..., dialler: _Optional[_Union[Stock, _Mapping]] = ..., acceptor: _Optional[_Union[Stock, _Mapping]] = ...) -> None: ...

class Stock(_message.Message):
    __slots__ = ("spent", "held_deltas")
    SPENT_FIELD_NUMBER: _ClassVar[int]
    HELD_DELTAS_FIELD_NUMBER: _ClassVar[int]
    spent: Position
    held_deltas: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, spent: _Optional[_Union[Position, _Mapping]] = ..., held_deltas: _Optional[_Iterable[int]] = ...) -> None: ...

class Position(_message.Message):
    __slots__ = ("block_id", "offset")
    BLOCK_ID_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    block_id: int
    offset: int
    def __init__(self, block_id: _Optional[int] = ..., offset: _Optional[int] = ...) -> None: ...

class Held(_message.Message):
    __slots__ = ("block_ids",)
    BLOCK_IDS_FIELD_NUMBER: _ClassVar[int]
    block_ids: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, block_ids: _Optional[_Iterable[int]] = ...) -> None: ...

class Missing(_message.Message):
    __slots__ = ("block_ids",)
    BLOCK_IDS_FIELD_NUMBER: _ClassVar[int]
    block_ids: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, block_ids: _Optional[_Iterable[int]] = ...) -> None: ...

class Sealed(_message.Message):
    __slots__ = ("pad", "method", "counter", "batch", "acks", "ciphertext", "tag")
    PAD_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    COUNTER_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    ACKS_FIELD_NUMBER: _ClassVar[int]
    CIPHERTEXT_FIELD_NUMBER: _ClassVar[int]
    TAG_FIELD_NUMBER: _ClassVar[int]
    pad: _containers.RepeatedCompositeFieldContainer[PadRange]
    method: Method
    counter: int
    batch: Batch
    acks: _containers.RepeatedCompositeFieldContainer[Ack]
    ciphertext: bytes
    tag: bytes
    def __init__(self, pad: _Optional[_Iterable[_Union[PadRange, _Mapping]]] = ..., method: _Optional[_Union[Method, str]] = ..., counter: _Optional[int] = ..., batch: _Optional[_Union[Batch, _Mapping]] = ..., acks: _Optional[_Iterable[_Union[Ack, _Mapping]]] = ..., ciphertext: _Optional[bytes] = ..., tag: _Optional[bytes] = ...) -> None: ...

class PadRange(_message.Message):
    __slots__ = ("block_id", "offset", "length")
    BLOCK_ID_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    LENGTH_FIELD_NUMBER: _ClassVar[int]
    block_id: int
    offset: int
    length: int
    def __init__(self, block_id: _Optional[int] = ..., offset: _Optional[int] = ..., length: _Optional[int] = ...) -> None: ...

class Batch(_message.Message):
    __slots__ = ("batch_id", "app_id", "link_id", "key_bytes", "key_ids", "link_ids", "threshold", "id_beginning", "number", "secret_id")
    BATCH_ID_FIELD_NUMBER: _ClassVar[int]
    APP_ID_FIELD_NUMBER: _ClassVar[int]
    LINK_ID_FIELD_NUMBER: _ClassVar[int]
    KEY_BYTES_FIELD_NUMBER: _ClassVar[int]
    KEY_IDS_FIELD_NUMBER: _ClassVar[int]
    LINK_IDS_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    ID_BEGINNING_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    SECRET_ID_FIELD_NUMBER: _ClassVar[int]
    batch_id: bytes
    app_id: bytes
    link_id: bytes
    key_bytes: int
    key_ids: bytes
    link_ids: _containers.RepeatedScalarFieldContainer[bytes]
    threshold: int
    id_beginning: bytes
    number: int
    secret_id: bytes
    def __init__(self, batch_id: _Optional[bytes] = ..., app_id: _Optional[bytes] = ..., link_id: _Optional[bytes] = ..., key_bytes: _Optional[int] = ..., key_ids: _Optional[bytes] = ..., link_ids: _Optional[_Iterable[bytes]] = ..., threshold: _Optional[int] = ..., id_beginning: _Optional[bytes] = ..., number: _Optional[int] = ..., secret_id: _Optional[bytes] = ...) -> None: ...

class Ack(_message.Message):
    __slots__ = ("batch_id", "link_id", "keeper")
    BATCH_ID_FIELD_NUMBER: _ClassVar[int]
    LINK_ID_FIELD_NUMBER: _ClassVar[int]
    KEEPER_FIELD_NUMBER: _ClassVar[int]
    batch_id: bytes
    link_id: bytes
    keeper: bytes
    def __init__(self, batch_id: _Optional[bytes] = ..., link_id: _Optional[bytes] = ..., keeper: _Optional[bytes] = ...) -> None: ...

class Doubt(_message.Message):
    __slots__ = ("link_id",)
    LINK_ID_FIELD_NUMBER: _ClassVar[int]
    link_id: bytes
    def __init__(self, link_id: _Optional[bytes] = ...) -> None: ...

class Ask(_message.Message):
    __slots__ = ("link_id",)
    LINK_ID_FIELD_NUMBER: _ClassVar[int]
    link_id: bytes
    def __init__(self, link_id: _Optional[bytes] = ...) -> None: ...

class Keeper(_message.Message):
    __slots__ = ("link_id", "keeper")
    LINK_ID_FIELD_NUMBER: _ClassVar[int]
    KEEPER_FIELD_NUMBER: _ClassVar[int]
    link_id: bytes
    keeper: bytes
    def __init__(self, link_id: _Optional[bytes] = ..., keeper: _Optional[bytes] = ...) -> None: ...

class Letter(_message.Message):
    __slots__ = ("link_id", "app_id", "forward", "kind", "body")
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        KIND_UNSPECIFIED: _ClassVar[Letter.Kind]
        PQC: _ClassVar[Letter.Kind]
        STREAM: _ClassVar[Letter.Kind]
        BORDER: _ClassVar[Letter.Kind]
    KIND_UNSPECIFIED: Letter.Kind
    PQC: Letter.Kind
    STREAM: Letter.Kind
    BORDER: Letter.Kind
    LINK_ID_FIELD_NUMBER: _ClassVar[int]
    APP_ID_FIELD_NUMBER: _ClassVar[int]
    FORWARD_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    link_id: bytes
    app_id: bytes
    forward: bool
    kind: Letter.Kind
    body: bytes
    def __init__(self, link_id: _Optional[bytes] = ..., app_id: _Optional[bytes] = ..., forward: _Optional[bool] = ..., kind: _Optional[_Union[Letter.Kind, str]] = ..., body: _Optional[bytes] = ...) -> None: ...

class Nack(_message.Message):
    __slots__ = ("batch_id", "link_id", "reason", "at_node", "kept")
    class Reason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        REASON_UNSPECIFIED: _ClassVar[Nack.Reason]
        NO_PAD: _ClassVar[Nack.Reason]
        NEXT_HOP_DOWN: _ClassVar[Nack.Reason]
        UNKNOWN_ROUTE: _ClassVar[Nack.Reason]
        UNKNOWN_APPLICATION: _ClassVar[Nack.Reason]
        BAD_TAG: _ClassVar[Nack.Reason]
        PAD_GONE: _ClassVar[Nack.Reason]
        FULL: _ClassVar[Nack.Reason]
        SHARES_MISSING: _ClassVar[Nack.Reason]
        OTHER_LINKS: _ClassVar[Nack.Reason]
        CONTRADICTION: _ClassVar[Nack.Reason]
        OTHER_METHOD: _ClassVar[Nack.Reason]
        KEYS_GONE: _ClassVar[Nack.Reason]
        OTHER_MODE: _ClassVar[Nack.Reason]
        UNAGREED: _ClassVar[Nack.Reason]
        BORDER_PENDING: _ClassVar[Nack.Reason]
        BORDER_DOWN: _ClassVar[Nack.Reason]
        BORDER_REFUSED: _ClassVar[Nack.Reason]
        BORDER_PAUSED: _ClassVar[Nack.Reason]
    REASON_UNSPECIFIED: Nack.Reason
    NO_PAD: Nack.Reason
    NEXT_HOP_DOWN: Nack.Reason
    UNKNOWN_ROUTE: Nack.Reason
    UNKNOWN_APPLICATION: Nack.Reason
    BAD_TAG: Nack.Reason
    PAD_GONE: Nack.Reason
    FULL: Nack.Reason
    SHARES_MISSING: Nack.Reason
    OTHER_LINKS: Nack.Reason
    CONTRADICTION: Nack.Reason
    OTHER_METHOD: Nack.Reason
    KEYS_GONE: Nack.Reason
    OTHER_MODE: Nack.Reason
    UNAGREED: Nack.Reason
    BORDER_PENDING: Nack.Reason
    BORDER_DOWN: Nack.Reason
    BORDER_REFUSED: Nack.Reason
    BORDER_PAUSED: Nack.Reason
    BATCH_ID_FIELD_NUMBER: _ClassVar[int]
    LINK_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    AT_NODE_FIELD_NUMBER: _ClassVar[int]
    KEPT_FIELD_NUMBER: _ClassVar[int]
    batch_id: bytes
    link_id: bytes
    reason: Nack.Reason
    at_node: bytes
    kept: bool
    def __init__(self, batch_id: _Optional[bytes] = ..., link_id: _Optional[bytes] = ..., reason: _Optional[_Union[Nack.Reason, str]] = ..., at_node: _Optional[bytes] = ..., kept: _Optional[bool] = ...) -> None: ...
