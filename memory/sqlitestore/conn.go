package sqlitestore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

const (
	// lockWait is how long a connection waits for other processes.
	lockWait = 10 * time.Second
	// lockRetry is the pause where SQLite itself does not wait.
	lockRetry = 5 * time.Millisecond
)

// Private

// connect opens one more connection and adds it to conns.
func connect(ctx context.Context, path string, conns *[]*sqlite.Conn, pragmas ...string) (*sqlite.Conn, error) {
	if err := register(); err != nil {
		return nil, err
	}
	conn, err := sqlite.OpenConn(address(path), sqlite.OpenReadWrite, sqlite.OpenURI)
	if err != nil {
		return nil, err
	}
	*conns = append(*conns, conn)
	conn.SetBusyTimeout(lockWait)
	for _, pragma := range append(pragmas, "foreign_keys = ON", "cache_size = -1024", "temp_store = MEMORY") {
		if err := patiently(ctx, func() error {
			return sqlitex.ExecuteTransient(conn, "PRAGMA "+pragma, nil)
		}); err != nil {
			return nil, fmt.Errorf("%s: %w", pragma, err)
		}
	}
	return conn, nil
}

// patiently repeats f while another process has the file locked. SQLite gives up
// at once where two that wait could wait for each other, as when both of them
// switch a new file to write-ahead logging.
func patiently(ctx context.Context, f func() error) error {
	for end := time.Now().Add(lockWait); ; {
		err := f()
		if sqlite.ErrCode(err).ToPrimary() != sqlite.ResultBusy || time.Now().After(end) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lockRetry):
		}
	}
}

func prepare(conn *sqlite.Conn, queries map[**sqlite.Stmt]string) error {
	for at, query := range queries {
		q, err := conn.Prepare(query)
		if err != nil {
			return err
		}
		*at = q
	}
	return nil
}

// run steps a statement that returns no rows.
func run(q *sqlite.Stmt) (err error) {
	defer reset(q, &err)
	_, err = q.Step()
	return err
}

// reset makes a statement ready for its next use.
func reset(q *sqlite.Stmt, err *error) {
	if resetErr := q.Reset(); *err == nil {
		*err = resetErr
	}
}

func closeAll(conns []*sqlite.Conn) error {
	var errs []error
	for _, c := range conns {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}
