package outbox

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"mnemo/memory"
)

func TestRecord_comes_back_byte_for_byte(t *testing.T) {
	for _, content := range []string{`"plain"`, "\"a\",\n \"name\" :\r\n \"<&>\"", "\"\xff\xfe\"", `"\u0000 \ud83d"`, `"` + strings.Repeat("é€😀", 1000) + `"`} {
		m, err := memory.ParseMessage(`{"role":"user","content":` + content + `}`)
		if err != nil {
			t.Fatal(err)
		}
		turn := memory.Turn{ID: memory.NewTurnID(), At: time.UnixMilli(5), Supersedes: memory.Span{First: 1, Last: 2}, Messages: []memory.Message{m}, Persona: "<p>\n", System: "[\n]"}
		k := memory.Key{Tenant: `<"\>`, Session: `{"a":'&'}`}
		line := encodeRecord(k, &turn)
		if bytes.IndexByte(line, '\n') != len(line)-1 {
			t.Errorf("%.40q is not one line", line)
		}
		got, err := decodeRecord(k, line)
		if err != nil || got.Messages[0].Raw != m.Raw || got.ID != turn.ID || got.Supersedes != turn.Supersedes ||
			got.System != turn.System || got.Persona != turn.Persona || !got.Redelivered {
			t.Errorf("%.40q: %+v, %v", content, got, err)
		}
		if _, err := decodeRecord(key, line); !errors.Is(err, errRecord) {
			t.Errorf("another session's record: %v", err)
		}
		for _, i := range []int{0, 9, 20, len(line) / 2, len(line) - 2} {
			bad := bytes.Clone(line)
			bad[i] ^= 4
			if _, err := decodeRecord(k, bad); !errors.Is(err, errRecord) {
				t.Errorf("byte %d of %.40q is wrong: %v", i, line, err)
			}
		}
	}
}

func FuzzRecord(f *testing.F) {
	turn := exchange("x")
	f.Add(encodeRecord(key, &turn))
	f.Add([]byte(crcHead))
	f.Fuzz(func(t *testing.T, line []byte) {
		got, err := decodeRecord(key, line)
		if err != nil {
			return
		}
		if again, err := decodeRecord(key, encodeRecord(key, &got)); err != nil || len(again.Messages) != len(got.Messages) {
			t.Errorf("%q: %v", line, err)
		}
	})
}
