package sqlitestore

import (
	"errors"
	"fmt"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// ErrNewer means that a newer version of the program wrote the file.
var ErrNewer = errors.New("the file was written by a newer version of this program")

// migrations brings a file forward; its user_version counts those that it has.
// They are never changed, only added to.
var migrations = []string{`
-- A session's id is never used again, so it names one life of the session.
CREATE TABLE sessions (
	id         INTEGER PRIMARY KEY AUTOINCREMENT,
	tenant     TEXT NOT NULL,
	name       TEXT NOT NULL,
	seq        INTEGER NOT NULL, -- of the last turn
	messages   INTEGER NOT NULL, -- totals over all turns
	groups     INTEGER NOT NULL,
	tokens     INTEGER NOT NULL,
	bytes      INTEGER NOT NULL,
	system_seq INTEGER NOT NULL, -- the turn that changed the instructions; 0: there are none
	updated_at INTEGER NOT NULL, -- milliseconds
	expires_at INTEGER NOT NULL, -- milliseconds; 0: never
	UNIQUE (tenant, name)
) STRICT;
CREATE INDEX sessions_expiring ON sessions (expires_at) WHERE expires_at > 0;

-- In order of arrival, not of session: that way turns of many sessions fill the
-- same few pages, and a commit writes half as much.
CREATE TABLE turns (
	id      INTEGER PRIMARY KEY,
	session INTEGER NOT NULL REFERENCES sessions ON DELETE CASCADE,
	seq     INTEGER NOT NULL,
	turn    TEXT NOT NULL, -- JSON
	UNIQUE (session, seq)
) STRICT;

-- Apart, because a session's row is written with every turn.
CREATE TABLE instructions (
	session INTEGER PRIMARY KEY REFERENCES sessions ON DELETE CASCADE,
	system  TEXT NOT NULL -- JSON
) STRICT;
`}

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
	for i, script := range migrations[version:] {
		if err := sqlitex.ExecuteScript(c, script, nil); err != nil {
			return fmt.Errorf("migrate to schema %d: %w", version+i+1, err)
		}
	}
	if version == len(migrations) {
		return nil
	}
	return sqlitex.ExecuteTransient(c, fmt.Sprintf("PRAGMA user_version = %d", len(migrations)), nil)
}
