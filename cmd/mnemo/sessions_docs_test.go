package main

import (
	"context"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"mnemo/memory"
)

// TestSessionsDocs runs every command of docs/sessions.md and compares what it
// says, but for what the page leaves open with an ellipsis.
func TestSessionsDocs_are_what_the_program_says(t *testing.T) {
	page := content(t, filepath.Join(repository, "docs", "sessions.md"))
	k := newKeeper(t)
	k.keeps(t, "trip", 2*time.Hour, "My name is Ada.", "Hello Ada!", "What is my name?", "Your name is Ada.")
	k.keeps(t, "kyoto", 3*time.Hour, "京都でお寺を三つ見たい", "清水寺、金閣寺、…")
	k.keeps(t, "support-4711", 40*day, "Where is my parcel?", "On its way.")
	k.rebuild = func(ctx context.Context, key memory.Key) error {
		session, err := k.store.Load(ctx, key, memory.Need{Messages: 10})
		if err != nil {
			return err
		}
		return k.store.Compact(ctx, key, session.Revision, &memory.Summary{Text: "Ada.", Tokens: 7, UpTo: session.Seq, Covered: session.Totals, Model: "m", At: time.Now()})
	}
	t.Chdir(t.TempDir())
	commands := 0
	for _, block := range regexp.MustCompile("(?s)```console\n(.*?)```").FindAllStringSubmatch(page, -1) {
		for _, example := range strings.Split("\n"+block[1], "\n$ mnemo ")[1:] {
			commands++
			line, want, _ := strings.Cut(example, "\n")
			got := k.says(t, strings.Fields(line))
			if !pattern(strings.TrimSuffix(want, "\n")).MatchString(strings.TrimSuffix(got, "\n")) {
				t.Errorf("mnemo %s says\n%s\nthe page says\n%s", line, got, want)
			}
		}
	}
	if commands < 15 {
		t.Errorf("the page has %d commands", commands)
	}
}

func TestSessionsDocs_show_a_file_of_prices_that_can_be_read(t *testing.T) {
	page := content(t, filepath.Join(repository, "docs", "sessions.md"))
	block := regexp.MustCompile("(?s)```csv\n(.*?)```").FindStringSubmatch(page)
	file(t, "ours.csv", block[1])
	table, err := loadPrices("ours.csv")
	if err != nil {
		t.Fatal(err)
	}
	if p, ok := table.Price("house-llama"); !ok || p.Input != 0 || p.Source != "ours.csv:4" {
		t.Errorf("got %+v", p)
	}
	if p, _ := table.Price("gpt-4o"); len(p.Tiers) != 1 {
		t.Errorf("got %+v", p)
	}
}

// says is all that a command says, with file names expanded as a shell does.
func (k *keeper) says(t *testing.T, fields []string) string {
	t.Helper()
	var args []string
	for _, field := range fields {
		if found, err := filepath.Glob(field); err == nil && strings.Contains(field, "*") && len(found) > 0 {
			args = append(args, found...)
			continue
		}
		args = append(args, field)
	}
	l := k.as(adaKey)
	if args[0] != "sessions" {
		l = commandLine{}
	}
	out, errs, err := l.run(t.Context(), t, args...)
	var said strings.Builder
	said.WriteString(out + errs)
	if err != nil {
		complain(&said, err)
	}
	return said.String()
}

// pattern is a text in which an ellipsis stands for anything.
func pattern(text string) *regexp.Regexp {
	return regexp.MustCompile("(?s)^" + strings.ReplaceAll(regexp.QuoteMeta(text), "…", ".*?") + "$")
}
