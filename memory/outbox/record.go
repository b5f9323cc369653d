package outbox

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"

	"github.com/tidwall/gjson"

	"mnemo/memory"
)

// errRecord means that a line of the spool is not what was written.
var errRecord = errors.New("the spooled turn is damaged")

// Private

const (
	crcHead = `{"crc":"`
	crcTail = `",`
	crcSize = len(crcHead) + 8 + len(crcTail)
	// folded begins a record whose client put line ends into its JSON, which must come
	// back byte for byte.
	folded = `"base64":"`
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// encodeRecord is a turn as a line of JSON that begins with a CRC-32C of the rest.
func encodeRecord(key memory.Key, t *memory.Turn) []byte {
	turn := memory.EncodeTurn(t)
	b := make([]byte, crcSize, crcSize+len(turn)+len(t.System)+len(t.Persona)+2*memory.MaxKeyLength+64)
	b = append(b, `"tenant":`...)
	b = gjson.AppendJSONString(b, key.Tenant)
	b = append(b, `,"session":`...)
	b = gjson.AppendJSONString(b, key.Session)
	if t.Persona != "" {
		b = append(b, `,"persona":`...)
		b = gjson.AppendJSONString(b, t.Persona)
	}
	if t.System != "" {
		b = append(append(b, `,"system":`...), t.System...)
	}
	b = append(append(b, `,"turn":`...), turn...)
	if bytes.IndexByte(b[crcSize:], '\n') >= 0 {
		f := append(make([]byte, crcSize, crcSize+len(folded)+base64.StdEncoding.EncodedLen(len(b))+3), folded...)
		b = append(base64.StdEncoding.AppendEncode(f, b[crcSize:]), '"')
	}
	b = append(b, '}')
	copy(b, fmt.Sprintf("%s%08x%s", crcHead, crc32.Checksum(b[crcSize:], castagnoli), crcTail))
	return append(b, '\n')
}

// recordOf checks a line and returns its JSON, and whose it is.
func recordOf(line []byte) (object string, key memory.Key, err error) {
	line = bytes.TrimSuffix(line, []byte("\n"))
	if len(line) < crcSize || string(line[:crcSize]) != fmt.Sprintf("%s%08x%s", crcHead, crc32.Checksum(line[crcSize:], castagnoli), crcTail) {
		return "", memory.Key{}, errRecord
	}
	rest := string(line[crcSize:])
	if text, ok := strings.CutPrefix(rest, folded); ok {
		unfolded, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(text, `"}`))
		if err != nil {
			return "", memory.Key{}, fmt.Errorf("%w: %w", errRecord, err)
		}
		rest = string(unfolded) + "}"
	}
	object = "{" + rest
	key.Tenant = strings.Clone(gjson.Get(object, "tenant").String())
	key.Session = strings.Clone(gjson.Get(object, "session").String())
	if err := key.Check(); err != nil {
		return "", memory.Key{}, fmt.Errorf("%w: %w", errRecord, err)
	}
	return object, key, nil
}

// decodeRecord reads the turn of a session from a line.
func decodeRecord(key memory.Key, line []byte) (memory.Turn, error) {
	object, owner, err := recordOf(line)
	if err != nil {
		return memory.Turn{}, err
	}
	if owner != key {
		return memory.Turn{}, fmt.Errorf("%w: it is another session's", errRecord)
	}
	t, err := memory.DecodeTurn(0, gjson.Get(object, "turn").Raw)
	if err != nil {
		return memory.Turn{}, fmt.Errorf("%w: %w", errRecord, err)
	}
	t.System, t.Persona = gjson.Get(object, "system").Raw, gjson.Get(object, "persona").String()
	t.Redelivered = true
	return t, nil
}
