package main

import (
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What the page says that a configuration ends with is what comes of it.
func TestCheckLive_prints_what_the_page_says(t *testing.T) {
	page := content(t, filepath.Join(repository, "docs", "configuration.md"))
	_, section, _ := strings.Cut(page, "### Trying the upstreams")
	blocks := regexp.MustCompile("(?s)```(?:yaml|text)\n(.*?)```").FindAllStringSubmatch(section, 2)
	if len(blocks) != 2 {
		t.Fatal("the page has no example")
	}
	settings := strings.NewReplacer(
		"https://api.openai.com", modelServer(t).URL,
		"127.0.0.1:8000", closedAddress(t),
	).Replace(blocks[0][1])
	file(t, "mnemo.yaml", settings)
	code, out, errs := start(t, []string{"OPENAI_KEY_A=sk-good", "OPENAI_KEY_B=sk-429", "OPENAI_KEY_OLD=sk-401"}, "check", "--live")
	if _, out, _ = strings.Cut(out, "\n\n"); code != exitFailed || !strings.HasSuffix(timeless(out), timeless(blocks[1][1])) {
		t.Errorf("the page says\n%s\nexits with %d, prints\n%s", blocks[1][1], code, out)
	}
	if said := strings.TrimSpace(strings.TrimPrefix(errs, "mnemo: ")); !strings.Contains(section, "`"+said+"`") {
		t.Errorf("the page does not say %q", said)
	}
	if !strings.Contains(section, "`"+http.MethodGet+" /models`") {
		t.Error("the page does not say what is asked")
	}
}

// timeless is a table without its latencies and the width of its columns.
func timeless(table string) string {
	table = regexp.MustCompile(`\d+ ms`).ReplaceAllString(table, "… ms")
	return regexp.MustCompile(` +`).ReplaceAllString(table, " ")
}
