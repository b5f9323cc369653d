package pgledger

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// ErrNewer means that a newer version of the program wrote the tables.
var ErrNewer = errors.New("the ledger's tables were written by a newer version of this program")

// Private

// migrations brings the tables forward, file by file in the order of their numbers;
// ledger_migrations has those that are done. They are never changed, only added to.
//
//go:embed migrations/*.sql
var migrations embed.FS

// in is a statement's text with the tables of a schema. In all texts they are those
// of mnemo.
func in(schema, text string) string {
	return strings.ReplaceAll(text, "mnemo.", pgx.Identifier{schema}.Sanitize()+".")
}

// migrate brings the tables to the newest version. Many may try at once. A role that
// may not create anything can use tables that are there.
func migrate(ctx context.Context, conn *pgx.Conn, schema string) error {
	files, err := migrations.ReadDir("migrations")
	if err != nil {
		return err
	}
	version, err := versionOf(ctx, conn, schema)
	if err != nil {
		return fmt.Errorf("read the version of the ledger in schema %s: %w", schema, err)
	}
	if version == len(files) {
		return nil
	}
	if version > len(files) {
		return fmt.Errorf("%w: they are %d, this one knows %d", ErrNewer, version, len(files))
	}
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if err := makeRoom(ctx, tx, schema); err != nil {
			return fmt.Errorf("create schema %s: %w", schema, err)
		}
		version, err := versionOf(ctx, tx, schema)
		if err != nil {
			return err
		}
		for i, file := range files[min(version, len(files)):] {
			script, err := migrations.ReadFile("migrations/" + file.Name())
			if err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, in(schema, string(script))); err != nil {
				return fmt.Errorf("migrate the ledger in schema %s with %s: %w", schema, file.Name(), err)
			}
			if _, err := tx.Exec(ctx, in(schema, `INSERT INTO mnemo.ledger_migrations VALUES ($1)`), version+i+1); err != nil {
				return err
			}
		}
		return nil
	})
}

// makeRoom waits until nobody else migrates, of the sessions' tables neither, and
// makes what migrating needs.
func makeRoom(ctx context.Context, tx pgx.Tx, schema string) error {
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended($1, 0))`, "mnemo migrates "+schema); err != nil {
		return err
	}
	var exists bool
	if err := tx.QueryRow(ctx, `SELECT to_regnamespace($1) IS NOT NULL`, pgx.Identifier{schema}.Sanitize()).Scan(&exists); err != nil {
		return err
	}
	if !exists { // not IF NOT EXISTS, for which one must be allowed to create it
		if _, err := tx.Exec(ctx, `CREATE SCHEMA `+pgx.Identifier{schema}.Sanitize()); err != nil {
			return err
		}
	}
	_, err := tx.Exec(ctx, in(schema, `CREATE TABLE IF NOT EXISTS mnemo.ledger_migrations (version bigint PRIMARY KEY, done_at timestamptz NOT NULL DEFAULT now())`))
	return err
}

// versionOf is the number of migrations that are done.
func versionOf(ctx context.Context, conn interface {
	QueryRow(ctx context.Context, query string, args ...any) pgx.Row
}, schema string) (version int, err error) {
	err = conn.QueryRow(ctx, in(schema, `SELECT coalesce(max(version), 0) FROM mnemo.ledger_migrations`)).Scan(&version)
	if code := codeOf(err); code == undefinedTable || code == undefinedSchema {
		return 0, nil
	}
	return version, err
}
