package proxy

import (
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// watchDelay is how long a call may run before its client's connection is
// watched. Most calls of a fast upstream never pay for the watching.
const watchDelay = 150 * time.Millisecond

// A goneWatch notices that a client has closed its connection while its request
// is being answered. fasthttp reads nothing from a connection meanwhile and so
// would learn of it only by a failed write.
type goneWatch struct {
	conn  net.Conn
	raw   syscall.RawConn
	gone  func()
	timer *time.Timer
	mu    sync.Mutex
	done  chan struct{} // closed when the watching goroutine ends; nil before it starts
	over  bool
}

// watchGone calls gone once if the peer closes conn, until stop is called. The
// request's body must have been read: nobody else may read conn in between.
func watchGone(conn net.Conn, gone func()) *goneWatch {
	w := &goneWatch{conn: conn, gone: gone}
	w.raw = rawConn(conn)
	if w.raw == nil {
		return w
	}
	w.timer = time.AfterFunc(watchDelay, w.run)
	return w
}

// stop ends the watching. When it returns the connection may be read again.
func (w *goneWatch) stop() {
	if w == nil || w.timer == nil || w.timer.Stop() {
		return
	}
	w.mu.Lock()
	w.over = true
	done := w.done
	w.mu.Unlock()
	if done == nil {
		return
	}
	// A deadline in the past is what unblocks a read that waits.
	w.conn.SetReadDeadline(time.Unix(1, 0)) //nolint:errcheck // then the read has ended anyway
	<-done
	w.conn.SetReadDeadline(time.Time{}) //nolint:errcheck // the next read says so itself
}

// A gonePoll asks again and again whether a client has closed its connection,
// while somebody else reads it.
type gonePoll struct {
	once sync.Once
	over chan struct{}
}

// pollGone calls gone once if the peer closes conn, until stop is called.
func pollGone(conn net.Conn, gone func()) *gonePoll {
	p := &gonePoll{over: make(chan struct{})}
	go func() {
		tick := time.NewTicker(watchDelay)
		defer tick.Stop()
		for {
			select {
			case <-p.over:
				return
			case <-tick.C:
				if connClosed(conn) {
					gone()
					return
				}
			}
		}
	}()
	return p
}

func (p *gonePoll) stop() {
	if p != nil {
		p.once.Do(func() { close(p.over) })
	}
}

// Private

func (w *goneWatch) run() {
	w.mu.Lock()
	if w.over {
		w.mu.Unlock()
		return
	}
	done := make(chan struct{})
	w.done = done
	w.mu.Unlock()
	defer close(done)

	left := false
	err := w.raw.Read(func(fd uintptr) bool {
		left = peerClosed(fd)
		return left
	})
	if left || (err != nil && !errors.Is(err, os.ErrDeadlineExceeded)) {
		w.gone()
	}
}

// rawConn reaches below TLS to the socket.
func rawConn(conn net.Conn) syscall.RawConn {
	sc, ok := socket(conn).(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}

// socket is the connection below what wraps it.
func socket(conn net.Conn) net.Conn {
	for {
		wrapper, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			return conn
		}
		conn = wrapper.NetConn()
	}
}

// resetAtClose makes the connection end with a reset, where a plain end would
// look like the end of the answer.
func resetAtClose(conn net.Conn) {
	if tcp, ok := socket(conn).(*net.TCPConn); ok {
		tcp.SetLinger(0) //nolint:errcheck // then the end looks clean, which nothing can help
	}
}

// connClosed reports whether the peer has closed its side of conn.
func connClosed(conn net.Conn) bool {
	raw := rawConn(conn)
	if raw == nil {
		return false
	}
	closed := false
	if err := raw.Control(func(fd uintptr) { closed = peerClosed(fd) }); err != nil {
		return true
	}
	return closed
}
