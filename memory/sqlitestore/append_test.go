package sqlitestore

import (
	"path/filepath"
	"testing"
	"time"

	"mnemo/memory"
)

func TestAppend_takes_no_message_for_the_turn_that_it_looks_for(t *testing.T) {
	s := opened(t, Options{Path: filepath.Join(t.TempDir(), "a.db")})
	defer s.Close()
	lost := exchange(t, "lost")
	lost.ID, lost.Redelivered = memory.NewTurnID(), true
	hostile := exchange(t, "x")
	for _, raw := range []string{
		`{"role":"user","id":"` + lost.ID + `","content":"x"}`,
		`{"role":"user","content":"{\"v\":1,\"id\":\"` + lost.ID + `\"}"}`,
	} {
		m, err := memory.ParseMessage(raw)
		if err != nil {
			t.Fatal(err)
		}
		hostile.Messages = append(hostile.Messages, m)
	}
	for want, turn := range []memory.Turn{hostile, lost, lost, hostile, lost} {
		seq, err := s.Append(t.Context(), key, turn)
		if err != nil || seq != []int64{1, 2, 2, 3, 2}[want] {
			t.Fatalf("append %d: seq %d, %v", want, seq, err)
		}
	}
}

func TestAppend_writes_the_lists_only_when_time_has_passed(t *testing.T) {
	s := opened(t, Options{Path: filepath.Join(t.TempDir(), "a.db")})
	defer s.Close()
	const slack = time.Duration(relisting) * time.Millisecond
	began := time.UnixMilli(1_700_000_000_000)
	for i, step := range []struct{ at, listed time.Duration }{
		{0, 0}, {time.Minute, 0}, {slack - time.Millisecond, 0}, {slack, slack},
		{slack - time.Minute, slack - time.Minute}, {slack, slack - time.Minute}, {3 * slack, 3 * slack},
	} {
		turn := exchange(t, "x")
		turn.At = began.Add(step.at)
		if _, err := s.Append(t.Context(), key, turn); err != nil {
			t.Fatal(err)
		}
		updated, listed := int64(number(t, s, "SELECT updated_at FROM sessions")), int64(number(t, s, "SELECT listed_at FROM sessions"))
		if updated != turn.At.UnixMilli() || listed != began.Add(step.listed).UnixMilli() {
			t.Fatalf("step %d: updated at %d, listed at %d, want %+v", i, updated, listed, step)
		}
	}
}

func TestAppend_leaves_all_as_it_was_if_a_superseded_turn_is_damaged(t *testing.T) {
	s := opened(t, Options{Path: filepath.Join(t.TempDir(), "a.db")})
	defer s.Close()
	for range 3 {
		if _, err := s.Append(t.Context(), key, exchange(t, "x")); err != nil {
			t.Fatal(err)
		}
	}
	before, err := s.Info(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if n := number(t, s, `UPDATE turns SET turn = '{"v":99}' WHERE seq = 2`); n != 0 {
		t.Fatal(n)
	}
	edit := exchange(t, "y")
	edit.Supersedes, edit.System = memory.Span{First: 1, Last: 3}, `["new"]`
	if seq, err := s.Append(t.Context(), key, edit); err == nil || seq != 0 {
		t.Fatalf("seq %d, %v", seq, err)
	}
	if after, err := s.Info(t.Context(), key); err != nil || after != before {
		t.Fatalf("%+v of %+v, %v", after, before, err)
	}
	if n := number(t, s, `SELECT count(*) FROM superseded`); n != 0 {
		t.Fatalf("%d turns are superseded", n)
	}
}
