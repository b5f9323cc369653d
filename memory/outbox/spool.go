package outbox

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"mnemo/memory"
)

const (
	// segmentBytes is the size at which a file is followed by the next one.
	segmentBytes = 16 << 20

	segmentPrefix = "outbox-"
	segmentSuffix = ".jsonl"
)

// errSpoolFull means that the spool has no room.
var errSpoolFull = errors.New("the spool is full")

// A spool is the files of this process in a directory, which other processes may
// share. One goroutine at a time may use it; places may be read by others.
type spool struct {
	dir      string
	max      int64
	name     string // of this process's files; their order is that of the processes' starts
	made     int
	segments map[string]*segment // by path
	active   *segment            // the one that is written to, or nil
	bytes    atomic.Int64        // of all segments
}

// A leftover is a record of a process that died.
type leftover struct {
	key   memory.Key
	place place
}

func newSpool(dir string, maxBytes int64, now time.Time) (*spool, error) {
	whole, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(whole, 0o700); err != nil {
		return nil, err
	}
	probe, err := os.CreateTemp(whole, "probe-")
	if err == nil {
		err = errors.Join(probe.Close(), os.Remove(probe.Name()))
	}
	if err != nil {
		return nil, err
	}
	name := segmentPrefix + now.UTC().Format("20060102T150405.000000000") + "-" + rand.Text()[:10]
	return &spool{dir: whole, max: maxBytes, name: name, segments: map[string]*segment{}}, nil
}

// Private

// adopt takes over the files of processes that died, in their order. What it found
// is returned even with an error.
func (s *spool) adopt() (found []leftover, damaged int, err error) {
	files, err := os.ReadDir(s.dir)
	if errors.Is(err, os.ErrNotExist) {
		err = nil // it was removed, and will be made when it is needed
	}
	for _, file := range files {
		path := filepath.Join(s.dir, file.Name())
		if !strings.HasPrefix(file.Name(), segmentPrefix) || !strings.HasSuffix(file.Name(), segmentSuffix) || s.segments[path] != nil {
			continue
		}
		segment, oerr := openSegment(path)
		if segment == nil {
			err = errors.Join(err, oerr)
			continue
		}
		n, serr := segment.scan(func(key memory.Key, at place) { found = append(found, leftover{key, at}) })
		damaged += n
		s.segments[path] = segment
		s.bytes.Add(segment.size)
		if serr == nil && segment.live == 0 {
			serr = s.remove(segment)
		}
		err = errors.Join(err, serr)
	}
	return found, damaged, err
}

// write appends records and returns where they are.
func (s *spool) write(records [][]byte) ([]place, error) {
	var joined []byte
	for _, r := range records {
		joined = append(joined, r...)
	}
	if s.bytes.Load()+int64(len(joined)) > s.max {
		return nil, errSpoolFull
	}
	if s.active != nil && (s.active.size >= segmentBytes || !s.active.present()) {
		s.active = nil
	}
	if s.active == nil {
		if err := s.create(); err != nil {
			return nil, err
		}
	}
	at := s.active.size
	if err := s.active.write(joined, len(records)); err != nil {
		full := s.active
		s.active = nil // what it holds may be in disorder
		if full.live == 0 {
			err = errors.Join(err, s.remove(full))
		}
		return nil, err
	}
	s.bytes.Add(int64(len(joined)))
	places := make([]place, len(records))
	for i, r := range records {
		places[i] = place{s.active, at, int64(len(r))}
		at += int64(len(r))
	}
	return places, nil
}

func (s *spool) create() error {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	s.made++
	path := filepath.Join(s.dir, fmt.Sprintf("%s-%06d%s", s.name, s.made, segmentSuffix))
	segment, err := createSegment(path)
	if err != nil {
		return err
	}
	s.active = segment
	s.segments[path] = segment
	return s.syncDir()
}

// syncDir makes a new file's name last.
func (s *spool) syncDir() error {
	dir, err := os.Open(s.dir)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// blank overwrites records; files without any other are removed. After an error the
// places that are returned are still to be blanked.
func (s *spool) blank(places []place) (left []place, err error) {
	bySegment := map[*segment][]place{}
	for _, p := range places {
		bySegment[p.segment] = append(bySegment[p.segment], p)
	}
	for segment, places := range bySegment {
		if len(places) == segment.live {
			if rerr := s.remove(segment); rerr != nil {
				left, err = append(left, places...), errors.Join(err, rerr)
			}
			continue
		}
		for _, p := range places {
			if berr := p.blank(); berr != nil {
				left, err = append(left, p), errors.Join(err, berr)
				continue
			}
			segment.live--
		}
	}
	return left, err
}

// sync makes blanks last.
func (s *spool) sync() error {
	var err error
	for _, segment := range s.segments {
		err = errors.Join(err, segment.sync())
	}
	return err
}

func (s *spool) remove(segment *segment) error {
	if err := segment.remove(); err != nil {
		return err
	}
	segment.live = 0
	s.bytes.Add(-segment.size)
	delete(s.segments, segment.path)
	if s.active == segment {
		s.active = nil
	}
	return nil
}

// close keeps the files and lets go of them.
func (s *spool) close() error {
	err := s.sync()
	for _, segment := range s.segments {
		err = errors.Join(err, segment.close())
	}
	return err
}
