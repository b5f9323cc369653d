package proxy

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"

	"github.com/valyala/fasthttp"
)

// A clientListener hands out clientConns. It may be closed twice.
type clientListener struct {
	net.Listener
	once sync.Once
	err  error // of closing
}

// Close makes Accept return.
func (l *clientListener) Close() error {
	l.once.Do(func() { l.err = l.Listener.Close() })
	return l.err
}

// Accept waits for the next client.
func (l *clientListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &clientConn{Conn: conn}, nil
}

// A clientConn remembers that its client will send nothing more. The end of a
// chunked body and the end of the connection look alike in what fasthttp returns.
type clientConn struct {
	net.Conn
	ended atomic.Bool
}

func (c *clientConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if errors.Is(err, io.EOF) {
		c.ended.Store(true)
	}
	return n, err
}

// NetConn is the connection below.
func (c *clientConn) NetConn() net.Conn { return c.Conn }

// strangers are connections on which nothing has come yet. A fasthttp server that shuts
// down waits for them as if they had a request under way.
type strangers struct {
	mu    sync.Mutex
	conns map[net.Conn]struct{}
}

// watch is the server's ConnState.
func (s *strangers) watch(conn net.Conn, state fasthttp.ConnState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if state != fasthttp.StateNew {
		delete(s.conns, conn)
		return
	}
	if s.conns == nil {
		s.conns = make(map[net.Conn]struct{})
	}
	s.conns[conn] = struct{}{}
}

// sendOff closes them.
func (s *strangers) sendOff() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.conns {
		_ = conn.Close() // nobody has said anything yet
	}
	clear(s.conns)
}

// Private

// hungUp reports whether the end of what the client sends has been read.
func hungUp(conn net.Conn) bool {
	c, ok := conn.(*clientConn)
	return ok && c.ended.Load()
}
