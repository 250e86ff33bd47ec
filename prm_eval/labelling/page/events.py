"""The file of a campaign: SQLite, in which every mark is a row of a table that is only ever appended to.

A mark is on the disk before the browser is told so (write-ahead log, ``synchronous=FULL``). Nothing is changed or
deleted: taking a mark back is an event too, and the table refuses anything else. A browser gives each event a key, so
that one that it sends again, because it never heard that the first was stored, is stored once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal, get_args

from prm_eval.errors import DataError

FILE = "campaign.sqlite"
SCHEMA_VERSION = "prm_eval.campaign/1"

What = Literal["opened", "mark", "marks", "flag", "verdict", "submit", "undo"]
"""What happened: an item was given to somebody, a step was marked, all steps were (an adjudicator took somebody's
marks), a step was flagged, the whole was given up or called a bad problem, it was handed in, the last of these was
taken back."""
WHATS: tuple[What, ...] = get_args(What)

TABLES = """
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE people (
  number INTEGER PRIMARY KEY, token_hash TEXT NOT NULL UNIQUE, who TEXT NOT NULL, role TEXT NOT NULL,
  made TEXT NOT NULL, revoked TEXT
);
CREATE TABLE items (
  item INTEGER PRIMARY KEY, kind TEXT NOT NULL, problem_id TEXT NOT NULL, candidate_id TEXT NOT NULL,
  place INTEGER, statement TEXT, steps TEXT, known TEXT, UNIQUE (kind, problem_id, candidate_id)
);
CREATE TABLE queue (
  place INTEGER PRIMARY KEY, item INTEGER NOT NULL UNIQUE REFERENCES items, opinions INTEGER NOT NULL
);
CREATE TABLE events (
  number INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, who TEXT NOT NULL, item INTEGER NOT NULL REFERENCES items,
  what TEXT NOT NULL, step INTEGER, value TEXT, ms INTEGER NOT NULL, key TEXT UNIQUE
);
CREATE TRIGGER events_stay BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'events are only appended'); END;
CREATE TRIGGER events_are_fixed BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'events are only appended'); END;
"""


@dataclass(frozen=True)
class Event:
    """One event.

    Attributes:
        who: Whose it is.
        item: The item.
        what: What happened.
        step: The 0-based step, for marks and flags.
        value: The mark, as text.
        ms: Milliseconds of attention since the last event of this person.
        key: What the browser calls it.
        number: Its place among all events; 0 before it is stored.
        at: When it was stored, as ISO 8601 in UTC.
    """

    who: str
    item: int
    what: What
    step: int | None = None
    value: str | None = None
    ms: int = 0
    key: str | None = None
    number: int = 0
    at: str = ""


def is_begun(path: Path) -> bool:
    """Say whether there is a campaign's file; one of which its maker was killed is none."""
    if not path.is_file() or not path.stat().st_size:
        return False
    with closing(sqlite3.connect(path)) as db:
        try:
            return bool(db.execute("SELECT 1 FROM sqlite_master WHERE name = 'settings'").fetchall())
        except sqlite3.DatabaseError:
            return True  # something else, which is said when it is opened


class Store:
    """The open file of a campaign.

    Args:
        path: The file.
        new: The settings with which it is made; None opens what is there.

    Raises:
        DataError: There is none, or it is none of a campaign.
    """

    def __init__(self, path: Path, *, new: Mapping[str, str] | None = None) -> None:
        if new is None and not path.is_file():
            hint = "Begin one with: prm-eval label serve POOL"
            raise DataError(path, None, "no such file", "the file of a labelling campaign", hint)
        if new is not None:
            # links are hashed in it, but who labelled what is nobody else's business
            path.touch(mode=0o600)
        self.path = path
        # one thread at a time uses it: the page's event loop, or a command
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
        try:
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.execute("PRAGMA foreign_keys=ON")
            if new is not None:
                self._make(new)
            found = self.get("schema")
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise DataError(path, None, f"a file that SQLite cannot use ({error})", "a labelling campaign") from None
        if found != SCHEMA_VERSION:
            self._db.close()
            raise DataError(path, None, f"the schema {found!r}", SCHEMA_VERSION)

    def _make(self, settings: Mapping[str, str]) -> None:
        """Make tables and settings in one transaction: a process that is killed leaves a campaign, or none."""
        self._db.executescript(f"BEGIN IMMEDIATE;{TABLES}")
        self._db.executemany("INSERT INTO settings VALUES (?, ?)", {"schema": SCHEMA_VERSION, **settings}.items())
        self._db.execute("COMMIT")

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Open a transaction: all of it is kept, or nothing."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield self._db
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        return self._db.execute(query, values).fetchall()

    def run(self, query: str, *values: Any) -> int:
        """Run a statement of its own, and return how many rows it changed."""
        return self._db.execute(query, values).rowcount

    def get(self, name: str, default: str | None = None) -> str | None:
        """Return a setting."""
        rows = self.rows("SELECT value FROM settings WHERE name = ?", name)
        return default if not rows else str(rows[0][0])

    def set(self, name: str, value: str) -> None:
        """Keep a setting."""
        self.run("INSERT OR REPLACE INTO settings VALUES (?, ?)", name, value)

    def append(self, event: Event) -> Event | None:
        """Keep an event and return it with its number; None where one with its key is there already."""
        at = now()
        values = (at, event.who, event.item, event.what, event.step, event.value, event.ms, event.key)
        with self.writing() as db:
            if event.key is not None and db.execute("SELECT 1 FROM events WHERE key = ?", (event.key,)).fetchone():
                return None
            number = db.execute(
                "INSERT INTO events (at, who, item, what, step, value, ms, key) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values
            ).lastrowid
        return Event(*values[1:8], number=int(number or 0), at=at)

    def events(self) -> Iterator[Event]:
        """Yield all events, in order."""
        query = "SELECT who, item, what, step, value, ms, key, number, at FROM events ORDER BY number"
        for row in self._db.execute(query):
            yield Event(*row)

    def close(self) -> None:
        """Close the file."""
        self._db.close()


def now() -> str:
    """Return the time as ISO 8601 in UTC."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")
