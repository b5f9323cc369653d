package proxy

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
)

// A clientListener hands out clientConns. It may be closed twice.
type clientListener struct {
	net.Listener
	strangers strangers
	once      sync.Once
	err       error // of closing
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
	c := &clientConn{Conn: conn, from: l}
	l.strangers.come(c)
	return c, nil
}

// A clientConn remembers that its client will send nothing more. The end of a
// chunked body and the end of the connection look alike in what fasthttp returns.
type clientConn struct {
	net.Conn
	from  *clientListener
	known atomic.Bool // it is no stranger any more
	ended atomic.Bool
}

func (c *clientConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 && !c.known.Load() {
		c.from.strangers.leave(c)
	}
	if errors.Is(err, io.EOF) {
		c.ended.Store(true)
	}
	return n, err
}

// NetConn is the connection below.
func (c *clientConn) NetConn() net.Conn { return c.Conn }

// Close closes the connection.
func (c *clientConn) Close() error {
	c.from.strangers.leave(c)
	return c.Conn.Close()
}

// Private

// hungUp reports whether the end of what the client sends has been read.
func hungUp(conn net.Conn) bool {
	c, ok := conn.(*clientConn)
	return ok && c.ended.Load()
}

// strangers are connections on which nothing has come yet. A fasthttp server that shuts
// down waits for them as if each had a request under way.
type strangers struct {
	mu    sync.Mutex
	conns map[*clientConn]struct{}
}

func (s *strangers) come(c *clientConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns == nil {
		s.conns = make(map[*clientConn]struct{})
	}
	s.conns[c] = struct{}{}
}

func (s *strangers) leave(c *clientConn) {
	if c.known.Swap(true) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

// sendOff closes them.
func (s *strangers) sendOff() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		_ = c.Conn.Close() // nobody has said anything yet
	}
}
