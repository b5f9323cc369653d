package proxy

import (
	"bufio"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"io"
	"strings"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

// decoder undoes a Content-Encoding. known is false for one that nobody here
// reads.
func decoder(encoding string, r io.Reader) (decoded io.Reader, known bool, err error) {
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "", "identity":
		return r, true, nil
	case "gzip", "x-gzip":
		decoded, err = gzip.NewReader(r)
	case "deflate":
		decoded, err = inflate(r)
	case "br":
		decoded = brotli.NewReader(r)
	case "zstd":
		decoded, err = zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(8<<20))
	default:
		return nil, false, nil
	}
	return decoded, true, err
}

// inflate reads deflate as it is defined, with a zlib header, and as some servers
// send it, without (RFC 9110, section 8.4.1.2).
func inflate(r io.Reader) (io.Reader, error) {
	buffered := bufio.NewReader(r)
	head, err := buffered.Peek(2)
	if err != nil {
		return nil, err
	}
	if head[0]&0x0f == 8 && (int(head[0])<<8|int(head[1]))%31 == 0 {
		return zlib.NewReader(buffered)
	}
	return flate.NewReader(buffered), nil
}

// decodedBody is the answer's body in plain. It was asked for so; an upstream
// that encodes all the same is decoded for the client too.
func (x *exchange) decodedBody() (io.Reader, error) {
	encoding := x.answer.Header.Get("Content-Encoding")
	if encoding == "" {
		return x.answer.Body, nil
	}
	body, known, err := decoder(encoding, x.answer.Body)
	if err != nil {
		x.answerFailed(err)
		return nil, cutBeforeHead(err)
	}
	if !known {
		return x.answer.Body, nil
	}
	x.answer.Header.Del("Content-Encoding")
	return body, nil
}
