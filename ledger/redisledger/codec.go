package redisledger

import (
	"encoding/binary"
	"errors"
	"time"

	"mnemo/ledger"
)

// Private

var errDamaged = errors.New("a row of the ledger is damaged")

// A counter is one value of the sums over a group: its field is the value's place in
// ledger.Columns and the group.
type counter struct {
	field string
	value int64
}

// countersOf are those of one call that are not 0.
func countersOf(e *ledger.Entry) (all []counter) {
	sums, group := ledger.SumsOf(e), string(appendGroup(nil, groupOf(e)))
	for i, v := range sums.Values() {
		if *v != 0 {
			all = append(all, counter{string(rune(i)) + group, *v})
		}
	}
	return all
}

// decodeCounter adds a counter to its group's sums. A value that a newer version counts
// is left out.
func decodeCounter(field string) (column int, g ledger.Group, err error) {
	if field == "" || field[0] >= 0x80 {
		return 0, g, errDamaged
	}
	_, err = readGroup(field[1:], &g)
	return int(field[0]), g, err
}

// encodeRow is what is added up of a call, but for its session.
func encodeRow(e *ledger.Entry) string {
	b := binary.AppendUvarint(make([]byte, 0, 128), uint64(e.Time.UnixMilli()))
	b = appendGroup(b, groupOf(e))
	sums := ledger.SumsOf(e)
	for _, v := range sums.Values() {
		b = binary.AppendVarint(b, *v)
	}
	return string(b)
}

// decodeRow reads a row. Values that an older version did not have are 0, and those of a
// newer one are left out.
func decodeRow(text string) (g ledger.Group, sums ledger.Sums, err error) {
	b := []byte(text)
	at, n := binary.Uvarint(b)
	if n <= 0 {
		return g, sums, errDamaged
	}
	rest, err := readGroup(text[n:], &g)
	if err != nil {
		return g, sums, err
	}
	g.Time = time.UnixMilli(int64(at)).UTC()
	b = b[len(b)-len(rest):]
	for _, v := range sums.Values() {
		if len(b) == 0 {
			break
		}
		if *v, n = binary.Varint(b); n <= 0 {
			return g, sums, errDamaged
		}
		b = b[n:]
	}
	return g, sums, nil
}

// groupOf is the dimensions of a call that rolling up keeps, but for those of its keys.
func groupOf(e *ledger.Entry) ledger.Group {
	return ledger.Group{Operation: e.Operation, Model: e.Model(), Upstream: e.Upstream, Key: e.Key}
}

func appendGroup(b []byte, g ledger.Group) []byte {
	for _, text := range []string{g.Operation, g.Model, g.Upstream, g.Key} {
		b = append(binary.AppendUvarint(b, uint64(len(text))), text...)
	}
	return b
}

// readGroup returns what follows the group.
func readGroup(text string, g *ledger.Group) (rest string, err error) {
	for _, to := range []*string{&g.Operation, &g.Model, &g.Upstream, &g.Key} {
		size, n := binary.Uvarint([]byte(text[:min(len(text), binary.MaxVarintLen64)]))
		if n <= 0 || size > uint64(len(text)-n) {
			return "", errDamaged
		}
		*to, text = text[n:n+int(size)], text[n+int(size):]
	}
	return text, nil
}
