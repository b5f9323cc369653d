package tokens

// Merging looks for the best pair of neighbours in a plain array, which is the
// fastest way for a few dozen bytes and quadratic. So a long piece is merged in
// windows. This is exact by a property of byte-pair encoding: a sequence of tokens
// is the encoding of its bytes if and only if each two neighbours are the encoding
// of theirs. Of a window's tokens those are kept that end where another window
// can begin such that the two neighbours there fulfil this.
const (
	// window is the length, in bytes, up to which a piece is merged at once.
	window = 128
	// widest is the window at which a cut is taken that is not proven exact. It
	// bounds the work on a text made for the purpose; no other needs it.
	widest = 16 * window
	// slack is what is given up of a window at first: the tokens at its end may
	// depend on what follows.
	slack = 24
	// cuts is how many ends of a window are tried before windows are widened.
	cuts = 8
)

// A merger encodes a stretch of bytes. It is used for one stretch after the other.
type merger struct {
	starts []int32  // where each token begins, and where the last one ends
	ranks  []uint32 // of each token joined with the next; none for the last
}

// count returns the number of tokens of a piece.
func (v *vocabulary) count(m *merger, piece string) int {
	switch {
	case len(piece) <= longestToken && v.rank(piece) != none:
		return 1
	case len(piece) <= window:
		return m.merge(v, piece)
	}
	for size := window; ; size *= 2 {
		if n, ok := v.countLong(piece, size); ok {
			return n
		}
	}
}

// countLong counts in windows of size bytes. It reports false if it finds no end
// of one of them that is proven to fit the next one, and they could be wider.
func (v *vocabulary) countLong(piece string, size int) (int, bool) {
	var here, next, seam merger
	n := 0
	for here.merge(v, piece[:min(size, len(piece))]); len(piece) > size; here, next = next, here {
		end := len(here.ranks) - 1 // tokens to keep
		if end == 0 {
			return 0, false
		}
		for end > 1 && size-int(here.starts[end]) < slack {
			end--
		}
		for try := 1; ; try++ {
			cut := here.starts[end]
			next.merge(v, piece[cut:min(int(cut)+size, len(piece))])
			left, right := here.starts[end-1], cut+next.starts[1]
			if size >= widest || seam.merge(v, piece[left:right]) == 2 && seam.starts[1] == cut-left {
				break
			}
			if end == 1 || try == cuts {
				return 0, false
			}
			end--
		}
		n += end
		piece = piece[here.starts[end]:]
	}
	return n + len(here.ranks), true
}

// merge encodes text and returns the number of its tokens.
func (m *merger) merge(v *vocabulary, text string) int {
	m.starts, m.ranks = m.starts[:0], m.ranks[:0]
	for i := range len(text) {
		m.starts = append(m.starts, int32(i))
		m.ranks = append(m.ranks, v.rank(text[i:min(i+2, len(text))]))
	}
	m.starts = append(m.starts, int32(len(text)))
	m.ranks[len(text)-1] = none
	for {
		best, at := none, 0
		for i, rank := range m.ranks {
			if rank < best {
				best, at = rank, i
			}
		}
		if best == none {
			return len(m.ranks)
		}
		m.starts = append(m.starts[:at+1], m.starts[at+2:]...)
		m.ranks = append(m.ranks[:at+1], m.ranks[at+2:]...)
		m.rank(v, text, at)
		if at > 0 {
			m.rank(v, text, at-1)
		}
	}
}

// rank sets the rank of the token at i joined with the next.
func (m *merger) rank(v *vocabulary, text string, i int) {
	m.ranks[i] = none
	if i+2 < len(m.starts) {
		if joined := text[m.starts[i]:m.starts[i+2]]; len(joined) <= longestToken {
			m.ranks[i] = v.rank(joined)
		}
	}
}
