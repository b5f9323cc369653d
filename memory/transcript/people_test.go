package transcript

import (
	stdcsv "encoding/csv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rivo/uniseg"
	"golang.org/x/text/unicode/bidi"
)

// tongues are texts that are easily broken.
var tongues = []string{
	"京都に行きたいです。\n二行目", "北京欢迎你", "👩‍👩‍👧 🇯🇵 e\u0301 1️⃣", "שלום עולם, abc 123", "مرحبا بالعالم (hello)", "ＡＢＣ",
}

func saying(t *testing.T, text string) *Document {
	return told(t, []string{`{"role":"user","content":` + quoted(text) + `}`, `{"role":"assistant","content":"ok"}`})
}

func quoted(text string) string { return string(appendText(nil, "", text)[len(`,"":`):]) }

func TestText_reads_well(t *testing.T) {
	doc := told(t,
		[]string{`{"role":"user","name":"ada","content":[{"type":"text","text":"What is this?"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}},{"type":"file","file":{"filename":"a.pdf"}}]}`,
			`{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"look","arguments":"{\"at\":1}"}}]}`,
			`{"role":"tool","tool_call_id":"c1","content":"a cat"}`,
			`{"role":"assistant","content":null,"refusal":"I may not say."}`},
		[]string{`{"role":"user","content":"line\n\nassistant:\nforged"}`, `{"role":"assistant","content":"שלום (a)"}`})
	doc.Turns[1].Partial = true
	const want = "Trip\nsession trip · 2026-03-01 09:30:00 UTC to 2026-03-01 10:30:00 UTC\n" + `
#1 · 2026-03-01 09:30:00 UTC · gpt-4o-mini
user (ada):
    What is this?
    [image]
    [file a.pdf]
assistant:
    [calls look {"at":1} as c1]
tool (c1):
    a cat
assistant:
    [refusal] I may not say.

#2 · 2026-03-01 09:31:00 UTC · gpt-4o-mini · partial
user:
    line

    assistant:
    forged
assistant:
` + "    \u2068שלום (a)\u2069\n"
	if got := written(t, Text, doc, Options{}); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestText_keeps_labels_to_the_left_of_any_text(t *testing.T) {
	for _, text := range append(tongues, "\u2069 \u2069 שלום \u2067 open", "\u202e override", "x\u2028assistant:\vassistant:\rassistant:\u0085assistant:") {
		doc := saying(t, text)
		doc.Title, doc.Turns[0].Model = text, text
		out := written(t, Text, doc, Options{})
		for line := range strings.SplitSeq(out, "\n") {
			if strings.HasPrefix(line, "assistant:") && line != "assistant:" || strings.ContainsAny(line, "\r\v\u2028") {
				t.Errorf("%q forges a line:\n%s", text, out)
			}
			if depth(line) != 0 {
				t.Errorf("%q leaves an isolate open: %q", text, line)
			}
			outside(t, line)
		}
		if n := strings.Count(out, "\nassistant:\n"); n != 1 {
			t.Errorf("%q: %d labels", text, n)
		}
	}
}

// depth counts the isolates that a line leaves open.
func depth(line string) (n int) {
	for _, r := range line {
		switch {
		case r >= lri && r <= fsi:
			n++
		case r == pdi:
			n--
		}
	}
	return n
}

// outside checks that nothing outside of isolates turns the line's direction.
func outside(t *testing.T, line string) {
	t.Helper()
	n := 0
	for _, r := range line {
		switch {
		case r >= lri && r <= fsi:
			n++
		case r == pdi:
			n--
		case n == 0:
			p, _ := bidi.LookupRune(r)
			if c := p.Class(); c == bidi.R || c == bidi.AL || c == bidi.AN || c >= bidi.LRO {
				t.Errorf("%q stands outside of an isolate in %q", r, line)
			}
		}
	}
}

func TestMarkdown_lets_no_message_out_of_its_fence(t *testing.T) {
	for _, text := range []string{
		"### assistant\n\nforged", "```\n### assistant\n```", "`````text\n~~~\n", "</code></pre><h1>x</h1>", "a\r### assistant\u2028### assistant",
	} {
		doc := saying(t, text)
		doc.Title = "*a* <b> [c](d) # `e`"
		out := written(t, Markdown, doc, Options{})
		headings, fence := 0, ""
		for line := range strings.SplitSeq(out, "\n") {
			run := line[:len(line)-len(strings.TrimLeft(line, "`"))]
			switch {
			case fence == "" && len(run) >= 3:
				fence = run
			case fence != "" && len(run) >= len(fence) && line == run:
				fence = ""
			case fence == "" && strings.HasPrefix(line, "### "):
				headings++
			}
		}
		if headings != 2 || fence != "" {
			t.Errorf("%q: %d headings:\n%s", text, headings, out)
		}
		if want := "# \\*a\\* \\<b\\> \\[c\\](d) \\# \\`e\\`\n"; !strings.HasPrefix(out, want) {
			t.Errorf("title %q", out[:60])
		}
	}
}

func TestMarkdown_reads_well(t *testing.T) {
	const want = `# Trip

session trip · 2026-03-01 09:30:00 UTC to 2026-03-01 10:30:00 UTC

## 1 · 2026-03-01 09:30:00 UTC · gpt-4o-mini

### user

` + "```text\none\n```" + `

### assistant

` + "```text\n1\n```" + `

## 2 · 2026-03-01 09:31:00 UTC · gpt-4o-mini · superseded by \#3
`
	if got := written(t, Markdown, regenerated(t), Options{Superseded: true}); !strings.HasPrefix(got, want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestCSV_is_read_by_any_reader(t *testing.T) {
	for _, text := range append(tongues, "comma, \"quote\" and\nline", "", "tab\tin it") {
		out := written(t, CSV, saying(t, text), Options{BOM: true})
		body, found := strings.CutPrefix(out, "\ufeff")
		if !found {
			t.Fatalf("no byte order mark: %q", out)
		}
		rows, err := stdcsv.NewReader(strings.NewReader(body)).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		if len(rows) != 3 || rows[1][3] != text {
			t.Errorf("%q became %q", text, rows)
		}
		if got := strings.Join(rows[1][:3], " ") + " " + strings.Join(rows[1][4:], " "); !strings.HasPrefix(got, "1 2026-03-01T09:30:00Z user gpt-4o-mini ") {
			t.Errorf("row %q", got)
		}
		for line := range strings.SplitSeq(strings.TrimSuffix(out, "\r\n"), "\r\n") {
			if strings.Contains(line, "\r") {
				t.Errorf("a row ends in %q", line)
			}
		}
	}
	if out := written(t, CSV, saying(t, "x"), Options{}); !strings.HasPrefix(out, "seq,at,role,text,model,tokens,superseded_by\r\n") {
		t.Errorf("header %q", out)
	}
}

func TestCSV_evaluates_nothing(t *testing.T) {
	for _, text := range []string{"=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1"} {
		doc := saying(t, text)
		doc.Turns[0].Model = text
		rows, err := stdcsv.NewReader(strings.NewReader(written(t, CSV, doc, Options{}))).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		if cell := rows[1][3]; !strings.HasPrefix(cell, "'") {
			t.Errorf("%q is the cell %q", text, cell)
		}
		if cell := rows[1][4]; formula(cell) {
			t.Errorf("the model %q is the cell %q", text, cell)
		}
	}
	for _, text := range []string{"1=1", "'=1", "a", ""} {
		if formula(text) {
			t.Errorf("%q is taken for a formula", text)
		}
	}
}

func TestPeople_see_whole_characters_and_no_control_codes(t *testing.T) {
	for _, text := range append(tongues, "\x1b[2J\a\x00 broken \xff\u009b", "\u007f") {
		for _, f := range []Format{Markdown, Text, CSV} {
			out := written(t, f, saying(t, text), Options{Superseded: true})
			if !utf8.ValidString(out) || strings.ContainsAny(out, "\x1b\x00\a\u009b\u007f") {
				t.Errorf("%s of %q: %q", f, text, out)
			}
		}
	}
	for _, text := range tongues {
		clusters := uniseg.NewGraphemes(strings.ReplaceAll(text, "\n", ""))
		out := written(t, Text, saying(t, text), Options{})
		for clusters.Next() {
			if !strings.Contains(out, clusters.Str()) {
				t.Errorf("%q lost %q", text, clusters.Str())
			}
		}
	}
}

func TestPeople_see_every_kind_of_part(t *testing.T) {
	for raw, want := range map[string]string{
		`{"role":"user","content":[{"type":"input_audio"},{"type":"refusal","refusal":"no"},{"type":"video"},{},"bare",{"type":"file"}]}`: "[audio]\n[refusal] no\n[video]\n[…]\nbare\n[file]",
		`{"role":"assistant","audio":{"transcript":"hi"}}`:                                                    "[audio] hi",
		`{"role":"assistant","function_call":{"name":"f","arguments":"{}"}}`:                                  "[calls f {}]",
		`{"role":"assistant","tool_calls":[{"id":"x","type":"custom","custom":{"name":"sql","input":"go"}}]}`: "[calls sql go as x]",
		`{"role":"assistant","content":{"type":"text","text":"one"},"tool_calls":null}`:                       "one",
		`{"role":"assistant"}`:                           "",
		`{"role":"user","content":"\ud83d lone \u0007"}`: "\ufffd lone \u2407",
	} {
		m := parsed(t, raw)
		if got := words(&m); got != want {
			t.Errorf("%s says %q, want %q", raw, got, want)
		}
	}
}
