package tokens

import (
	"sync"
	"unicode"
	"unicode/utf8"
)

// A class is what the split patterns tell characters apart by. A character has
// exactly one, so that a set of classes is a mask.
type class uint8

const (
	upper    class = 1 << iota // \p{Lu} \p{Lt}
	lower                      // \p{Ll}
	caseless                   // \p{Lm} \p{Lo}
	mark                       // \p{M}
	number                     // \p{N}
	newline                    // \r \n
	space                      // the rest of \s
	other                      // everything else

	letter = upper | lower | caseless
	blank  = newline | space
)

// classes holds the class of every character: in a flat array where it is ASCII,
// else in pages of 256, most of which are the same one.
type classes struct {
	ascii [utf8.RuneSelf]class
	page  [(unicode.MaxRune + 1) / pageSize]uint8
	pages [][pageSize]class
}

const pageSize = 256

var unicodeClasses = sync.OnceValue(newClasses)

func newClasses() *classes {
	flat := make([]class, unicode.MaxRune+1)
	for i := range flat {
		flat[i] = other
	}
	set := func(table *unicode.RangeTable, c class) {
		for _, r := range table.R16 {
			for x := uint32(r.Lo); x <= uint32(r.Hi); x += uint32(r.Stride) {
				flat[x] = c
			}
		}
		for _, r := range table.R32 {
			for x := r.Lo; x <= r.Hi; x += r.Stride {
				flat[x] = c
			}
		}
	}
	set(unicode.Lu, upper)
	set(unicode.Lt, upper)
	set(unicode.Ll, lower)
	set(unicode.Lm, caseless)
	set(unicode.Lo, caseless)
	set(unicode.M, mark)
	set(unicode.N, number)
	set(unicode.White_Space, space)
	flat['\r'], flat['\n'] = newline, newline

	t := &classes{}
	copy(t.ascii[:], flat)
	known := make(map[[pageSize]class]uint8)
	for i := range t.page {
		page := [pageSize]class(flat[i*pageSize:])
		n, seen := known[page]
		if !seen {
			n = uint8(len(t.pages))
			known[page] = n
			t.pages = append(t.pages, page)
		}
		t.page[i] = n
	}
	return t
}

// at returns the class of the character at text[i] and its length in bytes.
func (t *classes) at(text string, i int) (class, int) {
	if c := text[i]; c < utf8.RuneSelf {
		return t.ascii[c], 1
	}
	r, size := utf8.DecodeRuneInString(text[i:])
	return t.pages[t.page[r/pageSize]][r%pageSize], size
}

// span returns the end of the run from text[i] on of characters in set.
func (t *classes) span(text string, i int, set class) int {
	for i < len(text) {
		if c := text[i]; c < utf8.RuneSelf {
			if t.ascii[c]&set == 0 {
				break
			}
			i++
			continue
		}
		c, size := t.at(text, i)
		if c&set == 0 {
			break
		}
		i += size
	}
	return i
}
