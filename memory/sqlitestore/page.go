package sqlitestore

import "encoding/binary"

const (
	// maxPages bounds a file, to 128 GiB with the usual pages. Up to there the first
	// byte of a page that is none of a b-tree is 0 or 1: it begins with the number of
	// another page.
	maxPages = 1<<25 - 1
	// fileHeader is what stands before the first page's own header.
	fileHeader = 100
)

// Private

// wipe overwrites what a b-tree page does not use: what lies between the pointers to
// its cells and the cells. There SQLite leaves copies of rows that it moved to another
// page, whatever secure_delete says; the rest of a page's free space it overwrites
// itself. The format is that of https://www.sqlite.org/fileformat.html, section 1.6.
func wipe(page []byte, first bool) {
	header := 0
	if first {
		header = fileHeader
	}
	if len(page) < header+12 {
		return
	}
	h := page[header:]
	pointers := header
	switch h[0] {
	case 2, 5: // interior pages, of an index and of a table
		pointers += 12
	case 10, 13: // leaves
		pointers += 8
	default:
		return
	}
	from := pointers + 2*int(binary.BigEndian.Uint16(h[3:]))
	to := int(binary.BigEndian.Uint16(h[5:]))
	if from < to && to <= len(page) {
		clear(page[from:to])
	}
}
