package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"mnemo/memory/transcript"
	"mnemo/proxy/manage"
)

const (
	// archiveName bounds what the name of an archive's file has of the session's id.
	archiveName = 60
	// archiveSum is how many bytes of the document's hash are in the name.
	archiveSum = 8
)

// errChanged means that a session is no longer as it was described.
var errChanged = errors.New("the session changed meanwhile")

// Private

// write makes a session's file, unless an interrupted run made it already, and
// reads it back. fresh says that there was none before.
func (a *archiver) write(ctx context.Context, s *manage.SessionDetail, tag string) (name string, fresh bool, err error) {
	d, err := newDraft(a.dir)
	if err != nil {
		return "", false, err
	}
	defer d.drop()
	hash := sha256.New()
	exported, err := a.api.export(ctx, s.ID, url.Values{"format": {string(transcript.JSONL)}}, io.MultiWriter(d.file, hash))
	switch {
	case err != nil:
		return "", false, err
	case exported != tag:
		return "", false, errChanged
	}
	sum := hash.Sum(nil)
	name = filepath.Join(a.dir, archiveFileName(s.ID, sum))
	fresh = true
	if err = d.keep(name, false); errors.Is(err, fs.ErrExist) {
		fresh, err = false, syncDir(a.dir)
	}
	if err != nil {
		return "", false, err
	}
	if err := verifyArchive(name, sum, s); err != nil {
		if fresh {
			err = errors.Join(err, os.Remove(name))
		}
		return "", false, err
	}
	return name, fresh, nil
}

// archiveFileName is a name that every file system takes. It is that of the
// document: two sessions, or two states of one, never meet.
func archiveFileName(id string, sum []byte) string {
	safe := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune("-_.", r):
			return r
		}
		return '_'
	}, id[:min(len(id), archiveName)])
	if strings.IndexAny(safe, "-.") == 0 { // it would be a flag, or hidden
		safe = "_" + safe[1:]
	}
	return safe + "-" + hex.EncodeToString(sum[:archiveSum]) + "." + string(transcript.JSONL)
}

// verifyArchive reads a file back and compares it with what was received, and what
// it says with what the server says.
func verifyArchive(name string, sum []byte, s *manage.SessionDetail) error {
	data, err := os.ReadFile(name) //nolint:gosec // it was written just now
	if err != nil {
		return err
	}
	if read := sha256.Sum256(data); !bytes.Equal(read[:], sum) {
		return fmt.Errorf("%s: it does not hold what was received", name)
	}
	document, err := transcript.Read(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	turns, last := int64(len(document.Turns)), int64(0)
	if turns > 0 {
		last = document.Turns[turns-1].Seq
	}
	if all := s.Turns + s.Superseded; document.ID != s.ID || turns != all || last != all || document.Totals.Turns != s.Turns {
		return fmt.Errorf("%s: it holds %d turns of %s, up to turn %d; the session has %d", name, turns, printable(document.ID), last, all)
	}
	return nil
}
