package memory

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// overlapSlowly is the definition, tried from the greatest k down.
func overlapSlowly(log []*Message, request []Message) int {
	for k := min(len(log), len(request)); k > 0; k-- {
		same := true
		for i := range k {
			same = same && log[len(log)-k+i].Hash == request[i].Hash
		}
		if same {
			return k
		}
	}
	return 0
}

// pointers is the whole log of a session, message by message.
func pointers(s *Session) []*Message {
	var log []*Message
	for i := range s.Turns {
		for j := range s.Turns[i].Messages {
			log = append(log, &s.Turns[i].Messages[j])
		}
	}
	return log
}

func TestOverlap_is_the_longest_end_of_the_log_with_which_the_request_begins(t *testing.T) {
	tests := []struct {
		name, log, request string
		want               int
	}{
		{"no log", "", "u1", 0},
		{"no request", "u1 a1", "", 0},
		{"only what is new", "u1 a1", "u2", 0},
		{"everything", "u1 a1", "u1 a1 u2", 2},
		{"the newest part", "u1 a1 u2 a2", "u2 a2 u3", 2},
		{"the answer alone", "u1 a1", "a1 u2", 1},
		{"nothing new", "u1 a1", "u1 a1", 2},
		{"the same question on purpose", "u1 a1", "u1", 0},
		{"the same exchange on purpose", "u1 a1 u1 a1", "u1 a1 u1", 2},
		{"all of a repeated exchange", "u1 a1 u1 a1", "u1 a1 u1 a1 u1", 4},
		{"more than the log holds", "u2 a2", "u1 a1 u2 a2 u3", 0},
		{"an end that begins again inside", "u1 a1 u2 u1 a1", "u1 a1 u2 u1 a1 u2 u1", 5},
		{"a start that is tried twice", "u1 u1 a1", "u1 a1 u2", 2},
		{"an edited question", "u1 a1 u2 a2", "u1 a1 u3", 0},
		{"a step with calls", "u1 c:x t:x a1", "u1 c:x t:x a1 u2", 4},
		{"a step with other calls", "u1 c:x", "u1 c:y t:y", 0},
	}
	for _, test := range tests {
		s := session(t, test.log)
		request := script(t, test.request)
		if got := overlap(s.Turns, request); got != test.want {
			t.Errorf("%s: overlap %d, want %d", test.name, got, test.want)
		}
		if got := overlapSlowly(pointers(s), request); got != test.want {
			t.Errorf("%s: by the definition it is %d, want %d", test.name, got, test.want)
		}
	}
}

func TestOverlap_equals_its_definition_on_random_repeats(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	alphabet := script(t, "u1 a1 u2")
	random := func(n, letters int) []Message {
		messages := make([]Message, n)
		for i := range messages {
			messages[i] = alphabet[rng.IntN(letters)]
		}
		return messages
	}
	matched := 0
	for range 20_000 {
		s := &Session{}
		letters := 1 + rng.IntN(len(alphabet))
		request := random(rng.IntN(16), letters)
		for range rng.IntN(6) {
			if begins := rng.IntN(len(request) + 1); rng.IntN(4) > 0 { // most matches fail late
				addTurn(s, request[:begins])
			} else {
				addTurn(s, random(rng.IntN(6), letters))
			}
		}
		got := overlap(s.Turns, request)
		if want := overlapSlowly(pointers(s), request); got != want {
			t.Fatalf("log %q, request %q: overlap %d, want %d", words(pointers(s)), words(request), got, want)
		}
		if got > 0 {
			matched++
		}
	}
	if matched < 5_000 {
		t.Errorf("only %d of the pairs overlapped", matched)
	}
}

// A search that starts anew at each place compares 10¹⁰ times here.
func TestOverlap_of_a_chat_that_repeats_itself(t *testing.T) {
	const n = 100_000
	same := script(t, "u1 u2")
	s, request := &Session{}, make([]Message, 0, n)
	for range n {
		request = append(request, same[0])
	}
	addTurn(s, append([]Message{same[1]}, request[1:]...))
	request[n-1] = same[1]
	request = append(request, same[0])
	if got := overlap(s.Turns, request); got != n-1 {
		t.Errorf("overlap %d, want %d", got, n-1)
	}
}

func BenchmarkOverlap(b *testing.B) {
	for _, shape := range []struct{ name, log string }{
		{"resent", strings.Repeat("u1 a1 u2 a2 ", 250)},
		{"repeats", strings.Repeat("u1 ", 999) + "a1"},
	} {
		s := session(b, shape.log)
		request := script(b, shape.log+" u3")
		h := s.Turns
		b.Run(shape.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if overlap(h, request) != 1000 {
					b.Fatal("the log was not found")
				}
			}
		})
	}
}
