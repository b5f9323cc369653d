package pgstore

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"mnemo/memory"
)

// Private

// Whether doing something again is the same as doing it once.
const (
	repeatable = true
	once       = false
)

// The conditions of PostgreSQL that are told apart, by their SQLSTATE.
const (
	uniqueViolation = "23505"
	undefinedSchema = "3F000"
	serialization   = "40001"
	deadlock        = "40P01"
	undefinedTable  = "42P01"
	tooMany         = "53300" // connections
	adminShutdown   = "57P01"
	crashShutdown   = "57P02"
	cannotConnect   = "57P03" // now
)

// use has f use the pool. If its connection broke, as all do when the server is
// restarted, f is called again with new ones, unless it may have done what must
// not be done again.
func (s *Store) use(ctx context.Context, operation string, again bool, f func(ctx context.Context, again bool) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return ErrClosed
	}
	bounded, cancel := context.WithTimeout(ctx, s.opts.Timeout)
	defer cancel()
	err := f(bounded, false)
	if err != nil && (undone(err) || again && broken(err)) {
		if !conflicting(err) {
			s.pool.Reset()
		}
		err = f(bounded, true)
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case known(err):
		return fmt.Errorf("%s: %w", operation, err)
	}
	return s.failed(operation, err)
}

// enter checks a key, then is use.
func (s *Store) enter(ctx context.Context, key memory.Key, operation string, again bool, f func(ctx context.Context, again bool) error) error {
	if err := key.Check(); err != nil {
		return err
	}
	return s.use(ctx, operation, again, f)
}

// known reports whether an error is about the session, not about PostgreSQL.
func known(err error) bool {
	return errors.Is(err, memory.ErrSessionFull) || errors.Is(err, memory.ErrNotFound) ||
		errors.Is(err, memory.ErrExists) || errors.Is(err, memory.ErrConflict)
}

// undone reports whether an error says that nothing was done and trying again may help.
func undone(err error) bool { return conflicting(err) || pgconn.SafeToRetry(err) }

// conflicting reports whether PostgreSQL undid something for the sake of something else.
func conflicting(err error) bool {
	code := codeOf(err)
	return code == serialization || code == deadlock
}

// broken reports whether a connection that was good is no longer.
func broken(err error) bool {
	var dial *pgconn.ConnectError
	if errors.As(err, &dial) { // the server is not there
		return false
	}
	if code := codeOf(err); code != "" {
		return stopping(code)
	}
	var network *net.OpError
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &network) && !network.Timeout()
}

// refused reports whether an error of connecting will not pass with time: the
// server answers, but it or its certificate is not the right one.
func refused(err error, encrypted bool) bool {
	if code := codeOf(err); code != "" {
		return !stopping(code) && code != tooMany
	}
	var unverified *tls.CertificateVerificationError
	var unknown x509.UnknownAuthorityError
	var other x509.HostnameError
	return errors.Is(err, ErrNewer) || errors.As(err, &unverified) || errors.As(err, &unknown) || errors.As(err, &other) ||
		encrypted && strings.Contains(err.Error(), "server refused TLS connection") // pgx has no value for it
}

// stopping reports whether the server is ending or beginning.
func stopping(code string) bool {
	return slices.Contains([]string{adminShutdown, crashShutdown, cannotConnect}, code)
}

// codeOf is the SQLSTATE of an error that PostgreSQL answered with, or "".
func codeOf(err error) string {
	var answer *pgconn.PgError
	if errors.As(err, &answer) {
		return answer.Code
	}
	return ""
}
