package tokens

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// whole merges a piece without windows.
func whole(v *vocabulary, piece string) int {
	var m merger
	return m.merge(v, piece)
}

func longPieces(length int) map[string]string {
	random := rand.New(rand.NewPCG(3, 4))
	bytes := func(from string) string { return randomText(random, []rune(from), length) }
	return map[string]string{
		"one letter":     strings.Repeat("a", length),
		"one capital":    strings.Repeat("A", length),
		"one ideograph":  strings.Repeat("中", length/3),
		"spaces":         strings.Repeat(" ", length),
		"line breaks":    strings.Repeat("\n", length),
		"windows breaks": strings.Repeat("\r\n", length/2),
		"hyphens":        strings.Repeat("-", length),
		"rules":          strings.Repeat("=-", length/2),
		"two letters":    bytes("ab"),
		"letters":        bytes("abcdefghijklmnopqrstuvwxyz"),
		"frequent":       bytes("etaoinshrd"),
		"ideographs":     bytes("的一是不了人我在有他这中大来上国")[:length/3*3],
		"kana":           bytes("あいうえおかきくけこさしすせそ")[:length/3*3],
		"hangul":         bytes("가나다라마바사아자차카타파하")[:length/3*3],
		"thai":           bytes("กขคงจฉชซญฎฏะาิีึื")[:length/3*3],
		"punctuation":    bytes("!#$%&*+,-./:;<=>?@^_|~"),
		"emoji":          bytes("👍👎😀😁🎉")[:length/4*4],
		"words":          strings.Repeat("internationalizationisalongword", length/31),
		"growing":        strings.Join(strings.Fields(strings.Repeat("a aa aaa aaaa aaaaa ", length/20)), "b"),
	}
}

func TestCount_of_a_long_piece_equals_merging_it_whole(t *testing.T) {
	for _, v := range vocabularies {
		v.load()
		for _, length := range []int{window + 1, 3 * window, 6000} {
			for name, piece := range longPieces(length) {
				want := whole(v, piece)
				for size := window; size <= 4*window && size < len(piece); size *= 2 {
					if got, ok := v.countLong(piece, size); ok && got != want {
						t.Errorf("%s, %d bytes of %s in windows of %d: %d tokens, not %d", v.name, length, name, size, got, want)
					}
				}
				var m merger
				if got := v.count(&m, piece); got != want && v.rank(piece) == none {
					t.Errorf("%s, %d bytes of %s: %d tokens, not %d", v.name, length, name, got, want)
				}
			}
		}
	}
}

// Were counting quadratic in a piece, this would take hours.
func TestCount_of_a_huge_piece_ends(t *testing.T) {
	const length = 1 << 20
	e := For("gpt-4o")
	for _, text := range []string{strings.Repeat("a", length), strings.Repeat("中", length/3)} {
		if n := e.Count(text); n < length/longestToken || n > length {
			t.Errorf("%d tokens in %d bytes of %.3s", n, length, text)
		}
	}
}

// Below the widest, windows are only used with proof, so that the count is exact.
func TestCountLong_proves_its_cuts(t *testing.T) {
	for _, v := range vocabularies {
		v.load()
		for name, piece := range longPieces(50_000) {
			proven := false
			for size := window; size < widest && !proven; size *= 2 {
				_, proven = v.countLong(piece, size)
			}
			if !proven {
				t.Errorf("%s: no windows below the widest fit %s", v.name, name)
			}
		}
	}
}
