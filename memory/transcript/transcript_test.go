package transcript

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"mnemo/memory"
	"mnemo/memory/sqlitestore"
)

var begun = time.Date(2026, 3, 1, 9, 30, 0, 123_000_000, time.UTC)

// told is a session of the turns, each of them given as its messages.
func told(t *testing.T, turns ...[]string) *Document {
	t.Helper()
	doc := &Document{ID: "trip", Snapshot: memory.Snapshot{Title: "Trip", Created: begun, Updated: begun.Add(time.Hour)}}
	for i, messages := range turns {
		turn := memory.Turn{Seq: int64(i + 1), ID: fmt.Sprintf("turn-%d", i+1), At: begun.Add(time.Duration(i) * time.Minute), Model: "gpt-4o-mini"}
		for _, raw := range messages {
			turn.Messages = append(turn.Messages, parsed(t, raw))
		}
		doc.Turns = append(doc.Turns, turn)
	}
	if err := doc.Settle(); err != nil {
		t.Fatal(err)
	}
	return doc
}

func parsed(t *testing.T, raw string) memory.Message {
	t.Helper()
	m, err := memory.ParseMessage(raw)
	if err != nil {
		t.Fatalf("%q: %v", raw, err)
	}
	m.Tokens = len(raw) / 4
	return m
}

func infoOf(d *Document) *memory.Info {
	return &memory.Info{
		Key: memory.Key{Tenant: "tenant", Session: d.ID}, Title: d.Title, Created: d.Created, Updated: d.Updated,
		Seq: int64(len(d.Turns)), System: d.System, Persona: d.Persona, Summary: d.Summary,
	}
}

func all(turns []memory.Turn) iter.Seq2[*memory.Turn, error] {
	return func(yield func(*memory.Turn, error) bool) {
		for i := range turns {
			if !yield(&turns[i], nil) {
				return
			}
		}
	}
}

func written(t *testing.T, f Format, d *Document, o Options) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, f, infoOf(d), all(d.Turns), o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// regenerated is a session whose second answer was regenerated.
func regenerated(t *testing.T) *Document {
	doc := told(t,
		[]string{`{"role":"user","content":"one"}`, `{"role":"assistant","content":"1"}`},
		[]string{`{"role":"user","content":"two"}`, `{"role":"assistant","content":"bad"}`},
		[]string{`{"role":"user","content":"two"}`, `{"role":"assistant","content":"2"}`})
	doc.Turns[2].Supersedes = memory.Span{First: 2, Last: 2}
	if err := doc.Settle(); err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestWrite_leaves_superseded_turns_out_of_what_people_read_unless_asked(t *testing.T) {
	doc := regenerated(t)
	for _, f := range []Format{Markdown, Text, CSV} {
		if out := written(t, f, doc, Options{}); strings.Contains(out, "bad") {
			t.Errorf("%s has the superseded turn:\n%s", f, out)
		}
		out := written(t, f, doc, Options{Superseded: true})
		if !strings.Contains(out, "bad") {
			t.Errorf("%s lacks the superseded turn:\n%s", f, out)
		}
	}
	for _, f := range []Format{JSON, JSONL} {
		if out := written(t, f, doc, Options{}); !strings.Contains(out, `"superseded_by":3`) {
			t.Errorf("%s lacks the superseded turn:\n%s", f, out)
		}
	}
}

func TestWrite_is_the_session_as_it_was_when_it_began(t *testing.T) {
	doc := regenerated(t)
	info := infoOf(doc)
	info.Seq = 2 // the third turn came later, and superseded the second
	var b bytes.Buffer
	if err := Write(&b, JSONL, info, all(doc.Turns[:2]), Options{}); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), "superseded_by") {
		t.Errorf("a later turn shows:\n%s", b.String())
	}
}

func TestWrite_refuses_a_log_that_is_not_whole(t *testing.T) {
	doc := regenerated(t)
	broken := errors.New("the store is gone")
	for name, turns := range map[string]iter.Seq2[*memory.Turn, error]{
		"stands at place": all(doc.Turns[1:]),
		"2 turns of 3":    all(doc.Turns[:2]),
		"the store is gone": func(yield func(*memory.Turn, error) bool) {
			yield(nil, broken)
		},
	} {
		for _, f := range []Format{JSON, JSONL, Markdown, Text, CSV} {
			err := Write(&bytes.Buffer{}, f, infoOf(doc), turns, Options{})
			if err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%s: %v, want %q", f, err, name)
			}
		}
	}
	if err := Write(&bytes.Buffer{}, "pdf", infoOf(doc), all(doc.Turns), Options{}); err == nil {
		t.Error("an unknown format was written")
	}
}

func TestWrite_holds_one_turn_at_a_time(t *testing.T) {
	const size, count = 32 << 10, 2048 // 64 MiB
	turn := told(t, []string{`{"role":"user","content":"` + strings.Repeat("x", size) + `"}`}).Turns[0]
	turns := func(yield func(*memory.Turn, error) bool) {
		for seq := int64(1); seq <= count; seq++ {
			turn.Seq = seq
			if !yield(&turn, nil) {
				return
			}
		}
	}
	info := &memory.Info{Key: memory.Key{Session: "long"}, Seq: count}
	for _, f := range []Format{JSON, JSONL} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		var n counter
		if err := Write(&n, f, info, turns, Options{}); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		if taken := after.TotalAlloc - before.TotalAlloc; n < size*count || taken > 4<<20 {
			t.Errorf("%s: %d bytes were written with %d bytes of memory", f, n, taken)
		}
	}
}

type counter int

func (n *counter) Write(p []byte) (int, error) {
	*n += counter(len(p))
	return len(p), nil
}

func TestPages_reads_a_log_of_any_length_in_order(t *testing.T) {
	ctx := context.Background()
	store, err := sqlitestore.Open(ctx, sqlitestore.Options{Path: filepath.Join(t.TempDir(), "m.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	key := memory.Key{Tenant: "tenant", Session: "trip"}
	const count = 2*pageSize + 7
	for i := range count {
		turn := told(t, []string{fmt.Sprintf(`{"role":"user","content":"%d"}`, i+1)}).Turns[0]
		turn.ID = memory.NewTurnID()
		if _, err := store.Append(ctx, key, turn); err != nil {
			t.Fatal(err)
		}
	}
	for _, last := range []int64{0, 1, pageSize - 1, pageSize, pageSize + 1, count} {
		seq := int64(0)
		for turn, err := range Pages(ctx, store, key, last) {
			if err != nil {
				t.Fatal(err)
			}
			if seq++; turn.Seq != seq {
				t.Fatalf("turn %d stands at place %d", turn.Seq, seq)
			}
		}
		if seq != last {
			t.Errorf("%d turns of %d", seq, last)
		}
	}
	for _, err = range Pages(ctx, store, key, count+1) {
		if err != nil {
			break
		}
	}
	if !errors.Is(err, memory.ErrConflict) {
		t.Errorf("a log that became shorter: %v", err)
	}
}

func TestParseFormat_knows_five(t *testing.T) {
	for _, name := range []string{"json", "jsonl", "md", "txt", "csv"} {
		if f, err := ParseFormat(name); err != nil || f.MediaType() == "" || f.Exact() != strings.HasPrefix(name, "json") {
			t.Errorf("%s: %v, %s", name, err, f.MediaType())
		}
	}
	for _, name := range []string{"", "JSON", "xml"} {
		if _, err := ParseFormat(name); err == nil {
			t.Errorf("%q is a format", name)
		}
	}
}
