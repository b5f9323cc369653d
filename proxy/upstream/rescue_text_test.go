package upstream

import (
	"encoding/json"
	"testing"

	"github.com/tidwall/gjson"
)

func TestText_is_the_same_however_it_is_escaped(t *testing.T) {
	for _, same := range [][]string{
		{`a/b`, `a\/b`, `\u0061\u002fb`},
		{`ä`, `\u00e4`, `\u00E4`},
		{`€`, `\u20ac`},
		{`😀`, `\ud83d\ude00`, `\uD83D\uDE00`},
		{`\n\t\r\b\f\"\\`, `\u000a\u0009\u000d\u0008\u000c\u0022\u005c`},
	} {
		want := string(appendCESU(nil, same[0]))
		for _, other := range same {
			if got := string(appendCESU(nil, other)); got != want {
				t.Errorf("%s: %q, want %q", other, got, want)
			}
		}
	}
	if got := string(appendCESU([]byte("x"), `\x\u12`+"\xff")); got != `x\x\u12`+"\xff" {
		t.Errorf("no escapes: %q", got)
	}
}

func TestText_is_split_between_any_two_halves_of_characters(t *testing.T) {
	for _, inside := range []string{`aä€😀\n\u00e4\ud83d\ude00b`, "\xe2\x82\xac\xff", `\ud83d`} {
		whole := appendCESU(nil, inside)
		for n := range len(whole) + 1 {
			head, tail := split(inside, n)
			got := append(appendCESU(nil, head), appendCESU(nil, tail)...)
			if string(got) != string(whole) || len(appendCESU(nil, head)) != n {
				t.Errorf("%s at %d: %q and %q", inside, n, head, tail)
			}
		}
	}
	if head, tail := split("a😀b", 4); head != `a\ud83d` || tail != `\ude00b` {
		t.Errorf("a pair: %q and %q", head, tail)
	}
}

func TestText_is_trimmed_of_white_space_alone(t *testing.T) {
	for inside, want := range map[string]struct {
		head  string
		whole bool
	}{
		`a b`:            {`a b`, true},
		"a \t":           {"a", true},
		`a\n\u0020\r\n`:  {`a`, true},
		`a\\n`:           {`a\\n`, true},
		` \n`:            {``, true},
		`a\ud83d`:        {`a\ud83d`, false},
		`a\ud83d\ude00 `: {`a\ud83d\ude00`, true},
		`a` + "\ud7a3":   {`a` + "\ud7a3", true}, // a Korean syllable next to the halves
		``:               {``, true},
	} {
		if head, whole := trimmed(inside); head != want.head || whole != want.whole {
			t.Errorf("%q: %q, %v", inside, head, whole)
		}
	}
}

func FuzzText(f *testing.F) {
	f.Add("aä€😀\n", 3)
	f.Add("\x00\"\\/<>\u2028", 1)
	f.Fuzz(func(t *testing.T, text string, n int) {
		literal, err := json.Marshal(text)
		if err != nil {
			t.Skip()
		}
		inside := string(literal[1 : len(literal)-1])
		whole := appendCESU(nil, inside)
		if n < 0 || n > len(whole) || n < len(whole) && whole[n]&0xc0 == 0x80 {
			return // no text ends inside half a character
		}
		head, tail := split(inside, n)
		if both := gjson.Parse(`"` + head + tail + `"`).String(); both != gjson.ParseBytes(literal).String() {
			t.Errorf("%q at %d: %q", text, n, both)
		}
	})
}
