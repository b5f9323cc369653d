package redisstore

import "mnemo/memory"

// Private

// current is the reply of load that says all by itself: the cached tail is enough.
const current = int64(1)

// The fields of a head in a reply of load, after its numbers and before the turns.
const (
	headSystem = 9 + iota
	headPersona
	headSummary
	headFields
)

// decode reads a reply of load to what was asked with a tail.
func decode(reply any, tail memory.Tail) (memory.Head, []memory.Turn, error) {
	fields, _ := reply.([]any)
	if len(fields) < headFields || (len(fields)-headFields)%2 != 0 {
		return memory.Head{}, nil, unknown(reply)
	}
	var head memory.Head
	err := numbers(fields, &head.Revision.Life, &head.Revision.Branch, &head.Revision.Summary, &head.Seq,
		&head.Totals.Turns, &head.Totals.Messages, &head.Totals.Groups, &head.Totals.Tokens, &head.Totals.Bytes)
	if err != nil {
		return memory.Head{}, nil, err
	}
	had := tail.At(head).Session
	head.System, head.Persona, head.Summary = had.System, had.Persona, had.Summary
	if system, ok := fields[headSystem].(string); ok {
		head.System = system
	}
	if persona, ok := fields[headPersona].(string); ok {
		head.Persona = persona
	}
	if _, changed := fields[headSummary].(string); changed {
		if head.Summary, err = decodeSummary(head.Revision.Summary, fields[headSummary]); err != nil {
			return memory.Head{}, nil, err
		}
	}
	stored := fields[headFields:]
	read := make([]memory.Turn, len(stored)/2)
	for i := range read {
		seq, err := number(stored[2*i])
		if err != nil {
			return memory.Head{}, nil, err
		}
		if read[len(read)-1-i], err = decodeTurn(seq, stored[2*i+1]); err != nil {
			return memory.Head{}, nil, err
		}
	}
	return head, read, nil
}

// decodeSummary reads the summary that became the session's when its changes were
// counted to version, and still is; nil if it is absent.
func decodeSummary(version int64, field any) (*memory.Summary, error) {
	text, _ := field.(string)
	if text == "" {
		return nil, nil //nolint:nilnil // no summary is a summary of nothing
	}
	return memory.DecodeSummary(version, text)
}
