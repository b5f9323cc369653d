package memory

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"
)

func TestCodec_turn_reads_back_as_it_was(t *testing.T) {
	turn := Turn{
		Seq:     7,
		At:      time.UnixMilli(1_700_000_000_123),
		Model:   "gpt \"4\"\n\u2028<é>",
		Partial: true, Unresolved: true, Repeated: true,
		Messages: []Message{
			parse(t, `{"role":"user","content":"a\u00e9 \"}]{","n":0.70,"m":1E+2}`),
			parse(t, `{ "role" : "assistant" , "content":null,"tool_calls":[{"id":"x"},{"id":"y"}]}`),
			parse(t, `{"role":"tool","tool_call_id":"x","content":[{"type":"text","text":"1"}]}`),
		},
	}
	turn.Messages[0].Tokens = 12
	data := string(EncodeTurn(&turn))
	if !gjson.Valid(data) {
		t.Fatalf("no JSON: %s", data)
	}
	got, err := DecodeTurn(7, data)
	if err != nil {
		t.Fatal(err)
	}
	if !got.At.Equal(turn.At) {
		t.Errorf("at %v, want %v", got.At, turn.At)
	}
	got.At = turn.At
	if !reflect.DeepEqual(got, turn) {
		t.Errorf("read %+v\nwant %+v", got, turn)
	}
}

func TestCodec_leaves_the_number_and_the_instructions_to_the_store(t *testing.T) {
	turn := Turn{Seq: 7, System: `[{"role":"system","content":"secret"}]`, Messages: script(t, "u1 a1")}
	data := string(EncodeTurn(&turn))
	if strings.Contains(data, "secret") || gjson.Get(data, "seq").Exists() {
		t.Errorf("stored %s", data)
	}
	got, err := DecodeTurn(9, data)
	if err != nil || got.Seq != 9 || got.System != "" {
		t.Errorf("read %+v, %v", got, err)
	}
}

func TestCodec_reads_members_that_it_does_not_know(t *testing.T) {
	got, err := DecodeTurn(1, `{"later":[1],"messages":[{"x":1,"message":{"role":"user"},"tokens":4}],"v":1}`)
	if err != nil || len(got.Messages) != 1 || got.Messages[0].Tokens != 4 {
		t.Errorf("read %+v, %v", got, err)
	}
}

func TestCodec_refuses_what_it_did_not_write(t *testing.T) {
	for _, data := range []string{
		``, `null`, `[]`, `5`, `{}`, `{"v":2,"messages":[]}`, `{"v":1`, `{"v":1,"messages":5}`, `{"v":1,"messages":[5]}`,
		`{"v":1,"messages":[{"message":{}}]}`, `{"v":1,"messages":[{"tokens":3}]}`, `{"v":1,"messages":[]} x`,
	} {
		if turn, err := DecodeTurn(3, data); !errors.Is(err, ErrCodec) || !strings.Contains(err.Error(), "turn 3") {
			t.Errorf("%s read as %+v, %v", data, turn, err)
		}
	}
}

func FuzzDecodeTurn(f *testing.F) {
	f.Add(string(EncodeTurn(&Turn{Model: "m", Messages: script(f, "u1 c:x t:x a1")})))
	f.Add(`{"v":1,"at":-5,"messages":[{"message":{"role":"user"}}]}`)
	f.Fuzz(func(t *testing.T, data string) {
		turn, err := DecodeTurn(1, data)
		if err != nil {
			return
		}
		again, err := DecodeTurn(1, string(EncodeTurn(&turn)))
		if err != nil {
			t.Fatal(err)
		}
		if len(again.Messages) != len(turn.Messages) || again.Partial != turn.Partial || !again.At.Equal(turn.At) {
			t.Fatalf("read %+v, then %+v", turn, again)
		}
		for i := range turn.Messages {
			if again.Messages[i].Hash != turn.Messages[i].Hash || again.Messages[i].Tokens != turn.Messages[i].Tokens {
				t.Fatalf("message %d: %+v, then %+v", i, turn.Messages[i], again.Messages[i])
			}
		}
	})
}
