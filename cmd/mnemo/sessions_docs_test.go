package main

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

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
