package manage

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"strings"
	"testing"

	"mnemo/memory"
)

// storied stores a session that has everything.
func storied(t *testing.T, r *rig, id string) string {
	path := r.told("ada", id, hello("京都 <trip>"), []string{"{\"role\":\"user\",\n\"content\":\"pretty\"}", `{"role":"assistant","n":1E+2,"content":"\ud83d \u0000"}`})
	edit := turnOfMessages(t, hello("edited"))
	edit.Supersedes, edit.Partial, edit.System = memory.Span{First: 2, Last: 2}, true, `[{"role":"system","content":"Be brief."}]`
	edit.Persona = (&memory.Persona{Name: "teacher"}).Encode()
	edit.Usage = memory.Usage{Input: 9, CachedInput: 1, Output: 2, Reasoning: 1, Priced: true, Cost: 7}
	r.append("ada", id, edit)
	summarise(t, r, id)
	return path
}

func TestExport_then_delete_then_import_then_export_is_the_same(t *testing.T) {
	r := newRig(t, nil)
	path := storied(t, r, "trip")
	for _, format := range []string{"json", "jsonl"} {
		var before, after SessionDetail
		r.want(http.StatusOK, http.MethodGet, path, "", &before)
		first := r.want(http.StatusOK, http.MethodGet, path+"/export?format="+format, "", nil)
		r.want(http.StatusNoContent, http.MethodDelete, path, "", nil, "If-Match", first.header.Get("ETag"))
		r.refused(http.StatusNotFound, "session_not_found", http.MethodGet, path+"/export", "")
		imported := r.want(http.StatusCreated, http.MethodPost, "/api/sessions/import", first.body, &after)
		if before.Cost.USD == nil || *after.Cost.USD != *before.Cost.USD || after.Usage != before.Usage || after.Bytes != before.Bytes ||
			after.Superseded != 1 || *after.Summary != *before.Summary || after.Title != before.Title || *after.Persona != "teacher" {
			t.Errorf("%s: %+v became %+v", format, before, after)
		}
		if a := r.want(http.StatusOK, http.MethodGet, path, "", nil); imported.header.Get("ETag") != a.header.Get("ETag") || imported.header.Get("Location") != path {
			t.Errorf("%s: ETag %s, Location %s", format, imported.header.Get("ETag"), imported.header.Get("Location"))
		}
		second := r.want(http.StatusOK, http.MethodGet, path+"/export?format="+format, "", nil)
		if first.body != second.body {
			t.Errorf("%s:\n%s\nbecame\n%s", format, first.body, second.body)
		}
		r.refused(http.StatusConflict, "session_exists", http.MethodPost, "/api/sessions/import", first.body)
	}
}

func TestExport_is_a_file_of_its_format(t *testing.T) {
	r := newRig(t, nil)
	path := storied(t, r, "trip")
	for query, want := range map[string][3]string{
		"":                           {"application/json", `{"format":"mnemo.session"`, "session-trip 京都 trip.json"},
		"?format=jsonl":              {"application/x-ndjson", `{"format":"mnemo.session"`, "session-trip 京都 trip.jsonl"},
		"?format=md":                 {"text/markdown", "# 京都 \\<trip\\>\n", "session-trip 京都 trip.md"},
		"?format=txt":                {"text/plain", "京都 <trip>\nsession trip", "session-trip 京都 trip.txt"},
		"?format=csv":                {"text/csv", "seq,at,", "session-trip 京都 trip.csv"},
		"?format=csv&bom=true":       {"text/csv", "\ufeffseq,at,", "session-trip 京都 trip.csv"},
		"?format=txt&superseded=yes": {},
		"?format=pdf":                {},
		"?format=":                   {},
		"?bom=x":                     {},
	} {
		if want[0] == "" {
			r.refused(http.StatusBadRequest, "invalid_parameter", http.MethodGet, path+"/export"+query, "")
			continue
		}
		a := r.want(http.StatusOK, http.MethodGet, path+"/export"+query, "", nil)
		_, params, err := mime.ParseMediaType(a.header.Get("Content-Disposition"))
		if err != nil || params["filename"] != want[2] || !strings.HasPrefix(a.header.Get("Content-Type"), want[0]) || !strings.HasPrefix(a.body, want[1]) {
			t.Errorf("%s: %q %q %.40q, %v", query, params["filename"], a.header.Get("Content-Type"), a.body, err)
		}
		if strings.Contains(a.body, "pretty") != strings.Contains(want[0], "json") {
			t.Errorf("%s: superseded turns:\n%s", query, a.body)
		}
	}
	if a := r.want(http.StatusOK, http.MethodGet, path+"/export?format=txt&superseded=true", "", nil); !strings.Contains(a.body, "superseded by #3") {
		t.Errorf("%s", a.body)
	}
}

