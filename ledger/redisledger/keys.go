package redisledger

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"

	"mnemo/ledger"
)

const (
	hour = 3_600_000 // milliseconds
	day  = 24 * hour
)

// Private

// keys are those of a tenant, all on one node of a cluster. What a client chose is
// hashed, so that it cannot choose the node.
type keys struct {
	tenant string
	base   string
}

func (s *Store) keys(tenant string) keys {
	sum := sha256.Sum256([]byte(tenant))
	return keys{tenant, s.prefix + ":ledger:{" + hex.EncodeToString(sum[:16]) + "}:"}
}

// tenants is the set of tenants that have calls.
func (s *Store) tenants() string { return s.prefix + ":ledger:tenants" }

func (k keys) hours() string  { return k.base + "hours" }
func (k keys) days() string   { return k.base + "days" }
func (k keys) rolled() string { return k.base + "rolled" }

func (k keys) ofDay(d int64) string { return k.base + "day:" + strconv.FormatInt(d, 10) }
func (k keys) ofHour(what string, h int64) string {
	return k.base + what + ":" + strconv.FormatInt(h, 10)
}

func (k keys) sums(h int64) string     { return k.ofHour("sums", h) }
func (k keys) rows(h int64) string     { return k.ofHour("rows", h) }
func (k keys) entries(h int64) string  { return k.ofHour("entries", h) }
func (k keys) sessions(h int64) string { return k.ofHour("sessions", h) }
func (k keys) ids(h int64) string      { return k.ofHour("ids", h) }

func hourOf(e *ledger.Entry) int64 { return e.Time.UnixMilli() / hour }
