package upstream

import (
	"context"
	"errors"
	"io"
	"net"
	"unsafe"
)

// Private

var errLength = errors.New("the body has another length than was announced")

// dial returns a dialling function whose connections write bodies without a
// copy.
func dial(d *net.Dialer) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := d.DialContext(ctx, network, address)
		if tcp, ok := c.(*net.TCPConn); ok && err == nil {
			return &conn{tcp}, nil
		}
		return c, err
	}
}

// A conn hands a body that is a string to the kernel as it is. net/http would
// copy what does not fit its write buffer through a new buffer of 32 kB.
type conn struct{ *net.TCPConn }

// ReadFrom writes what r holds. A request's body that can write itself is a
// string of exactly the length that is left; uploads cannot.
func (c *conn) ReadFrom(r io.Reader) (int64, error) {
	limited, ok := r.(*io.LimitedReader)
	if !ok {
		return c.TCPConn.ReadFrom(r)
	}
	body, ok := limited.R.(io.WriterTo)
	if !ok {
		return c.TCPConn.ReadFrom(r)
	}
	n, err := body.WriteTo(c)
	if limited.N -= n; err == nil && limited.N != 0 {
		err = errLength
	}
	return n, err
}

// WriteString writes s. A connection only reads what it is given to write.
func (c *conn) WriteString(s string) (int, error) {
	return c.Write(unsafe.Slice(unsafe.StringData(s), len(s)))
}