func TestExport_names_a_file_safely(t *testing.T) {
	long := strings.Repeat("京", 80)
	for _, tt := range []struct{ id, title, want string }{
		{"trip", "", `attachment; filename="session-trip.md"`},
		{`../..\"x;`, "", `attachment; filename="session-..-..--x-.md"`},
		{"a", "../etc: <x>\u202e\"", `attachment; filename="session-a.md"; filename*=UTF-8''session-a%20etc%20x.md`},
		{"a", "=1+1 & more@home", `attachment; filename="session-a.md"; filename*=UTF-8''session-a%20%3D1%2B1%20%26%20more%40home.md`},
		{"a", long, `attachment; filename="session-a.md"; filename*=UTF-8''session-a%20` + strings.Repeat("%E4%BA%AC", 40) + ".md"},
	} {
		info := &memory.Info{Key: memory.Key{Session: tt.id}, Title: tt.title}
		if got := disposition(info, "md"); got != strings.ReplaceAll(tt.want, "session-..-..--x-", "session-.._..__x_") {
			t.Errorf("%q, %q:\n%s, want\n%s", tt.id, tt.title, got, tt.want)
		}
	}
}

// A failing store loses the turns from one on.
type failing struct {
	memory.Store
	from int64
	with func() error // nil: a panic
}

func (f failing) Turns(ctx context.Context, key memory.Key, before int64, limit int) ([]memory.Turn, error) {
	if before > f.from {
		if f.with == nil {
			panic("oops")
		}
		if err := f.with(); err != nil {
			return nil, err
		}
	}
	return f.Store.Turns(ctx, key, before, limit)
}

func TestExport_that_fails_on_the_way_is_visibly_cut(t *testing.T) {
	for name, with := range map[string]func() error{"an error": func() error { return errors.New("disk on fire") }, "a panic": nil} {
		r := newRig(t, func(o *Options) { o.Store = failing{o.Store, 70, with} })
		var turns [][]string
		for range 100 {
			turns = append(turns, hello(strings.Repeat("x", 10_000)))
		}
		path := r.told("ada", "trip", turns...)
		for _, format := range []string{"json", "jsonl", "md", "txt", "csv"} {
			if err := r.cut(path + "/export?format=" + format); err == nil {
				t.Errorf("%s, %s: the document looks whole", name, format)
			}
		}
		if log := r.log.String(); !strings.Contains(log, "export was cut") || !strings.Contains(log, "session=trip") {
			t.Errorf("%s: the log says %q", name, log)
		}
		r.want(http.StatusOK, http.MethodGet, path, "", nil) // the server lives
	}
}

// cut reads an answer that should break off, and returns how.
func (r *rig) cut(path string) error {
	request, err := http.NewRequest(http.MethodGet, r.base+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+r.key)
	response, err := r.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return err
}

func TestExport_of_a_session_that_is_replaced_meanwhile_is_cut(t *testing.T) {
	var once bool
	r := newRig(t, func(o *Options) {
		store := o.Store
		o.Store = failing{store, 40, func() error {
			if once {
				return nil
			}
			once = true
			key := memory.Key{Tenant: "ada", Session: "trip"}
			if err := store.Delete(context.Background(), key); err != nil {
				return err
			}
			for range 80 {
				if _, err := store.Append(context.Background(), key, turnOfMessages(t, hello("another"))); err != nil {
					return err
				}
			}
			return nil
		}}
	})
	var turns [][]string
	for range 80 {
		turns = append(turns, hello("the first"))
	}
	if err := r.cut(r.told("ada", "trip", turns...) + "/export"); err == nil {
		t.Error("two sessions are one document")
	}
}

func TestExport_is_of_the_session_as_it_was_when_it_began(t *testing.T) {
	once := false
	r := newRig(t, func(o *Options) {
		store := o.Store
		o.Store = failing{store, 40, func() error {
			if once {
				return nil
			}
			once = true
			edit := turnOfMessages(t, hello("later"))
			edit.Supersedes = memory.Span{First: 60, Last: 80}
			_, err := store.Append(context.Background(), memory.Key{Tenant: "ada", Session: "trip"}, edit)
			return err
		}}
	})
	var turns [][]string
	for i := range 80 {
		turns = append(turns, hello(fmt.Sprint("question ", i+1)))
	}
	a := r.want(http.StatusOK, http.MethodGet, r.told("ada", "trip", turns...)+"/export?format=jsonl", "", nil)
	if strings.Contains(a.body, "superseded") || strings.Contains(a.body, "later") || strings.Count(a.body, "\n") != 81 {
		t.Errorf("%s", a.body)
	}
	r.want(http.StatusCreated, http.MethodPost, "/api/sessions/import?id=copy", a.body, nil)
}

func TestExport_to_an_old_client_has_no_chunks(t *testing.T) {
	r := newRig(t, nil)
	path := r.told("ada", "trip", hello("one"))
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET %s/export?format=jsonl HTTP/1.0\r\nAuthorization: Bearer %s\r\n\r\n", path, adas)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || len(response.TransferEncoding) > 0 || strings.Count(string(body), "\n") != 2 {
		t.Errorf("%v %q, %v", response.TransferEncoding, body, err)
	}
}

func TestExport_answers_HEAD_without_a_body(t *testing.T) {
	r := newRig(t, nil)
	path := r.told("ada", "trip", hello("one"))
	request, err := http.NewRequest(http.MethodHead, r.base+path+"/export", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+adas)
	response, err := r.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK || response.Header.Get("ETag") == "" {
		t.Errorf("%d %v", response.StatusCode, response.Header)
	}
	r.want(http.StatusOK, http.MethodGet, path, "", nil) // on the same connection
}
