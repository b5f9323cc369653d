package sqlitestore

import (
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// eraseWait bounds how long the writer waits for readers to let it empty the log.
const eraseWait = 20 * time.Millisecond

// Private

// erase empties the write-ahead log if it may hold what was deleted. The pages that the
// connection has in memory go too: SQLite writes them again as they are, with what was
// moved out of them.
func (w *writer) erase() {
	if !w.erasing {
		return
	}
	w.conn.SetBusyTimeout(eraseWait)
	defer w.conn.SetBusyTimeout(lockWait)
	busy := int64(1)
	err := sqlitex.ExecuteTransient(w.conn, "PRAGMA wal_checkpoint(TRUNCATE)", &sqlitex.ExecOptions{
		ResultFunc: func(q *sqlite.Stmt) error {
			busy = q.ColumnInt64(0)
			return nil
		},
	})
	if err == nil && busy == 0 {
		err = sqlitex.ExecuteTransient(w.conn, "PRAGMA shrink_memory", nil)
	}
	w.erasing = err != nil || busy != 0
}
