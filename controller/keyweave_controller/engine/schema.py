"""The tables of the controller's store.

Rule of this file: names start with `keyweave_`, so that the store may share a PostgreSQL database. A change
of these tables raises `SCHEMA_VERSION`; a store of another version is refused, never guessed at.
"""

from sqlalchemy import BigInteger, Column, Float, Integer, MetaData, String, Table, Text

SCHEMA_VERSION = 1

metadata = MetaData()

lease = Table(
    "keyweave_lease",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),  # always 1
    Column("schema_version", Integer, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("holder", String(200), nullable=False),
    Column("renewed_at", Float, nullable=False),
)

journal = Table(
    "keyweave_journal",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("epoch", BigInteger, nullable=False),
    Column("at", Float, nullable=False),
    Column("kind", String(40), nullable=False),
    Column("body", Text, nullable=False),
)

snapshots = Table(
    "keyweave_snapshot",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),  # of the last event it contains
    Column("at", Float, nullable=False),
    Column("body", Text, nullable=False),
)
