package transcript

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"mnemo/memory"
)

// hostile are messages that are easily changed on the way.
var hostile = []string{
	`{"role":"user","content":"plain"}`,
	`{"role":"user","content":"a","content":"b","role":"user"}`,
	`{"role":"user","n":1E+2,"m":0.70,"big":12345678901234567890,"neg":-0.0}`,
	`{"role":"user","content":"\u0000 \u001b[31m \ud83d lone \udE00 \ud83d\ude00"}`,
	"{\"role\":\"user\",\n\t\"content\":\r\n\"pretty\"\n}",
	"{\"role\":\"user\"\r,\"content\":\"cr\"}",
	"{ \"role\" : \"user\" , \"content\" : \"nbsp \u00a0 ls \u2028 ps \u2029 nel \u0085 bom \ufeff\" }",
	"{\"role\":\"user\",\"content\":\"broken \xff\xfe utf8 \xc3\"}",
	"{\"role\":\"user\",\n\"content\":\"broken \xff and a line\"}",
	`{"role":"user","content":"<script>&amp;</script> \/ \u003c é"}`,
	`{"role":"user","deep":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`,
	`{"role":"user","":{"":[[],{}]},"\u0072ole":"user"}`,
	`{"role":"user","content":"data:application/json;base64,AAAA"}`,
	`{"role":"user","content":"日本語 🇯🇵 👩‍👩‍👧 עברית العربية"}`,
}

func TestExact_is_read_and_written_again_byte_for_byte(t *testing.T) {
	for _, raw := range hostile {
		doc := told(t, []string{raw, `{"role":"assistant","content":null}`}, []string{raw})
		doc.System = "[" + strings.ReplaceAll(raw, `"user"`, `"system"`) + "]"
		for _, f := range []Format{JSON, JSONL} {
			checkExact(t, f, doc)
		}
	}
}

func TestExact_keeps_any_session(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		doc := anySession(t, random)
		for _, f := range []Format{JSON, JSONL} {
			checkExact(t, f, doc)
		}
	}
}

func TestExact_is_JSON_that_other_programs_read(t *testing.T) {
	for _, raw := range hostile {
		doc := told(t, []string{raw})
		if out := written(t, JSON, doc, Options{}); !json.Valid([]byte(out)) {
			t.Errorf("no JSON:\n%s", out)
		}
		lines := strings.Split(written(t, JSONL, doc, Options{}), "\n")
		if len(lines) != 3 || lines[2] != "" {
			t.Fatalf("%d lines", len(lines))
		}
		for _, line := range lines[:2] {
			if !json.Valid([]byte(line)) {
				t.Errorf("no JSON:\n%s", line)
			}
		}
	}
}

func FuzzExact(f *testing.F) {
	for _, raw := range hostile {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		if nesting(raw, MaxDepth-8) > MaxDepth-8 || checkJSON(raw) != nil {
			t.Skip()
		}
		m, err := memory.ParseMessage(raw)
		if err != nil || m.IsSystem() {
			t.Skip()
		}
		doc := told(t, []string{raw})
		checkExact(t, JSON, doc)
		checkExact(t, JSONL, doc)
	})
}

func checkExact(t *testing.T, f Format, doc *Document) {
	t.Helper()
	first := written(t, f, doc, Options{})
	read, err := Read(strings.NewReader(first), int64(len(first)))
	if err != nil {
		t.Fatalf("%s: %v\n%.2000q", f, err, first)
	}
	if again := written(t, f, read, Options{}); again != first {
		t.Fatalf("%s was\n%.2000q\nand is\n%.2000q", f, first, again)
	}
	if len(read.Turns) != len(doc.Turns) || read.System != doc.System {
		t.Fatalf("%d turns of %d; system %q", len(read.Turns), len(doc.Turns), read.System)
	}
	for i := range doc.Turns {
		was, is := &doc.Turns[i], &read.Turns[i]
		for j := range was.Messages {
			a, b := &was.Messages[j], &is.Messages[j]
			if a.Raw != b.Raw || a.Tokens != b.Tokens || a.Hash != b.Hash {
				t.Fatalf("message %q became %q", a.Raw, b.Raw)
			}
		}
		if is.Usage != was.Usage || is.SupersededBy != was.SupersededBy || is.Supersedes != was.Supersedes ||
			is.Partial != was.Partial || is.ID != was.ID || is.Model != was.Model || !is.At.Equal(was.At) {
			t.Fatalf("turn\n%+v became\n%+v", was, is)
		}
	}
}

// anySession is a session that a store could have.
func anySession(t *testing.T, random *rand.Rand) *Document {
	var turns [][]string
	for range random.IntN(12) {
		messages := []string{hostile[random.IntN(len(hostile))]}
		for range random.IntN(3) {
			messages = append(messages, fmt.Sprintf(`{"role":"assistant","content":"%d"}`, random.Int()))
		}
		turns = append(turns, messages)
	}
	doc := told(t, turns...)
	doc.Title, doc.Persona = "Über \"alles\"\n\u2028", "teacher?language=日本"
	for i := range doc.Turns {
		turn := &doc.Turns[i]
		turn.Partial = random.IntN(3) == 0
		turn.At = time.UnixMilli(random.Int64N(1 << 41))
		if random.IntN(2) == 0 {
			turn.Usage = memory.Usage{Input: random.IntN(1e6), CachedInput: random.IntN(99), Output: random.IntN(1e5), Reasoning: random.IntN(9),
				Estimated: random.IntN(2) == 0, Priced: random.IntN(2) == 0}
			if turn.Usage.Priced {
				turn.Usage.Cost = random.Int64N(1e12)
			}
		}
		if i > 0 && random.IntN(4) == 0 {
			first := 1 + random.Int64N(turn.Seq-1)
			turn.Supersedes = memory.Span{First: first, Last: first + random.Int64N(turn.Seq-first)}
		}
	}
	if err := doc.Settle(); err != nil {
		t.Fatal(err)
	}
	for i := range doc.Turns {
		if turn := &doc.Turns[i]; turn.SupersededBy == 0 && random.IntN(2) == 0 {
			doc.Summary = summaryOf(doc, turn.Seq)
			break
		}
	}
	return doc
}

// summaryOf is a summary of the turns up to one.
func summaryOf(doc *Document, upTo int64) *memory.Summary {
	s := &memory.Summary{Text: "Ada <ada@example.org>\n\u2028", Tokens: 7, UpTo: upTo, Model: "m", At: begun}
	for i := range upTo {
		if turn := &doc.Turns[i]; turn.SupersededBy == 0 {
			s.Covered.Add(turn)
		}
	}
	return s
}
