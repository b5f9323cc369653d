package tokens

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"fmt"
	"math/bits"
	"strconv"
	"sync"

	"github.com/pkoukk/tiktoken-go-loader/assets"
)

// longestToken is the length of the longest token of both vocabularies, in bytes.
const longestToken = 128

// none is the rank of bytes that are no token. It is worse than every rank.
const none = ^uint32(0)

// A vocabulary ranks the tokens of an encoding. It is loaded once, when it is
// first needed.
type vocabulary struct {
	name  string   // of the encoding
	size  int      // tokens
	bits  int      // the table has 1<<bits slots, at least twice the tokens
	split splitter // cuts a text into pieces

	once    sync.Once
	slots   []slot
	classes *classes
}

// A slot of the table, an open-addressed one, is free if its rank is 0, which
// then means no rank. Three words keep it on one cache line most of the time,
// and the table without pointers.
type slot struct {
	low, high uint32 // the halves of the token's key
	rank      uint32 // plus one
}

// load reads the embedded vocabulary. It panics if that is not the one that the
// program was built for, which a test would have told.
func (v *vocabulary) load() {
	v.once.Do(func() {
		v.classes = unicodeClasses()
		v.slots = make([]slot, 1<<v.bits)
		if err := v.read(); err != nil {
			panic(fmt.Sprintf("read embedded vocabulary %s: %v", v.name, err))
		}
	})
}

// rank returns the rank of a token, or none.
func (v *vocabulary) rank(text string) uint32 {
	k := key(text)
	low, high := uint32(k), uint32(k>>32)
	for i := v.home(k); ; i = (i + 1) & (len(v.slots) - 1) {
		s := &v.slots[i]
		if s.rank == 0 || s.low == low && s.high == high {
			return s.rank - 1 // none where it is free
		}
	}
}

func (v *vocabulary) read() error {
	file, err := assets.Assets.Open(v.name + ".tiktoken")
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	var token [longestToken + 2]byte
	rank := 0
	for lines := bufio.NewScanner(file); lines.Scan() || lines.Err() != nil; rank++ {
		if lines.Err() != nil {
			return lines.Err()
		}
		encoded, number, _ := bytes.Cut(lines.Bytes(), []byte{' '})
		if base64.StdEncoding.DecodedLen(len(encoded)) > len(token) {
			return fmt.Errorf("line %d is too long", rank+1)
		}
		n, err := base64.StdEncoding.Decode(token[:], encoded)
		if err != nil {
			return fmt.Errorf("line %d: %w", rank+1, err)
		}
		if got, err := strconv.Atoi(string(number)); err != nil || got != rank {
			return fmt.Errorf("line %d has rank %q", rank+1, number)
		}
		if !v.add(string(token[:n]), rank) {
			return fmt.Errorf("line %d has a key that another line has", rank+1)
		}
	}
	if rank != v.size {
		return fmt.Errorf("%d tokens, not %d", rank, v.size)
	}
	return nil
}

func (v *vocabulary) add(token string, rank int) bool {
	k := key(token)
	i := v.home(k)
	for v.slots[i].rank != 0 {
		if v.slots[i].low == uint32(k) && v.slots[i].high == uint32(k>>32) {
			return false
		}
		i = (i + 1) & (len(v.slots) - 1)
	}
	v.slots[i] = slot{low: uint32(k), high: uint32(k >> 32), rank: uint32(rank) + 1}
	return true
}

func (v *vocabulary) home(key uint64) int {
	return int(key * 0x9E3779B97F4A7C15 >> (64 - v.bits))
}

// key identifies a token. Up to seven bytes it is these bytes and, in its three
// top bits, their number, so that it is exact. Longer tokens have a hash of 61
// bits: no two of a vocabulary share one, which loading verifies, and the chance
// that bytes which are no token take one is 2⁻⁴³.
func key(s string) uint64 {
	n := len(s)
	switch {
	case n >= 8:
		return hash(s) >> 3
	case n >= 4:
		return uint64(n)<<61 | uint64(load32(s[n-4:]))<<(8*(n-4)) | uint64(load32(s))
	case n == 3:
		return 3<<61 | uint64(s[2])<<16 | uint64(s[1])<<8 | uint64(s[0])
	case n == 2:
		return 2<<61 | uint64(s[1])<<8 | uint64(s[0])
	case n == 1:
		return 1<<61 | uint64(s[0])
	}
	return 0
}

// hash folds eight bytes at a time, the last eight overlapping those before.
func hash(s string) uint64 {
	const odd = 0x9FB21C651E98DF25
	h := uint64(len(s)) * odd
	for i := 0; i+8 < len(s); i += 8 {
		high, low := bits.Mul64(h^load64(s[i:]), odd)
		h = high ^ low
	}
	high, low := bits.Mul64(h^load64(s[len(s)-8:]), odd)
	return high ^ low
}

func load32(s string) uint32 {
	_ = s[3]
	return uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24
}

func load64(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}
