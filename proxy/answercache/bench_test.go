package answercache

import (
	"strconv"
	"strings"
	"testing"
	"time"
)

func BenchmarkKeyOf(b *testing.B) {
	var body strings.Builder
	body.WriteString(`{"model":"gpt-4o","temperature":0,"messages":[{"role":"system","content":"Be brief."}`)
	for i := 0; body.Len() < 20_000; i++ {
		body.WriteString(`,{"role":"user","content":"` + strings.Repeat("a question, said \\\"so\\\" ", 12) + strconv.Itoa(i) + `"}`)
	}
	body.WriteString(`],"stream":true}`)
	b.SetBytes(int64(body.Len()))
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := KeyOf("shop", body.String()); !ok {
			b.Fatal("no key")
		}
	}
}

func BenchmarkMemory_Get(b *testing.B) {
	m, a := NewMemory(0), mustAnswer(b, samples["text"])
	keys := make([]Key, 1000)
	for i := range keys {
		keys[i] = keyNumber(i)
		m.Put(b.Context(), keys[i], a, Terms{Keep: time.Hour, Route: "r", MaxEntries: len(keys), Tag: TagOf("shop", strconv.Itoa(i))})
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if _, _, ok := m.Get(b.Context(), keys[i%len(keys)]); !ok {
			b.Fatal("a miss")
		}
		i++
	}
}

func BenchmarkAnswer_Stream(b *testing.B) {
	a := mustAnswer(b, completion(`{"index":0,"message":{"role":"assistant","content":"`+strings.Repeat("a word, ", 1000)+`"},"finish_reason":"stop"}`))
	b.ReportAllocs()
	for b.Loop() {
		a.Stream(true)
	}
}

func BenchmarkRecorder(b *testing.B) {
	sse := mustAnswer(b, completion(`{"index":0,"message":{"role":"assistant","content":"`+strings.Repeat("a word, ", 1000)+`"},"finish_reason":"stop"}`)).Stream(true)
	b.SetBytes(int64(len(sse)))
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := FromStream(sse); !ok {
			b.Fatal("no answer")
		}
	}
}
