"""Triggers by which the database itself refuses to change or remove a verdict or a champion: against accidents.

Who owns the tables can drop the triggers; what he changes then is found by `andon verify`. They are made with their
tables: the ledger of an older Andon has none.
"""

from sqlalchemy import DDL, Table, event

_SAYS = "verdicts and champions are append-only; what was decided is changed by a new decision (andon rollback)"
_SQLITE = """
CREATE TRIGGER {table}_no_{what} BEFORE {what} ON {table} BEGIN SELECT RAISE(ABORT, '{says}'); END
"""
_POSTGRESQL = """
CREATE OR REPLACE FUNCTION andon_append_only() RETURNS trigger LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION '{says}'; END $$;
CREATE TRIGGER {table}_no_{what} BEFORE {what} ON {table} FOR EACH ROW EXECUTE FUNCTION andon_append_only()
"""


def append_only(table: Table) -> Table:
    """The table, of which rows can neither be changed nor removed once the database has made it."""
    for dialect, statement in (("sqlite", _SQLITE), ("postgresql", _POSTGRESQL)):
        for what in ("update", "delete"):
            made = DDL(statement.format(table=table.name, what=what, says=_SAYS))  # type: ignore[no-untyped-call]
            event.listen(table, "after_create", made.execute_if(dialect=dialect))
    return table
