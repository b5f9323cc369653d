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
	tests := []struct {
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
	}
	for _, tt := range tests {
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
