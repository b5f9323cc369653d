package sqliteledger

import (
	"context"
	"crypto/sha256"
	"encoding/binary"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// Forget implements ledger.Store. The id is overwritten in the file, and the write-ahead
// log beside it emptied, at once or, while somebody reads, after one of the next changes.
func (s *Store) Forget(ctx context.Context, tenant, session string) error {
	if session == "" {
		return nil
	}
	return s.write(ctx, "forget session in ledger", func(w *writer) error {
		w.erasing = true
		return sqlitex.Execute(w.conn, `UPDATE names SET session = ? WHERE hash = ? AND tenant = ? AND session = ?`,
			&sqlitex.ExecOptions{Args: []any{make([]byte, len(session)), hashOf(session), tenant, session}})
	})
}

// Private

// names are those that a batch has looked up, by tenant and session.
type names map[[2]string]int64

// name is the number of a session's name, which is added if it is new; 0 for none.
func (w *writer) name(tenant, session string, known names) (name int64, err error) {
	if session == "" {
		return 0, nil
	}
	if name = known[[2]string{tenant, session}]; name > 0 {
		return name, nil
	}
	hash := hashOf(session)
	err = sqlitex.Execute(w.conn, `SELECT name FROM names WHERE hash = ? AND tenant = ? AND session = ?`, &sqlitex.ExecOptions{
		Args:       []any{hash, tenant, session},
		ResultFunc: func(q *sqlite.Stmt) error { name = q.ColumnInt64(0); return nil },
	})
	if err == nil && name == 0 {
		err = sqlitex.Execute(w.conn, `INSERT INTO names (hash, tenant, session) VALUES (?, ?, ?)`,
			&sqlitex.ExecOptions{Args: []any{hash, tenant, session}})
		name = w.conn.LastInsertRowID()
	}
	known[[2]string{tenant, session}] = name
	return name, err
}

// dropNames writes the names anew that calls still have.
func (w *writer) dropNames() error {
	w.erasing = true
	return sqlitex.ExecuteScript(w.conn, `
		CREATE TEMP TABLE used AS SELECT * FROM names WHERE name IN (SELECT name FROM lines WHERE name <> 0);
		DELETE FROM names;
		INSERT INTO names SELECT * FROM used ORDER BY name;
		DROP TABLE used;`, nil)
}

// hashOf finds a session's name without an index that holds it.
func hashOf(session string) int64 {
	sum := sha256.Sum256([]byte(session))
	return int64(binary.BigEndian.Uint64(sum[:]))
}

// teach gives a connection hash_of, which queries call.
func teach(c *sqlite.Conn) error {
	return c.CreateFunction("hash_of", &sqlite.FunctionImpl{
		NArgs: 1, Deterministic: true,
		Scalar: func(_ sqlite.Context, args []sqlite.Value) (sqlite.Value, error) {
			return sqlite.IntegerValue(hashOf(args[0].Text())), nil
		},
	})
}
