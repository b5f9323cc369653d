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

// pattern is a text in which an ellipsis stands for anything.
func pattern(text string) *regexp.Regexp {
	return regexp.MustCompile("(?s)^" + strings.ReplaceAll(regexp.QuoteMeta(text), "…", ".*?") + "$")
}
