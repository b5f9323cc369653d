package sqlitestore

import (
	"errors"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"unsafe"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// wiping is the name of a virtual file system of SQLite's: that of the system, but
// each page that goes into the database file is wiped first. Pages go there when
// the write-ahead log is emptied into it, by whatever connection, so that the
// file never has more than is in use. (SQLite's own cksumvfs changes pages like this.)
const wiping = "mnemo-wiping"

// Private

// register makes the file system known, once in a process.
var register = sync.OnceValue(func() error {
	tls := libc.NewTLS()
	defer tls.Close()
	system := sqlite3.Xsqlite3_vfs_find(tls, 0)
	own := libc.Xcalloc(tls, 1, libc.Tsize_t(unsafe.Sizeof(fileSystem{})))
	name, err := libc.CString(wiping)
	if system == 0 || own == 0 || err != nil {
		return errors.New("SQLite has no file system")
	}
	fs := at[fileSystem](own)
	fs.Tsqlite3_vfs, fs.system = *at[sqlite3.Tsqlite3_vfs](system), system
	fs.FzName, fs.FpNext = name, 0
	fs.FxOpen = pointer(openFile)
	fs.FszOsFile = fs.room() + int32(unsafe.Sizeof(methods{}))
	if sqlite3.Xsqlite3_vfs_register(tls, own, 0) != sqlite3.SQLITE_OK {
		return errors.New("SQLite refuses a file system")
	}
	return nil
})

// address is the URI of a file in the file system.
func address(path string) string {
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") { // a drive
		path = "/" + path
	}
	u := url.URL{Scheme: "file", Path: path, RawQuery: "vfs=" + wiping}
	return u.String()
}

type fileSystem struct {
	sqlite3.Tsqlite3_vfs
	system uintptr // the file system that it stands for
}

// room is what the system's file takes. Behind it are its methods.
func (fs *fileSystem) room() int32 {
	const word = int32(unsafe.Sizeof(uintptr(0)))
	return (at[sqlite3.Tsqlite3_vfs](fs.system).FszOsFile + word - 1) / word * word
}

// methods are those of an open database file.
type methods struct {
	sqlite3.Tsqlite3_io_methods
	write uintptr // the system's
}

// openFile has the system open a file. If it is a database, it is written by writePage.
func openFile(tls *libc.TLS, vfs, name, file uintptr, flags int32, outFlags uintptr) int32 {
	fs := at[fileSystem](vfs)
	open := function[func(tls *libc.TLS, vfs, name, file uintptr, flags int32, outFlags uintptr) int32](at[sqlite3.Tsqlite3_vfs](fs.system).FxOpen)
	result := open(tls, fs.system, name, file, flags, outFlags)
	if result != sqlite3.SQLITE_OK || flags&sqlite3.SQLITE_OPEN_MAIN_DB == 0 {
		return result
	}
	f, own := at[sqlite3.Tsqlite3_file](file), file+uintptr(fs.room())
	m := at[methods](own)
	m.Tsqlite3_io_methods = *at[sqlite3.Tsqlite3_io_methods](f.FpMethods)
	m.write, m.FxWrite = m.FxWrite, pointer(writePage)
	f.FpMethods = own
	return result
}

// writePage wipes a page and writes it. SQLite writes whole pages only, whose sizes are
// powers of two, from memory that it uses for nothing else or that is such a page.
func writePage(tls *libc.TLS, file, data uintptr, size int32, offset int64) int32 {
	if size >= 512 && size&(size-1) == 0 {
		wipe(unsafe.Slice(at[byte](data), size), offset == 0)
	}
	m := at[methods](at[sqlite3.Tsqlite3_file](file).FpMethods)
	write := function[func(tls *libc.TLS, file, data uintptr, size int32, offset int64) int32](m.write)
	return write(tls, file, data, size, offset)
}

// at is what stands at an address outside of Go's memory.
func at[T any](address uintptr) *T { return *(**T)(unsafe.Pointer(&address)) }

// pointer is a declared function as SQLite keeps it, and function the reverse: Go has a
// function value be a pointer, here to data that never moves.
func pointer[F any](f F) uintptr { return *(*uintptr)(unsafe.Pointer(&f)) }

func function[F any](p uintptr) F { return *(*F)(unsafe.Pointer(&p)) }
