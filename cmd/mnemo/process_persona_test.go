package main

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/tidwall/gjson"
)

func TestMnemo_keeps_a_persona_until_another_is_named(t *testing.T) {
	up := newFakeModel(t)
	o := sqliteBackend(t).setup(up)
	o.file += "personas:\n" +
		"  teacher: {prompt: \"You teach {subject} in {language}.\", vars: {language: English}}\n" +
		"  pirate: {prompt: \"You are a pirate.\"}\n"
	m := serve(t, o)
	for _, c := range []struct {
		persona, vars, system string
		want                  []string // the system messages that go up
	}{
		{"", "", "", nil},
		{"teacher", "subject=maths%20%26%20art", "", []string{"You teach maths & art in English."}},
		{"", "", "", []string{"You teach maths & art in English."}},
		{"", "", "Be brief.", []string{"You teach maths & art in English.", "Be brief."}},
		{"teacher", "subject=history&language=日本語", "", []string{"You teach history in 日本語.", "Be brief."}},
		{"pirate", "", "", []string{"You are a pirate.", "Be brief."}},
		{"none", "", "", []string{"Be brief."}},
		{"", "", "", []string{"Be brief."}},
	} {
		a := personate(t, m, "s", c.persona, c.vars, c.system)
		var sent []string
		for _, text := range gjson.Get(up.last().body, `messages.#(role=="system")#.content`).Array() {
			sent = append(sent, text.String())
		}
		if a.status != http.StatusOK || !slices.Equal(sent, c.want) {
			t.Errorf("%+v: %d %s, sent %q", c, a.status, a.body, sent)
		}
	}
	calls := len(up.all())
	for _, c := range []struct {
		persona, vars, code string
		says                []string
	}{
		{"sailor", "", "unknown_persona", []string{"sailor", "pirate", "teacher"}},
		{"teacher", "", "missing_persona_variable", []string{"subject"}},
		{"teacher", "subject=x&mood=y", "unknown_persona_variable", []string{"mood", "subject", "language"}},
		{"teacher", "%zz", "invalid_header", nil},
		{"", "subject=x", "invalid_header", nil},
	} {
		a := personate(t, m, "s", c.persona, c.vars, "")
		said := gjson.Get(a.body, "error.message").String()
		if a.status != http.StatusBadRequest || gjson.Get(a.body, "error.code").String() != c.code {
			t.Errorf("%+v: %d %s", c, a.status, a.body)
		}
		for _, part := range c.says {
			if !strings.Contains(said, part) {
				t.Errorf("%+v: %q does not name %s", c, said, part)
			}
		}
	}
	if more := len(up.all()) - calls; more != 0 {
		t.Errorf("%d calls that were refused went upstream", more)
	}
}

// However the file is changed, the next call has the new persona, in sessions that
// began before, too.
func TestMnemo_takes_changed_personas_over_while_it_runs(t *testing.T) {
	up := newFakeModel(t)
	o := sqliteBackend(t).setup(up)
	o.dir = t.TempDir()
	path, elsewhere := filepath.Join(o.dir, "mnemo.yaml"), filepath.Join(t.TempDir(), "there.yaml")
	config := func(prompt string) string { return o.file + "personas: {p: {prompt: \"" + prompt + "\"}}\n" }
	write := func(name, text string) {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(path, config("One."))
	file := o.file
	o.file = ""
	m := serve(t, o)
	o.file = file
	personate(t, m, "s", "p", "", "")
	reloads := 0
	for _, c := range []struct {
		way, prompt string
		change      func(text string) error
	}{
		{"it is written", "Two.", func(text string) error { write(path, text); return nil }},
		{"another is renamed over it", "Three.", func(text string) error { write(path+".new", text); return os.Rename(path+".new", path) }},
		{"it becomes a link", "Four.", func(text string) error {
			write(elsewhere, text)
			return errors.Join(os.Symlink(elsewhere, path+".link"), os.Rename(path+".link", path))
		}},
		{"SIGHUP says so, of a file elsewhere", "Five.", func(text string) error {
			write(elsewhere, text)
			return m.cmd.Process.Signal(syscall.SIGHUP)
		}},
	} {
		if err := c.change(config(c.prompt)); err != nil {
			t.Fatal(err)
		}
		reloads++
		m.log.waitAll(t, `"msg":"configuration reloaded"`, reloads)
		personate(t, m, "s", "", "", "")
		if got := gjson.Get(up.last().body, "messages.0.content").String(); got != c.prompt {
			t.Errorf("when %s the persona is %q, want %q", c.way, got, c.prompt)
		}
	}
	write(elsewhere, strings.Replace(config("Six."), "prompt", "promt", 1))
	if err := m.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if line := m.log.wait(t, "is not taken over"); !strings.Contains(line, "promt") {
		t.Errorf("the log says %s", line)
	}
	personate(t, m, "s", "", "", "")
	if got := gjson.Get(up.last().body, "messages.0.content").String(); got != "Five." {
		t.Errorf("with a broken file the persona is %q", got)
	}
}

// personate makes a call with a persona, if one is named, and instructions of its own.
func personate(t *testing.T, m *mnemo, session, persona, vars, system string) answer {
	t.Helper()
	header := http.Header{}
	if persona != "" {
		header.Set("X-Persona", persona)
	}
	if vars != "" {
		header.Set("X-Persona-Vars", vars)
	}
	messages := message("user", "Hello.")
	if system != "" {
		messages = message("system", system) + "," + messages
	}
	a, err := m.chat(t.Context(), session, `{"model":"gpt-4o","messages":[`+messages+`]}`, header)
	if err != nil {
		t.Fatal(err)
	}
	return a
}
