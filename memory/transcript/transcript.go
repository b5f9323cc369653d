// Package transcript is a session as a document. JSON and JSONL hold all of it,
// exactly: what is read from one and written again is the same, byte for byte.
// Markdown, Text and CSV are for people.
package transcript

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"iter"

	"mnemo/memory"
)

// Formats of a document.
const (
	JSON     Format = "json"  // one object
	JSONL    Format = "jsonl" // a line for the session, then one for each turn
	Markdown Format = "md"    // each message in a fence, so that it runs and forges nothing
	Text     Format = "txt"   // each message indented under its role
	CSV      Format = "csv"   // a row for each message (RFC 4180)
)

// A Format is how a document is written. Its text is the file's extension.
type Format string

// Options of a document for people. JSON and JSONL have no options.
type Options struct {
	Superseded bool // superseded turns too, marked
	BOM        bool // begin a CSV with a byte order mark, by which spreadsheets know UTF-8
}

// A Pager is what a memory.Store is to Pages.
type Pager interface {
	Turns(ctx context.Context, key memory.Key, before int64, limit int) ([]memory.Turn, error)
}

// ParseFormat returns the format with the name.
func ParseFormat(name string) (Format, error) {
	f := Format(name)
	if f.style(Options{}) == nil {
		return "", fmt.Errorf("a document is json, jsonl, md, txt or csv, not %q", name)
	}
	return f, nil
}

// MediaType is the format's media type.
func (f Format) MediaType() string {
	switch f {
	case JSON:
		return "application/json"
	case JSONL:
		return "application/x-ndjson"
	case Markdown:
		return "text/markdown; charset=utf-8"
	case CSV:
		return "text/csv; charset=utf-8; header=present"
	}
	return "text/plain; charset=utf-8"
}

// Exact reports whether Read reads the format.
func (f Format) Exact() bool { return f == JSON || f == JSONL }

// Pages reads the log of a session up to the turn last, oldest first, with no more
// than a few turns in memory. Stores page backwards; because sequence numbers have
// no gaps the pages can be taken forwards.
func Pages(ctx context.Context, store Pager, key memory.Key, last int64) iter.Seq2[*memory.Turn, error] {
	return func(yield func(*memory.Turn, error) bool) {
		for at := int64(0); at < last; {
			next := min(at+pageSize, last)
			turns, err := store.Turns(ctx, key, next+1, int(next-at))
			if err == nil && (int64(len(turns)) != next-at || turns[0].Seq != at+1) {
				err = fmt.Errorf("turns %d to %d: %w", at+1, next, memory.ErrConflict)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			for i := range turns {
				if !yield(&turns[i], nil) {
					return
				}
			}
			at = next
		}
	}
}

// Write writes the session that info describes. turns are all of its turns up to
// info.Seq, oldest first. A turn that one behind info.Seq superseded counts as
// live, so that the document is the session as it was when info was read, whatever
// happens to it meanwhile.
func Write(w io.Writer, f Format, info *memory.Info, turns iter.Seq2[*memory.Turn, error], o Options) error {
	out := bufio.NewWriterSize(w, bufferSize)
	style := f.style(o)
	if style == nil {
		return fmt.Errorf("write session %s: no format %q", info.Key.Session, f)
	}
	buffer := style.begin(nil, info)
	seq := int64(0)
	for turn, err := range turns {
		if err != nil {
			return fmt.Errorf("write session %s: %w", info.Key.Session, err)
		}
		if seq++; turn.Seq != seq || seq > info.Seq {
			return fmt.Errorf("write session %s: turn %d stands at place %d of %d", info.Key.Session, turn.Seq, seq, info.Seq)
		}
		own := *turn
		if own.SupersededBy > info.Seq {
			own.SupersededBy = 0
		}
		if own.SupersededBy == 0 || o.Superseded || f.Exact() {
			buffer = style.turn(buffer, &own)
		}
		if _, err := out.Write(buffer); err != nil {
			return err
		}
		buffer = buffer[:0]
	}
	if seq != info.Seq {
		return fmt.Errorf("write session %s: %d turns of %d", info.Key.Session, seq, info.Seq)
	}
	if _, err := out.Write(style.end(buffer)); err != nil {
		return err
	}
	return out.Flush()
}

// Private

const (
	pageSize   = 32 // turns
	bufferSize = 64 << 10
)

// A style appends the parts of a document.
type style interface {
	begin(b []byte, info *memory.Info) []byte
	turn(b []byte, t *memory.Turn) []byte
	end(b []byte) []byte
}

func (f Format) style(o Options) style {
	switch f {
	case JSON:
		return &exact{}
	case JSONL:
		return &exact{lines: true}
	case Markdown:
		return markdown{}
	case Text:
		return plainText{}
	case CSV:
		return csv{bom: o.BOM}
	}
	return nil
}
