package sqlitestore

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// pageOf is a page full of ones with a b-tree's header.
func pageOf(header int, kind byte, cells, content uint16) []byte {
	page := bytes.Repeat([]byte{1}, 4096)
	page[header] = kind
	binary.BigEndian.PutUint16(page[header+3:], cells)
	binary.BigEndian.PutUint16(page[header+5:], content)
	return page
}

func TestWipe_overwrites_what_lies_between_pointers_and_cells(t *testing.T) {
	for name, tt := range map[string]struct {
		page     []byte
		first    bool
		from, to int
	}{
		"a leaf of a table":          {pageOf(0, 13, 3, 4000), false, 8 + 6, 4000},
		"a leaf of an index":         {pageOf(0, 10, 200, 409), false, 8 + 400, 409},
		"an interior page":           {pageOf(0, 5, 1, 4096), false, 12 + 2, 4096},
		"an interior index page":     {pageOf(0, 2, 1, 300), false, 12 + 2, 300},
		"an empty leaf":              {pageOf(0, 13, 0, 4096), false, 8, 4096},
		"the first page":             {pageOf(100, 13, 2, 1000), true, 100 + 8 + 4, 1000},
		"a full leaf":                {pageOf(0, 13, 200, 408), false, 0, 0},
		"cells before their pointer": {pageOf(0, 13, 200, 100), false, 0, 0},
		"cells beyond the end":       {pageOf(0, 13, 3, 4097), false, 0, 0},
		"an overflow page":           {pageOf(0, 0, 3, 4000), false, 0, 0},
		"a far overflow page":        {pageOf(0, 1, 3, 4000), false, 0, 0},
		"no page":                    {[]byte{13, 0, 0, 0, 0, 1}, false, 0, 0},
	} {
		want := bytes.Clone(tt.page)
		clear(want[tt.from:tt.to])
		if wipe(tt.page, tt.first); !bytes.Equal(tt.page, want) {
			t.Errorf("%s is wiped elsewhere than from %d to %d", name, tt.from, tt.to)
		}
	}
}

func FuzzWipe(f *testing.F) {
	f.Add(pageOf(0, 13, 3, 4000), false)
	f.Add(pageOf(100, 5, 3, 500), true)
	f.Fuzz(func(t *testing.T, page []byte, first bool) {
		was := bytes.Clone(page)
		wipe(page, first)
		header := 8
		if first {
			header += 100
		}
		if n := min(len(page), header); !bytes.Equal(page[:n], was[:n]) {
			t.Fatal("the header is wiped")
		}
		for i := range page {
			if page[i] != was[i] && page[i] != 0 {
				t.Fatalf("byte %d is %d", i, page[i])
			}
		}
	})
}
