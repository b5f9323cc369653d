package answercache

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

func TestPieceEnd_cuts_no_character_and_no_escape(t *testing.T) {
	fill := strings.Repeat("x", pieceSize-1)
	for unit, length := range map[string]int{
		"x": 1, "é": 2, "日": 3, "😀": 4, `\n`: 2, `\"`: 2, `\\`: 2, `\u00e9`: 6, `\ud83d\ude00`: 12, `\uD83D\uDE00`: 12, `\uDBFF\uDFFF`: 12,
		`\ud83dx`: 6, `\ud83d\n`: 6, `\ud83d\u0041`: 6, `\ud83d\ud83d`: 6, `\ude00\ude00`: 6, `\u0d83\ude00`: 6, "\xff": 1, `\u12`: 2, `\`: 1,
	} {
		if got, want := pieceEnd(fill+unit+"rest", 0), pieceSize-1+length; got != want && !strings.HasPrefix(unit, `\u12`) && unit != `\` {
			t.Errorf("before %s it cuts at %d, want %d", unit, got, want)
		}
		if got := pieceEnd(unit, 0); got != len(unit) {
			t.Errorf("%s alone ends at %d, want %d", unit, got, len(unit))
		}
	}
}

func TestPieceEnd_makes_pieces_that_are_strings_of_their_own(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 300 {
		text, joined := randomText(r), ""
		for at := 0; at < len(text); {
			end := pieceEnd(text, at)
			piece := text[at:end]
			if !gjson.Valid(`"`+piece+`"`) || !utf8.ValidString(piece) || len(piece) > pieceSize+11 {
				t.Fatalf("%q is a piece of %q", piece, text)
			}
			joined += unescaped(t, piece)
			at = end
		}
		if whole := unescaped(t, text); joined != whole {
			t.Fatalf("%q is shown as %q", whole, joined)
		}
	}
}

func unescaped(t *testing.T, inside string) (text string) {
	t.Helper()
	if err := json.Unmarshal([]byte(`"`+inside+`"`), &text); err != nil {
		t.Fatal(err)
	}
	return text
}
