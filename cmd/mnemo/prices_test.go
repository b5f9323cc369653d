package main

import (
	"slices"
	"strings"
	"testing"
)

func TestPrices_lists_what_is_known(t *testing.T) {
	t.Chdir(t.TempDir())
	out, errs, err := commandLine{}.run(t.Context(), t, "prices")
	if err != nil || errs != "" {
		t.Fatalf("%v, %s", err, errs)
	}
	if got := row(out, "gpt-4o-mini"); !slices.Equal(got, []string{"gpt-4o-mini", "any", "0.15", "0.075", "0.15", "0.60", "embedded,", "2026-07-24"}) {
		t.Errorf("got %q", got)
	}
	if n := strings.Count(out, "\n"); n < 300 {
		t.Errorf("%d lines", n)
	}
}

func TestPrices_explains_which_entry_applies(t *testing.T) {
	file(t, "ours.csv", "model,input,output,above,as_of\ngpt-4o,2,8,,2026-09-01\ngpt-4o,3,,128000,\n")
	out, _, err := commandLine{}.run(t.Context(), t, "prices", "azure/gpt-4o-2024-11-20", "--file", "ours.csv")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"azure/gpt-4o-2024-11-20 costs what gpt-4o costs at openai: ours.csv:2, 2026-09-01.\n",
		"gpt-4o  any       2.00   2.00    2.00         8.00    ours.csv:2, 2026-09-01\n",
		"gpt-4o  > 128000  3.00   3.00    3.00         8.00    ours.csv:2, 2026-09-01\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	out, _, err = commandLine{}.run(t.Context(), t, "prices", "gpt-4o-mini")
	if err != nil || !strings.Contains(out, "gpt-4o-mini has an entry of its own at openai: embedded, 2026-07-24; prompts of up to 128000 tokens; answers of up to 16384.\n") {
		t.Errorf("%v, %s", err, out)
	}
}

func TestPrices_reads_the_file_of_the_configuration(t *testing.T) {
	file(t, "ours.csv", "model,input,output\nhouse,1,2\n")
	saveFile(t, "mnemo.yaml", "pricing: {file: ours.csv}\n")
	saveFile(t, "other.yaml", "listen: 127.0.0.1:9\n")
	out, _, err := commandLine{}.run(t.Context(), t, "prices", "house")
	if err != nil || !strings.Contains(out, "ours.csv:2") {
		t.Errorf("%v, %s", err, out)
	}
	if out, _, err = (commandLine{}).run(t.Context(), t, "prices", "house", "--config", "other.yaml"); err == nil {
		t.Errorf("another configuration has it too: %s", out)
	}
}

func TestPrices_says_what_is_not_known_or_cannot_be_read(t *testing.T) {
	file(t, "bad.csv", "model,input,output\ngpt-4o,free,1\n")
	saveFile(t, "wrong.yaml", "listne: x\n")
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"gpt-4o-my-thing"}, "the price of gpt-4o-my-thing is not known"},
		{[]string{"a\x1b[31m"}, "the price of a\uFFFD[31m is not known"},
		{[]string{"gpt-4o", "--file", "bad.csv"}, `bad.csv:2: input: "free" is no price`},
		{[]string{"--file", "absent.csv"}, "absent.csv: no such file"},
		{[]string{"--config", "wrong.yaml"}, "listne"},
	} {
		out, _, err := commandLine{}.run(t.Context(), t, append([]string{"prices"}, c.args...)...)
		if out != "" || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, %s", c.args, err, out)
		}
	}
}
