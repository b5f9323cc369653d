package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// unfinished begins the names of files that are being written.
const unfinished = ".mnemo-unfinished-"

// writeFile makes a file of what write writes: whole and on the disk, or not at
// all. It does not replace a file unless force is set. Only its owner may read it.
func writeFile(name string, force bool, write func(io.Writer) error) error {
	if _, err := os.Lstat(name); err == nil && !force {
		return fmt.Errorf("%s: %w; --force replaces it", name, fs.ErrExist)
	}
	d, err := newDraft(filepath.Dir(name))
	if err != nil {
		return err
	}
	defer d.drop()
	if err := write(d.file); err != nil {
		return err
	}
	return d.keep(name, force)
}

// A draft is a file that has no name yet.
type draft struct{ file *os.File }

func newDraft(dir string) (*draft, error) {
	file, err := os.CreateTemp(dir, unfinished+"*")
	if err != nil {
		return nil, err
	}
	return &draft{file}, nil
}

// keep gives the draft its name. Both are on the disk when it returns.
func (d *draft) keep(name string, force bool) error {
	if err := d.file.Sync(); err != nil {
		return err
	}
	if err := d.file.Close(); err != nil {
		return err
	}
	var err error
	if force {
		err = os.Rename(d.file.Name(), name)
	} else {
		err = renameNew(d.file.Name(), name)
	}
	if err != nil {
		return err
	}
	return syncDir(filepath.Dir(name))
}

// drop removes the draft unless it was kept.
func (d *draft) drop() {
	_ = d.file.Close()
	_ = os.Remove(d.file.Name())
}

// renameNew renames a file and fails if the new name is taken. A link does both at
// once; some file systems have none.
func renameNew(from, to string) error {
	err := os.Link(from, to)
	switch {
	case err == nil:
		return os.Remove(from)
	case errors.Is(err, fs.ErrExist):
		return err
	}
	if _, err := os.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", to, fs.ErrExist)
	}
	return os.Rename(from, to)
}

// syncDir makes the names in a directory outlast a power failure.
func syncDir(name string) error {
	if runtime.GOOS == "windows" { // which writes them at once and has no way to ask for it
		return nil
	}
	dir, err := os.Open(name) //nolint:gosec // the user names it
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }()
	return dir.Sync()
}
