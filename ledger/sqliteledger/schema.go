package sqliteledger

import (
	"errors"
	"fmt"
	"strings"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// ErrNewer means that a newer version of the program wrote the file.
var ErrNewer = errors.New("the file was written by a newer version of this program")

// Private

// migrations brings a file forward; its user_version counts those that it has.
// They are never changed, only added to. In them COUNTERS stands for the columns of
// ledger.Sums as they were then.
var migrations = []struct{ script, counters string }{{`
-- An entry's text is apart, so that adding calls up reads few pages.
CREATE TABLE lines (
	call      INTEGER PRIMARY KEY,
	uid       BLOB NOT NULL UNIQUE,
	at        INTEGER NOT NULL, -- milliseconds
	tenant    TEXT NOT NULL,    -- '': none
	name      INTEGER NOT NULL, -- of the session; 0: none
	operation TEXT NOT NULL,
	model     TEXT NOT NULL,
	upstream  TEXT NOT NULL,
	key_label TEXT NOT NULL,
	id        TEXT NOT NULL,
	COUNTERS
) STRICT;
CREATE INDEX lines_at ON lines (at);
CREATE INDEX lines_of_tenant ON lines (tenant, at);
CREATE INDEX lines_of_name ON lines (name) WHERE name <> 0;
CREATE INDEX lines_by_id ON lines (id, at);

-- The ids of sessions. SQLite overwrites what is deleted, but when it moves rows from page
-- to page, as in an index or after deletions, it leaves copies. So rows are only added at
-- this table's end, and what is forgotten is overwritten where it stands, by as many
-- zeros; the table as a whole is written anew when days were rolled up.
CREATE TABLE names (
	name    INTEGER PRIMARY KEY AUTOINCREMENT,
	hash    INTEGER NOT NULL, -- of the session's id
	tenant  TEXT NOT NULL,
	session ANY NOT NULL      -- a BLOB: forgotten
) STRICT;
CREATE INDEX names_by_hash ON names (hash);

CREATE VIEW calls AS SELECT lines.*, iif(typeof(session) = 'text', session, '') AS session
	FROM lines LEFT JOIN names USING (name);

CREATE TABLE entries (
	call  INTEGER PRIMARY KEY REFERENCES lines ON DELETE CASCADE,
	entry TEXT NOT NULL -- JSON
) STRICT;

CREATE TABLE days (
	at        INTEGER NOT NULL, -- milliseconds
	tenant    TEXT NOT NULL,
	operation TEXT NOT NULL,
	model     TEXT NOT NULL,
	upstream  TEXT NOT NULL,
	key_label TEXT NOT NULL,
	COUNTERS,
	PRIMARY KEY (at, tenant, operation, model, upstream, key_label)
) STRICT, WITHOUT ROWID;
CREATE INDEX days_of_tenant ON days (tenant, at);
`, `calls measured estimated unpriced errors cached degraded streams attempts
	input cached_input cache_write output reasoning audio_input audio_output cost
	latency_us first_tokens first_token_us memory_tokens memory_dropped
	full_calls full_input full_used_input full_priced full_cost full_cost_cached full_used_cost`,
}}

// migrate brings the file to the newest schema. Several processes may try at once.
func migrate(c *sqlite.Conn) (err error) {
	done, err := sqlitex.ImmediateTransaction(c)
	if err != nil {
		return err
	}
	defer done(&err)
	version, err := sqlitex.ResultInt(c.Prep("PRAGMA user_version"))
	if err != nil {
		return err
	}
	if version > len(migrations) {
		return fmt.Errorf("%w: its schema is %d, this one knows %d", ErrNewer, version, len(migrations))
	}
	for i, m := range migrations[version:] {
		counters := strings.Join(strings.Fields(m.counters), " INTEGER NOT NULL DEFAULT 0,\n\t") + " INTEGER NOT NULL DEFAULT 0"
		if err := sqlitex.ExecuteScript(c, strings.ReplaceAll(m.script, "COUNTERS", counters), nil); err != nil {
			return fmt.Errorf("migrate to schema %d: %w", version+i+1, err)
		}
	}
	return sqlitex.ExecuteTransient(c, fmt.Sprintf("PRAGMA user_version = %d", len(migrations)), nil)
}
