package transcript

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"mnemo/memory"
)

func read(t *testing.T, text string) *Document {
	t.Helper()
	doc, err := Read(strings.NewReader(text), 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestRead_takes_messages_in_OpenAIs_form(t *testing.T) {
	const messages = `[
		{"role":"system","content":"Be brief."},
		{"role":"assistant","content":"Hello!"},
		{"role":"user","content":"My name is Ada."},
		{"role":"developer","content":"No emoji."},
		{"role":"assistant","content":null,"tool_calls":[{"id":"c1"}]},
		{"role":"tool","tool_call_id":"c1","content":"{}"},
		{"role":"assistant","content":"Hi Ada."},
		{"role":"user","content":"Bye"}
	]`
	for name, text := range map[string]string{
		"an array": messages, "an object": `{"temperature":1,"messages":` + messages + `,"model":"gpt-4o"}`,
		"with a byte order mark": "\ufeff \n" + messages,
	} {
		doc := read(t, text)
		if want := `[{"role":"system","content":"Be brief."},{"role":"developer","content":"No emoji."}]`; doc.System != want {
			t.Errorf("%s: instructions %s", name, doc.System)
		}
		var shape []string
		for i := range doc.Turns {
			turn := &doc.Turns[i]
			roles := ""
			for j := range turn.Messages {
				roles += turn.Messages[j].Role[:1]
				if turn.Messages[j].Tokens != 0 {
					t.Errorf("%s: a message is counted", name)
				}
			}
			shape = append(shape, roles)
			if len(turn.ID) != 26 {
				t.Errorf("%s: turn id %q", name, turn.ID)
			}
		}
		if got := strings.Join(shape, " "); got != "a uata u" {
			t.Errorf("%s: turns %s", name, got)
		}
		if doc.Title != "My name is Ada." || doc.Totals.Groups != 2 || doc.ID != "" {
			t.Errorf("%s: %q, %+v", name, doc.Title, doc.Totals)
		}
		if model := doc.Turns[0].Model; (name == "an object") != (model == "gpt-4o") {
			t.Errorf("%s: model %q", name, model)
		}
		doc.Date(begun)
		if !doc.Created.Equal(begun) || !doc.Updated.Equal(begun) || !doc.Turns[2].At.Equal(begun) {
			t.Errorf("%s: not dated", name)
		}
	}
}

func TestRead_dates_only_what_has_no_times(t *testing.T) {
	doc := read(t, written(t, JSON, told(t, []string{`{"role":"user","content":"one"}`}), Options{}))
	doc.Date(begun.AddDate(1, 0, 0))
	if !doc.Created.Equal(begun) || !doc.Turns[0].At.Equal(begun) {
		t.Errorf("created %s, said %s", doc.Created, doc.Turns[0].At)
	}
}

func TestRead_names_the_line_and_the_reason(t *testing.T) {
	const head = `{"format":"mnemo.session","version":1,"created":1,"updated":1,"turns":2}` + "\n"
	const turn = `{"seq":1,"at":1,"messages":[{"tokens":1,"message":{"role":"user"}}]}` + "\n"
	tests := map[string]struct {
		text, reason string
		line         int
	}{
		"nothing":               {" \n", "empty", 1},
		"no JSON":               {"hello", "not valid JSON", 1},
		"no JSON further down":  {"[\n{\"role\":\"user\"},\n oops]", "not valid JSON: invalid character 'o'", 3},
		"a number":              {"1", "no session", 1},
		"another object":        {`{"session":1}`, "no session", 1},
		"messages are none":     {`{"messages":[]}`, "no messages", 1},
		"messages no array":     {`{"messages":{}}`, "no session", 1},
		"a message is none":     {"[\n{\"role\":\"user\"},\n7]", "messages[1]: a message must be", 3},
		"a later version":       {strings.Replace(head, `"version":1`, `"version":2`, 1), "version 2", 1},
		"no version":            {strings.Replace(head, `"version":1`, `"v":1`, 1), "version", 1},
		"cut":                   {head + turn, "ends with turn 1 of 2", 3},
		"cut in a line":         {head + turn + turn[:30], "not valid JSON", 3},
		"a turn twice":          {head + turn + turn, "turn 1 stands where turn 2 should", 3},
		"an id twice":           {head + strings.Replace(turn, `"at"`, `"id":"x","at"`, 1) + strings.Replace(turn, `1,"at"`, `2,"id":"x","at"`, 1), "has the id of another", 3},
		"a turn without seq":    {head + `{"at":1}`, "no seq", 2},
		"a turn that is none":   {head + "[]", "a turn is an object", 2},
		"a turn without words":  {head + turn + `{"seq":2,"at":1}`, "turn 2 has no messages", 1},
		"a fraction":            {head + strings.Replace(turn, `"at":1`, `"at":1.5`, 1), "at: a whole number", 2},
		"a time beyond reason":  {head + strings.Replace(turn, `"at":1`, `"at":99999999999999999`, 1), "at: a whole number", 2},
		"a negative count":      {head + strings.Replace(turn, `"tokens":1`, `"tokens":-1`, 1), "messages: a whole number", 2},
		"a system message":      {head + strings.Replace(turn, `"user"`, `"system"`, 1), "no part of a turn", 2},
		"usage that is none":    {head + strings.Replace(turn, `"at"`, `"usage":1,"at"`, 1), "usage: no object", 2},
		"partial that is none":  {head + strings.Replace(turn, `"at"`, `"partial":1,"at"`, 1), "partial: true or false", 2},
		"a span that is none":   {head + strings.Replace(turn, `"at"`, `"supersedes":[1],"at"`, 1), "a first and a last", 2},
		"a span of the future":  {head + strings.Replace(turn, `"at"`, `"supersedes":[1,9],"at"`, 1) + strings.Replace(turn, `1,"at"`, `2,"at"`, 1), "cannot supersede", 1},
		"a text that is none":   {head + strings.Replace(turn, `{"role":"user"}`, `"{oops"`, 1), "not valid JSON", 2},
		"a message of nothing":  {head + strings.Replace(turn, `{"role":"user"}`, `null`, 1), "is expected", 2},
		"base64 that is none":   {head + strings.Replace(turn, `{"role":"user"}`, `"`+dataURL+`!"`, 1), "base64", 2},
		"a bad id":              {strings.Replace(head, `"version"`, `"id":"a b","version"`, 1), "id: invalid session key", 1},
		"instructions by users": {strings.Replace(head, `"version"`, `"system":[{"role":"user"}],"version"`, 1), `role "user" is no instruction`, 1},
		"a summary of another":  {strings.Replace(head, `"version"`, `"summary":{"v":9,"at":1,"tokens":1},"version"`, 1), "version 9", 1},
		"too deep":              {strings.Repeat("[", MaxDepth+1), "levels deep", 1},
		"too deep in a text":    {head + strings.Replace(turn, `{"role":"user"}`, `"`+strings.Repeat("[", MaxDepth+1)+`"`, 1), "levels deep", 2},
	}
	for name, tt := range tests {
		_, err := Read(strings.NewReader(tt.text), 1<<20)
		var own *Error
		if !errors.As(err, &own) || own.Line != tt.line || !strings.Contains(err.Error(), tt.reason) {
			t.Errorf("%s: %v, want line %d, %q", name, err, tt.line, tt.reason)
		}
	}
}

func TestRead_is_bounded(t *testing.T) {
	if _, err := Read(strings.NewReader(strings.Repeat(" ", 101)), 100); !errors.Is(err, ErrTooLarge) {
		t.Errorf("bytes: %v", err)
	}
	many := "[" + strings.Repeat(`{"role":"user"},`, MaxMessages) + `{"role":"user"}]`
	if _, err := Read(strings.NewReader(many), 1<<30); !errors.Is(err, errMessages) {
		t.Errorf("messages: %v", err)
	}
	broken := errors.New("the line is cut")
	if _, err := Read(io.MultiReader(strings.NewReader("["), iotest.ErrReader(broken)), 100); !errors.Is(err, broken) {
		t.Errorf("reader: %v", err)
	}
}

func TestRead_is_not_slowed_by_turns_that_all_supersede_all(t *testing.T) {
	var b strings.Builder
	const count = 50_000
	fmt.Fprintf(&b, `{"format":"mnemo.session","version":1,"created":1,"updated":1,"turns":%d}`, count)
	for i := 1; i <= count; i++ {
		supersedes := ""
		if i > 1 {
			supersedes = fmt.Sprintf(`"supersedes":[1,%d],`, i-1)
		}
		fmt.Fprintf(&b, "\n"+`{"seq":%d,"at":1,%s"messages":[{"tokens":1,"message":{"role":"user"}}]}`, i, supersedes)
	}
	if _, err := Read(strings.NewReader(b.String()), 1<<30); err == nil || !strings.Contains(err.Error(), "supersede too many") {
		t.Errorf("%v", err)
	}
}

func TestRead_derives_what_it_need_not_be_told(t *testing.T) {
	text := written(t, JSON, regenerated(t), Options{})
	for _, lie := range []string{"", `"superseded_by":1,`} {
		doc := read(t, strings.Replace(text, `"superseded_by":3,`, lie, 1))
		if doc.Turns[1].SupersededBy != 3 || doc.Branch != 3 || doc.Totals.Turns != 2 {
			t.Errorf("told %q: superseded by %d, branch %d, %+v", lie, doc.Turns[1].SupersededBy, doc.Branch, doc.Totals)
		}
	}
}

func TestRead_refuses_a_summary_that_does_not_fit(t *testing.T) {
	doc := told(t, []string{`{"role":"user","content":"one"}`}, []string{`{"role":"user","content":"two"}`})
	doc.Summary = summaryOf(doc, 1)
	text := written(t, JSON, doc, Options{})
	read(t, text)
	_, err := Read(strings.NewReader(strings.Replace(text, `"up_to":1`, `"up_to":2`, 1)), 1<<20)
	if !errors.Is(err, memory.ErrSummary) {
		t.Errorf("%v", err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(`{"messages":[{"role":"user","content":"x"}]}`)
	f.Add(`{"format":"mnemo.session","version":1,"created":1,"updated":1,"turns":1}` + "\n" + `{"seq":1,"at":1,"messages":[{"tokens":1,"message":"{\"role\":\"user\"}"}]}`)
	f.Add(`{"format":"mnemo.session","version":1,"created":1,"updated":1,"turns":[{"seq":1,"at":1,"messages":[{"tokens":1,"message":{"role":"user"}}]}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		doc, err := Read(strings.NewReader(text), 1<<20)
		if err != nil {
			return
		}
		checkExact(t, JSONL, doc)
	})
}
