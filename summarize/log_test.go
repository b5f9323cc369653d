package summarize

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"mnemo/memory"
	"mnemo/memory/sqlitestore"
)

var key = memory.Key{Tenant: "tenant", Session: "session"}

// A log is a session in a real store.
type log struct {
	t     *testing.T
	store *sqlitestore.Store
	key   memory.Key
	turns int
}

func newLog(t *testing.T) *log {
	return &log{t: t, store: opened(t, filepath.Join(t.TempDir(), "m.db")), key: key}
}

func opened(t *testing.T, path string) *sqlitestore.Store {
	t.Helper()
	store, err := sqlitestore.Open(context.Background(), sqlitestore.Options{Path: path, Relaxed: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return store
}

// add appends a turn.
func (l *log) add(messages ...memory.Message) int64 { return l.replace(memory.Span{}, messages...) }

// replace appends a turn that supersedes others.
func (l *log) replace(span memory.Span, messages ...memory.Message) int64 {
	l.t.Helper()
	l.turns++
	seq, err := l.store.Append(context.Background(), l.key, memory.Turn{ID: memory.NewTurnID(), Messages: messages, Supersedes: span})
	if err != nil {
		l.t.Fatal(err)
	}
	return seq
}

// talk appends so many turns, each with an identifier and some filling.
func (l *log) talk(n int) {
	l.t.Helper()
	for range n {
		id := fmt.Sprintf("ITEM-%d", 1000+l.turns)
		l.add(user("Please note "+id+" for me, it is one of the things that I will ask you about again at some later time."),
			assistant("I have noted "+id+" and will remember it until you tell me that it is no longer needed, of course."))
	}
}

func (l *log) summary() *memory.Summary {
	l.t.Helper()
	session, err := l.store.Load(context.Background(), l.key, memory.Need{})
	if err != nil {
		l.t.Fatal(err)
	}
	return session.Summary
}

// check verifies that the log has all its turns and that the summary covers exactly
// what it says.
func (l *log) check() *memory.Snapshot {
	l.t.Helper()
	s := &memory.Snapshot{Summary: l.summary()}
	for before := int64(0); ; before = s.Turns[0].Seq {
		page, err := l.store.Turns(context.Background(), l.key, before, 50)
		if err != nil {
			l.t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		s.Turns = append(page, s.Turns...)
	}
	if len(s.Turns) != l.turns {
		l.t.Fatalf("%d turns in the log, %d were added", len(s.Turns), l.turns)
	}
	if err := s.Settle(); err != nil {
		l.t.Fatal(err)
	}
	if s.Summary != nil && s.Summary.Tokens != count(counter, s.Summary.Block()) {
		l.t.Fatalf("the summary says it has %d tokens", s.Summary.Tokens)
	}
	return s
}

// job asks for a summary of the turns up to one.
func (l *log) job(upTo int64, c Completer) Job {
	return Job{Key: l.key, Model: "gpt-4o", Target: memory.Position{UpTo: upTo}, Completer: c, Counter: counter}
}

// A completer answers as a function does that is given what the model is shown.
type completer func(ctx context.Context, record, transcript string) (Completion, error)

func (c completer) Complete(ctx context.Context, _ string, messages []memory.Message, _ int) (Completion, error) {
	record, transcript := quoted(messages)
	return c(ctx, record, transcript)
}

// quoted is what a model is shown between the tags.
func quoted(messages []memory.Message) (record, transcript string) {
	before, last, _ := strings.Cut(gjson.Get(messages[1].Raw, "content").String(), "The turns")
	inside := func(text string) string {
		_, text, _ = strings.Cut(text, "<quoted>\n")
		text, _, _ = strings.Cut(text, "\n</quoted>")
		return text
	}
	if strings.HasPrefix(before, "There is no record") {
		return "", inside(last)
	}
	return inside(before), inside(last)
}

var items = regexp.MustCompile(`ITEM-\d+`)

// extract is a model that keeps all identifiers.
func extract(_ context.Context, record, transcript string) (Completion, error) {
	seen := make(map[string]bool)
	var b strings.Builder
	b.WriteString("The user wants these things to be remembered:")
	for _, item := range items.FindAllString(record+transcript, -1) {
		if !seen[item] {
			seen[item] = true
			b.WriteString(" " + item)
		}
	}
	return Completion{Text: b.String(), Finish: "stop", Model: "gpt-4o-2024"}, nil
}

// started is a Summarizer that is closed with the test.
func started(t *testing.T, opts Options) *Summarizer {
	t.Helper()
	s := New(opts)
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}
