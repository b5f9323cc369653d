// Package storetest is what every memory.Store must pass. A store's package
// calls Main from its TestMain and Run from a test.
package storetest

import (
	"context"
	"testing"
	"time"

	"mnemo/memory"
)

// Options of a handle under test.
type Options struct {
	TTL             time.Duration // 0: sessions never expire
	MaxSessionBytes int64         // 0: the store's default
}

// A Backend is one place that is empty when a test starts and that any number
// of handles, in any number of processes, can open at once.
type Backend struct {
	// URL is what the function given to Main opens in another process.
	URL string

	// Open opens one more handle with a cache of its own, as another process
	// would. The suite closes it.
	Open func(t *testing.T, opts Options) memory.Store

	// Advance lets time pass for the backend and all its handles. If it is nil,
	// expiry is not tested here.
	Advance func(d time.Duration)
}

// Run runs the suite; create makes a Backend for each test in it.
func Run(t *testing.T, create func(t *testing.T) Backend) {
	for _, tt := range []struct {
		name string
		test func(t *testing.T, b Backend)
	}{
		{"an unknown session is empty", unknownIsEmpty},
		{"a turn comes back byte for byte", roundTrip},
		{"a load returns what is needed and no more than the log", needs},
		{"a load costs the same in a short and in a long log", loadCost},
		{"totals are over the whole log", totals},
		{"the latest instructions are kept", latestSystem},
		{"turns are paged from the end", paging},
		{"every handle sees an append at once", readYourWrite},
		{"concurrent turns are all kept, in order and whole", concurrentAppends},
		{"a full session refuses a turn and stays as it was", sessionLimit},
		{"a cancelled context stores nothing", cancelled},
		{"cancelling at any moment leaves whole turns", cancelledMidway},
		{"close waits for pending appends", closeWaits},
		{"a reopened store has everything", reopen},
		{"delete forgets at once and for all handles", deleteForgets},
		{"deletes and appends of one session do not mix lives", deleteRaces},
		{"tenants and hostile keys are apart", keysApart},
		{"a bad key is an error of every method", badKeys},
		{"sessions expire and each turn refreshes them", expiry},
		{"processes append to one session together", processes},
		{"an acknowledged turn survives kill -9", killed},
		{"superseded turns are paged, marked, and not loaded", supersededPaged},
		{"totals are over live turns, bytes and costs over all", liveTotals},
		{"an edit supersedes concurrent edits of its span, no ordinary turn", concurrentEdits},
		{"a warm cache sees an edit at once", editInvalidates},
		{"a span of turns that are not there supersedes none", spanOfNothing},
		{"a load skips superseded turns, however many", skipsSuperseded},
		{"the latest persona and instructions outlive edits", latestPersona},
		{"a redelivered turn is stored once", redelivered},
		{"the newest live turn is found by its links", findNewest},
		{"a turn is found in a log of thousands", findInLongLog},
		{"a summary comes back as it was and is forgotten", summaryRoundTrip},
		{"a summary replaces only what its maker saw", summaryConflicts},
		{"an edit forgets the summary that covers its span", editForgetsSummary},
		{"summaries, edits and turns race and the totals hold", branchRaces},
		{"one holder at a time has the lease", leaseExclusive},
		{"a lease ends with time", leaseExpires},
		{"a session is described", infoDescribes},
		{"sessions are listed by activity, each once", listWalk},
		{"sessions are searched in title and id", listSearch},
		{"expired sessions are not listed", listExpired},
		{"a snapshot comes back whole", importRoundTrip},
		{"an import never replaces a session", importExists},
		{"an imported session goes on", importGoesOn},
		{"an empty session can be imported", importEmpty},
		{"a session is deleted at the turn that was seen", deleteAt},
		{"nothing is left of a deleted session", deletedIsGone},
		{"a bad key is an error of every further method", badKeysOfAll},
		{"a cancelled context changes nothing", cancelledAll},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.test(t, create(t)) })
	}
}

// Private

// everything is a need that no log here meets.
var everything = memory.Need{Tokens: 1 << 40, Groups: 1 << 40, Messages: 1 << 40}

var key = memory.Key{Tenant: "tenant", Session: "session"}

// open opens a handle that is closed with the test.
func (b Backend) open(t *testing.T, opts Options) memory.Store {
	t.Helper()
	s := b.Open(t, opts)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

// deadline bounds a test that waits for a store.
func deadline(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}
