package manage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"time"
	"unicode"

	"github.com/rivo/uniseg"

	"mnemo/memory"
	"mnemo/memory/transcript"
)

// Private

// export writes a session as a document.
func (a *api) export(r *request) error {
	key, err := r.key()
	if err != nil {
		return err
	}
	format, options, err := r.exportOptions()
	if err != nil {
		return err
	}
	ctx, cancel := within(storeTimeout)
	defer cancel()
	info, at, err := a.describe(ctx, key)
	if err != nil {
		return err
	}
	h := &r.web.Response.Header
	h.SetContentType(format.MediaType())
	h.Set("ETag", at.tag())
	h.Set("Content-Disposition", disposition(&info, format))
	h.Set("X-Content-Type-Options", "nosniff")
	e := &exporting{api: a, info: &info, life: at.revision.Life, format: format, options: options, conn: r.web.Conn()}
	if r.web.IsHead() {
		return nil
	}
	if !r.web.Request.Header.IsHTTP11() { // HTTP/1.0 knows no chunks
		var out bytes.Buffer
		if err := e.write(&out); err != nil {
			return err
		}
		r.web.SetBody(out.Bytes())
		return nil
	}
	r.web.SetBodyStream(e, -1)
	return nil
}

func (r *request) exportOptions() (f transcript.Format, o transcript.Options, err error) {
	f = transcript.JSON
	if name, given := r.param("format"); given {
		if f, err = transcript.ParseFormat(name); err != nil {
			return f, o, invalid("format", "%v", err)
		}
	}
	if o.BOM, err = r.flag("bom"); err != nil {
		return f, o, err
	}
	o.Superseded, err = r.flag("superseded")
	return f, o, err
}

// An exporting is the body of an export. fasthttp writes it after the handler
// returned, and breaks the connection if that fails, so that a client never takes
// a part for the whole.
type exporting struct {
	*api
	info    *memory.Info
	life    int64 // of the session that info describes
	format  transcript.Format
	options transcript.Options
	conn    net.Conn
	out     io.Writer
	armed   time.Time // when the deadline for writing was set last
}

// SupportsBodyWriteTo tells fasthttp to let WriteTo write.
func (e *exporting) SupportsBodyWriteTo() bool { return true }

// WriteTo writes the document to the client.
func (e *exporting) WriteTo(w io.Writer) (_ int64, err error) {
	defer func() {
		if cause := recover(); cause != nil { // it would end the process
			err = fmt.Errorf("panic: %v", cause)
		}
		var gone *net.OpError
		if err != nil && !errors.As(err, &gone) {
			e.Log.Error("export was cut", slog.String("session", e.info.Key.Session), slog.Any("error", err))
		}
	}()
	e.out = w
	return 0, e.write(e)
}

// Write writes a part of the document. A client that takes nothing is let go.
func (e *exporting) Write(p []byte) (int, error) {
	if now := time.Now(); now.Sub(e.armed) > takeTimeout/4 {
		e.armed = now
		if err := e.conn.SetWriteDeadline(now.Add(takeTimeout)); err != nil {
			return 0, err
		}
	}
	return e.out.Write(p)
}

// Read exists because fasthttp wants a reader; it uses WriteTo.
func (e *exporting) Read([]byte) (int, error) { return 0, errors.ErrUnsupported }

// write writes the document and makes sure that all of it is of one session.
func (e *exporting) write(w io.Writer) error {
	ctx, cancel := within(exportTimeout)
	defer cancel()
	turns := transcript.Pages(ctx, pager{e.Store}, e.info.Key, e.info.Seq)
	if err := transcript.Write(w, e.format, e.info, turns, e.options); err != nil {
		return err
	}
	now, err := e.stateOf(ctx, e.info.Key)
	if err == nil && now.revision.Life != e.life {
		err = memory.ErrConflict // it was deleted meanwhile, and is another now
	}
	return err
}

// A pager bounds the time that a page takes.
type pager struct{ store memory.Store }

func (p pager) Turns(ctx context.Context, key memory.Key, before int64, limit int) ([]memory.Turn, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	turns, err := p.store.Turns(ctx, key, before, limit)
	return turns, storeError(err)
}

// disposition is a Content-Disposition (RFC 6266): a name of the id for everybody,
// and one with the title for those who read UTF-8.
func disposition(info *memory.Info, f transcript.Format) string {
	id := strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || r == '.' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' {
			return r
		}
		return '_'
	}, info.Key.Session)
	id = "session-" + id // neither hidden nor a name that Windows keeps for itself
	out := `attachment; filename="` + id + "." + string(f) + `"`
	if title := fileTitle(info.Title); title != "" {
		out += "; filename*=UTF-8''" + strings.ReplaceAll(url.QueryEscape(id+" "+title+"."+string(f)), "+", "%20")
	}
	return out
}

// fileTitle is a title without what file names must not have.
func fileTitle(title string) string {
	title = strings.Map(func(r rune) rune {
		if strings.ContainsRune(`/\:*?"<>|'`, r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) && r != '\u200d' {
			return -1
		}
		return r
	}, strings.ToValidUTF8(title, ""))
	title = strings.Trim(title, " .")
	cut := 0
	for graphemes := uniseg.NewGraphemes(title); graphemes.Next(); {
		if _, end := graphemes.Positions(); end <= maxFileTitle {
			cut = end
		}
	}
	return strings.TrimRight(title[:cut], " .")
}

// maxFileTitle, in bytes, keeps names below the 255 of common file systems, for ids
// of usual length.
const maxFileTitle = 120
