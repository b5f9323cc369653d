package proxy

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/valyala/fasthttp"

	"mnemo/memory"
	"mnemo/memory/sqlitestore"
	"mnemo/memory/tokens"
	"mnemo/proxy/upstream"
	"mnemo/telemetry"
)

// BenchmarkCall measures a whole call from outside, plain and streamed: through a
// bare reverse proxy of net/http as the yardstick, and through mnemo without and
// with memory (a session of 50 messages in SQLite). What the client and the fake
// upstream cost is in all of them. events/op of a stream is 100.
func BenchmarkCall(b *testing.B) {
	up := serveBench(b, fakeModel)
	reverse := serveReverseProxy(b, up)
	own := serveMnemo(b, up)
	for _, kind := range []struct{ name, body string }{
		{"plain", user(strings.Repeat("hello ", 30))},
		{"stream", user(strings.Repeat("hello ", 30), `"stream":true`)},
	} {
		for _, c := range []struct{ name, addr, header string }{
			{"reverse_proxy", reverse, ""},
			{"mnemo", own, ""},
			{"mnemo_memory", own, "X-Session-ID: bench-%d\r\n"},
		} {
			b.Run(kind.name+"/"+c.name, func(b *testing.B) {
				b.ReportAllocs()
				b.SetParallelism(16)
				var clients atomic.Int64
				b.RunParallel(func(pb *testing.PB) {
					id := clients.Add(1)
					header := c.header
					if header != "" {
						header = fmt.Sprintf(header, id)
					}
					client := dialBench(b, c.addr)
					defer client.conn.Close()
					request := []byte(fmt.Sprintf("POST /v1/chat/completions HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer k\r\n%sContent-Length: %d\r\n\r\n%s", header, len(kind.body), kind.body))
					for pb.Next() {
						if err := client.call(request); err != nil {
							b.Error(err)
							return
						}
					}
				})
			})
		}
	}
}

// A benchClient is a connection that costs little.
type benchClient struct {
	conn net.Conn
	in   *bufio.Reader
	resp fasthttp.Response
}

func dialBench(b *testing.B, addr string) *benchClient {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	return &benchClient{conn: conn, in: bufio.NewReaderSize(conn, 64<<10)}
}

func (c *benchClient) call(request []byte) error {
	if _, err := c.conn.Write(request); err != nil {
		return err
	}
	c.resp.Reset()
	if err := c.resp.Read(c.in); err != nil {
		return err
	}
	if c.resp.StatusCode() != http.StatusOK || !bytes.Contains(c.resp.Body(), []byte(`"choices"`)) {
		return fmt.Errorf("answer %d: %.200s", c.resp.StatusCode(), c.resp.Body())
	}
	return nil
}

// fakeModel answers at once, with 1 kB or with a stream of 100 events, each in a
// write of its own.
func fakeModel(ctx *fasthttp.RequestCtx) {
	if !bytes.Contains(ctx.Request.Body(), []byte(`"stream":true`)) {
		ctx.SetContentType("application/json")
		ctx.SetBodyString(completion(strings.Repeat("word ", 150)))
		return
	}
	ctx.SetContentType("text/event-stream")
	event := chunk(`{"content":" word"}`, "null")
	ctx.SetBodyStreamWriter(func(w *bufio.Writer) {
		for range 98 {
			w.WriteString(event)
			w.Flush()
		}
		w.WriteString(chunk(`{}`, "stop"))
		w.WriteString(usageEvent)
		w.WriteString(doneEvent)
	})
}

func serveBench(b *testing.B, handler fasthttp.RequestHandler) (addr string) {
	l := listenBench(b)
	server := &fasthttp.Server{Handler: handler}
	go server.Serve(l)
	b.Cleanup(func() { server.Shutdown() })
	return l.Addr().String()
}

func serveReverseProxy(b *testing.B, up string) (addr string) {
	target := &url.URL{Scheme: "http", Host: up}
	l := listenBench(b)
	transport := &http.Transport{MaxIdleConnsPerHost: 512, DisableCompression: true}
	server := &http.Server{Handler: &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, FlushInterval: -1, Transport: transport,
	}}
	go server.Serve(l)
	b.Cleanup(func() { server.Close(); transport.CloseIdleConnections() })
	return l.Addr().String()
}

func serveMnemo(b *testing.B, up string) (addr string) {
	ctx := context.Background()
	store, err := sqlitestore.Open(ctx, sqlitestore.Options{Path: b.TempDir() + "/m.db"})
	if err != nil {
		b.Fatal(err)
	}
	pool, err := upstream.New(upstream.Options{Upstreams: []upstream.Upstream{{Name: "fake", URL: "http://" + up + "/v1"}}})
	if err != nil {
		b.Fatal(err)
	}
	tel, err := telemetry.Start(ctx, telemetry.Options{LogOutput: io.Discard, Getenv: func(string) string { return "" }})
	if err != nil {
		b.Fatal(err)
	}
	counter := &memory.Counter{Message: tokens.For("").CountMessage, Fixed: tokens.For("").CountTools}
	server := New(Options{Store: store, Telemetry: tel, Window: tokens.Window,
		Counter:  func(string) *memory.Counter { return counter },
		Settings: Settings{Pool: pool, Memory: Memory{Policy: memory.Policy{Strategy: memory.Window, Window: 25, Budget: 100_000}}}})
	l := listenBench(b)
	go server.Serve(l)
	b.Cleanup(func() { server.Shutdown(ctx); pool.Close(); store.Close(); tel.Shutdown(ctx) })
	return l.Addr().String()
}

func listenBench(b *testing.B) net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	return l
}
