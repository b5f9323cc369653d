package outbox

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/gofrs/flock"

	"mnemo/memory"
)

// A segment is one file of the spool: lines of JSON, one a turn. A line is blanked
// with spaces once its turn is stored or deleted. Its process holds a lock on the
// file itself as long as it lives.
type segment struct {
	path string
	file *os.File
	lock *flock.Flock
	size int64
	live int  // records that are not blanked
	soft bool // blanks are not synced
}

// A place is where a record is.
type place struct {
	segment *segment
	offset  int64
	length  int64 // with the line's end
}

// Private

// createSegment makes a file that nobody else takes over.
func createSegment(path string) (*segment, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	s := &segment{path: path, file: file, lock: flock.New(path, flock.SetFlag(os.O_RDWR))}
	locked, err := s.lock.TryLock()
	if err == nil && (!locked || !s.present()) {
		err = errors.New("another process took it")
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), s.close(), os.Remove(path))
	}
	return s, nil
}

// openSegment takes over the file of a process that died; nil if its process lives,
// or if another one was faster.
func openSegment(path string) (*segment, error) {
	s := &segment{path: path, lock: flock.New(path, flock.SetFlag(os.O_RDWR))}
	locked, err := s.lock.TryLock()
	if errors.Is(err, os.ErrNotExist) || err == nil && !locked {
		return nil, nil
	}
	if err == nil {
		s.file, err = os.OpenFile(path, os.O_RDWR, 0)
	}
	if err == nil && s.present() {
		return s, nil
	}
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	return nil, errors.Join(err, s.close())
}

// present reports whether the file is still the one in the directory.
func (s *segment) present() bool {
	there, err := os.Stat(s.path)
	if err != nil {
		return false
	}
	ours, err := s.file.Stat()
	if err != nil {
		return false
	}
	locked, err := s.lock.Stat()
	return err == nil && os.SameFile(there, ours) && os.SameFile(there, locked)
}

// scan calls found for each whole record and returns how many lines are damaged.
func (s *segment) scan(found func(key memory.Key, at place)) (damaged int, err error) {
	r := bufio.NewReaderSize(s.file, 1<<16)
	for {
		line, err := r.ReadBytes('\n')
		if err != nil && err != io.EOF {
			return damaged, err
		}
		if len(bytes.TrimLeft(line, " \n")) > 0 {
			if _, key, bad := recordOf(line); bad != nil || err == io.EOF {
				damaged++
			} else {
				s.live++
				found(key, place{s, s.size, int64(len(line))})
			}
		}
		s.size += int64(len(line))
		if err == io.EOF {
			return damaged, nil
		}
	}
}

// write appends records and syncs them; all of them or, after an error, none.
func (s *segment) write(records []byte, n int) error {
	_, err := s.file.WriteAt(records, s.size)
	if err == nil {
		err = s.file.Sync()
	}
	if err != nil {
		return errors.Join(err, s.file.Truncate(s.size))
	}
	s.size += int64(len(records))
	s.live += n
	return nil
}

// read reads the turn at a place.
func (p place) read(key memory.Key) (memory.Turn, error) {
	line := make([]byte, p.length)
	if _, err := p.segment.file.ReadAt(line, p.offset); err != nil {
		return memory.Turn{}, fmt.Errorf("%w: %w", errRecord, err)
	}
	return decodeRecord(key, line)
}

// blank overwrites a record.
func (p place) blank() error {
	blanks := append(bytes.Repeat([]byte{' '}, int(p.length)-1), '\n')
	_, err := p.segment.file.WriteAt(blanks, p.offset)
	p.segment.soft = true
	return err
}

func (s *segment) sync() error {
	if !s.soft {
		return nil
	}
	if err := s.file.Sync(); err != nil {
		return err
	}
	s.soft = false
	return nil
}

// remove empties the file, so that nothing comes back after a power failure, and
// removes it.
func (s *segment) remove() error {
	err := s.file.Truncate(0)
	if err == nil {
		err = s.file.Sync()
	}
	if err == nil && s.present() {
		err = os.Remove(s.path)
	}
	return errors.Join(err, s.close())
}

func (s *segment) close() error {
	if s.file == nil {
		return s.lock.Close()
	}
	return errors.Join(s.file.Close(), s.lock.Close())
}
