"""What alembic runs to take the steps: on the connection, and in the transaction, of whoever asked."""

from alembic import context

from rowvec.ledgers.sql.tables import metadata, shape

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=shape.name,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
