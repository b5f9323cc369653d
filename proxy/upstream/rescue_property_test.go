package upstream

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
)

// words are what random answers are made of.
var words = []string{"the ", "a ", "of\n", "\n\n", "42", "na", "\u00fcber ", "\u65e5\u672c\u8a9e", "\U0001F600", "\U0001F468\u200d\U0001F469 ", `"quoted" `, `back\slash `, "</b>", "\t", "x"}

// chunked cuts a text into pieces at random, between characters.
func chunked(random *rand.Rand, text string) (pieces []string) {
	runes := []rune(text)
	for len(runes) > 0 {
		n := min(1+random.IntN(9), len(runes))
		pieces = append(pieces, string(runes[:n]))
		runes = runes[n:]
	}
	return pieces
}

// escaped writes what is beyond ASCII as escapes, as some providers do.
func escaped(stream string) string {
	var b strings.Builder
	for _, r := range stream {
		if r < 0x80 {
			b.WriteRune(r)
			continue
		}
		units := fmt.Sprintf("%04x", r)
		if r > 0xffff {
			units = fmt.Sprintf(`%04x\u%04x`, 0xd800+(r-0x10000)>>10, 0xdc00+(r-0x10000)&0x3ff)
		}
		b.WriteString(`\u` + units)
	}
	return b.String()
}

// Whatever the pieces, the cuts and the way of going on: the client gets the whole
// text once, and every event can be read.
func TestRescue_delivers_every_text_once(t *testing.T) {
	type provider struct {
		script
		cut     int // of its stream; -1: none
		echo    bool
		escapes bool
		prefill bool
	}
	var plays [3]provider
	var ups [3]*fake
	for i := range ups {
		ups[i] = newFake(t, func(n int, w http.ResponseWriter, r *http.Request) {
			play := &plays[i]
			told := lastMessage(ups[i].seen()[n-1].body)
			if play.echo {
				told = ""
			}
			stream := strings.Join(play.events(told), "")
			if play.escapes {
				stream = escaped(stream)
			}
			if play.cut >= 0 {
				events(stream[:min(play.cut, len(stream)-1)], errCut)(n, w, r)
				return
			}
			half := play.usage % len(stream)
			events(stream[:half], stream[half:])(n, w, r)
		})
	}
	for seed := range uint64(400) {
		random := rand.New(rand.NewPCG(seed, 7))
		text := ""
		for range 1 + random.IntN(40) {
			text += words[random.IntN(len(words))]
		}
		text = "Start: " + text // so that it does not begin with what it goes on with
		o := rescueOptions(ups[0].URL, ups[1].URL, ups[2].URL)
		for i := range plays {
			plays[i] = provider{script: script{name: fmt.Sprint(i), pieces: chunked(random, text), usage: 1 + random.IntN(1000)},
				cut: -1, echo: random.IntN(2) == 0, escapes: random.IntN(2) == 0, prefill: random.IntN(2) == 0}
			if i < 2 {
				plays[i].cut = 200 + random.IntN(len(plays[i].stream()))
			}
			o.Upstreams[i].Prefill = plays[i].prefill
		}
		p := newPool(t, o)
		_, body, answer := p.call(t, asking(question))
		if got := readReply(t, body); got.text != text || got.finish != "stop" {
			t.Fatalf("seed %d, %d attempts, %+v: %q, want %q", seed, answer.Attempts, plays, got.text, text)
		}
		p.Close()
	}
}
