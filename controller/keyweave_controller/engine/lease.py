"""Who may write: one holder at a time, told apart by a number that only grows.

Rule of this file: taking the lease raises the epoch. Every write names its epoch in a statement that the
database itself evaluates (`UPDATE ... WHERE epoch = ?` touches one row or none), inside the same
transaction. So a controller that lost the lease, was stopped for a while or sits behind a broken network
cannot write one row more, whatever it believes.
"""

from sqlalchemy import Connection, insert, select, update

from keyweave_controller.engine.schema import SCHEMA_VERSION, lease
from keyweave_core.errors import SettingsError, Unavailable


class Fenced(Unavailable):
    """Another controller holds the lease; this one must stop."""


def take(connection: Connection, *, holder: str, at: float) -> int:
    """Take the lease over, from whoever held it; the new epoch. Raises SettingsError on another schema."""
    row = connection.execute(select(lease.c.schema_version, lease.c.epoch).where(lease.c.id == 1)).first()
    if row is None:
        connection.execute(
            insert(lease).values(
                id=1, schema_version=SCHEMA_VERSION, epoch=1, holder=holder[:200], renewed_at=at
            )
        )
        return 1
    if row.schema_version != SCHEMA_VERSION:
        raise SettingsError(
            f"the store has schema version {row.schema_version}, this program writes {SCHEMA_VERSION}"
        )
    epoch = int(row.epoch) + 1
    taken = connection.execute(
        update(lease)
        .where(lease.c.id == 1, lease.c.epoch == row.epoch)
        .values(epoch=epoch, holder=holder[:200], renewed_at=at)
    )
    if taken.rowcount != 1:
        raise Fenced("another controller took the lease at the same moment")
    return epoch


def confirm(connection: Connection, *, epoch: int, at: float) -> None:
    """Renew the lease inside a transaction, holding its row until the end of it. Raises Fenced."""
    renewed = connection.execute(
        update(lease).where(lease.c.id == 1, lease.c.epoch == epoch).values(renewed_at=at)
    )
    if renewed.rowcount != 1:
        holder = connection.execute(select(lease.c.epoch, lease.c.holder).where(lease.c.id == 1)).first()
        now = f"epoch {holder.epoch} of {holder.holder}" if holder else "nobody"
        raise Fenced(f"the lease of epoch {epoch} is gone; it belongs to {now}")
