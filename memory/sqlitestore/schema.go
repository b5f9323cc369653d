package sqlitestore

import (
	"errors"
	"fmt"

	"github.com/tidwall/gjson"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"mnemo/memory"
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
`, `
-- The totals of sessions are over live turns from now on, but for the bytes.
ALTER TABLE sessions ADD COLUMN superseded   INTEGER NOT NULL DEFAULT 0; -- turns that are not live
ALTER TABLE sessions ADD COLUMN branch       INTEGER NOT NULL DEFAULT 0; -- the last turn that superseded others
ALTER TABLE sessions ADD COLUMN summaries    INTEGER NOT NULL DEFAULT 0; -- counts what became of the summary
ALTER TABLE sessions ADD COLUMN input        INTEGER NOT NULL DEFAULT 0; -- tokens of all turns
ALTER TABLE sessions ADD COLUMN cached_input INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN output       INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN cost         INTEGER NOT NULL DEFAULT 0; -- nano-dollars, of the turns that are priced
ALTER TABLE sessions ADD COLUMN priced       INTEGER NOT NULL DEFAULT 0; -- turns whose cost is known
ALTER TABLE sessions ADD COLUMN untitled     INTEGER NOT NULL DEFAULT 0; -- 1: the next turn may give the title

-- updated_at or a little earlier (see relisting): lists are in nearly this order,
-- and most turns leave the indexes alone.
ALTER TABLE sessions ADD COLUMN listed_at INTEGER NOT NULL DEFAULT 0;
UPDATE sessions SET listed_at = updated_at;
CREATE INDEX sessions_of_tenant ON sessions (tenant, listed_at);
CREATE INDEX sessions_of_all ON sessions (listed_at);

ALTER TABLE instructions ADD COLUMN persona TEXT NOT NULL DEFAULT ''; -- its name

CREATE TABLE titles (
	session    INTEGER PRIMARY KEY REFERENCES sessions ON DELETE CASCADE,
	title      TEXT NOT NULL,
	folded     TEXT NOT NULL,    -- the title as it is searched
	created_at INTEGER NOT NULL  -- milliseconds
) STRICT;
INSERT INTO titles SELECT sessions.id, title_of(turn), fold(title_of(turn)), time_of(turn)
	FROM sessions JOIN turns ON session = sessions.id AND turns.seq = 1;
UPDATE sessions SET untitled = 1 WHERE id IN (SELECT session FROM titles WHERE title = '');

CREATE TABLE summaries (
	session INTEGER PRIMARY KEY REFERENCES sessions ON DELETE CASCADE,
	up_to   INTEGER NOT NULL, -- the last turn that it covers
	summary TEXT NOT NULL     -- JSON
) STRICT;

-- Few turns are ever superseded; a row of turns is never written again.
CREATE TABLE superseded (
	session INTEGER NOT NULL REFERENCES sessions ON DELETE CASCADE,
	seq     INTEGER NOT NULL,
	by      INTEGER NOT NULL, -- the turn in its place
	PRIMARY KEY (session, seq)
) STRICT, WITHOUT ROWID;

-- The links of turns, up to the one that linked names.
CREATE TABLE links (
	session INTEGER NOT NULL REFERENCES sessions ON DELETE CASCADE,
	link    INTEGER NOT NULL,
	seq     INTEGER NOT NULL,
	PRIMARY KEY (session, link, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE linked (
	session INTEGER PRIMARY KEY REFERENCES sessions ON DELETE CASCADE,
	seq     INTEGER NOT NULL
) STRICT;

CREATE TABLE leases (
	session INTEGER PRIMARY KEY REFERENCES sessions ON DELETE CASCADE,
	holder  TEXT NOT NULL,
	until   INTEGER NOT NULL -- milliseconds
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
	if version == len(migrations) {
		return nil
	}
	if err := teach(c); err != nil {
		return err
	}
	for i, script := range migrations[version:] {
		if err := sqlitex.ExecuteScript(c, script, nil); err != nil {
			return fmt.Errorf("migrate to schema %d: %w", version+i+1, err)
		}
	}
	return sqlitex.ExecuteTransient(c, fmt.Sprintf("PRAGMA user_version = %d", len(migrations)), nil)
}

// Private

// teach gives a connection the functions that migrations call.
func teach(c *sqlite.Conn) error {
	for name, f := range map[string]func(arg string) sqlite.Value{
		"fold": func(text string) sqlite.Value { return sqlite.TextValue(memory.Fold(text)) },
		"title_of": func(turn string) sqlite.Value {
			t, err := memory.DecodeTurn(1, turn)
			if err != nil { // it is told when the turn is read
				return sqlite.TextValue("")
			}
			return sqlite.TextValue(t.Title())
		},
		"time_of": func(turn string) sqlite.Value { return sqlite.IntegerValue(gjson.Get(turn, "at").Int()) },
	} {
		err := c.CreateFunction(name, &sqlite.FunctionImpl{
			NArgs: 1, Deterministic: true,
			Scalar: func(_ sqlite.Context, args []sqlite.Value) (sqlite.Value, error) { return f(args[0].Text()), nil },
		})
		if err != nil {
			return err
		}
	}
	return nil
}
