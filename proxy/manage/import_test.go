package manage

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

const talk = `{"model":"gpt-4o","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"My name is Ada."},{"role":"assistant","content":"Hi!"},{"role":"user","content":"Bye"}]}`

func TestImport_takes_messages_in_OpenAIs_form(t *testing.T) {
	r := newRig(t, nil)
	var s SessionDetail
	a := r.want(http.StatusCreated, http.MethodPost, "/api/sessions/import?id=a%2Fb", talk, &s)
	if s.ID != "a/b" || s.Title != "My name is Ada." || s.Turns != 2 || s.Messages != 3 || string(s.System) != `[{"role":"system","content":"Be brief."}]` {
		t.Errorf("%s", a.body)
	}
	if !strings.Contains(a.body, `"updated_at":"2026-03-01T09:30:00.123Z"`) || a.header.Get("Location") != "/api/sessions/a%2Fb" {
		t.Errorf("%s at %s", a.body, a.header.Get("Location"))
	}
	if r.want(http.StatusCreated, http.MethodPost, "/api/sessions/import", talk, &s); len(s.ID) < 20 {
		t.Errorf("random id %q", s.ID)
	}
}

func TestImport_names_the_session(t *testing.T) {
	r := newRig(t, nil)
	body := r.want(http.StatusOK, http.MethodGet, r.told("ada", "trip", hello("one"))+"/export", "", nil).body
	var s SessionDetail
	if r.want(http.StatusCreated, http.MethodPost, "/api/sessions/import?id=copy", body, &s); s.ID != "copy" {
		t.Errorf("named, it is %s", s.ID)
	}
	if r.as(root).want(http.StatusCreated, http.MethodPost, "/api/sessions/import?tenant=bob", body, &s); s.ID != "trip" || s.Tenant != "bob" {
		t.Errorf("unnamed, it is %s of %s", s.ID, s.Tenant)
	}
	r.as(bobs).want(http.StatusOK, http.MethodGet, "/api/sessions/trip", "", nil)
}

func TestImport_refuses_what_is_no_session(t *testing.T) {
	r := newRig(t, nil)
	for _, body := range []string{"", "hello", "{}", "[]", "[1]", `{"format":"mnemo.session","version":2}`, strings.Repeat("[", 20_000)} {
		a := r.refused(http.StatusBadRequest, "invalid_document", http.MethodPost, "/api/sessions/import", body)
		if !strings.Contains(a.body, "line 1: ") {
			t.Errorf("%.40s: %s", body, a.body)
		}
	}
	for _, id := range []string{"", "a%20b", strings.Repeat("x", 257)} {
		r.refused(http.StatusBadRequest, "invalid_session_id", http.MethodPost, "/api/sessions/import?id="+id, talk)
	}
}

func TestImport_is_bounded(t *testing.T) {
	r := newRig(t, func(o *Options) { o.MaxBody = 1000 })
	large := `[{"role":"user","content":"` + strings.Repeat("x", 2000) + `"}]`
	r.refused(http.StatusRequestEntityTooLarge, "body_too_large", http.MethodPost, "/api/sessions/import", large)
	request, err := http.NewRequest(http.MethodPost, r.base+"/api/sessions/import", io.MultiReader(strings.NewReader(large))) // in chunks
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+adas)
	response, err := r.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("in chunks: %d", response.StatusCode)
	}
	r.want(http.StatusCreated, http.MethodPost, "/api/sessions/import", talk, nil)
}

func TestImport_takes_no_half_of_a_body(t *testing.T) {
	r := newRig(t, nil)
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /api/sessions/import?id=half HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s", adas, len(talk)+1, talk)
	conn.(*net.TCPConn).CloseWrite()
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	if response.StatusCode != http.StatusBadRequest || !strings.Contains(string(body), "incomplete_body") {
		t.Errorf("%d %s", response.StatusCode, body)
	}
	r.refused(http.StatusNotFound, "session_not_found", http.MethodGet, "/api/sessions/half", "")
}

func TestImport_refuses_more_than_a_few_at_a_time(t *testing.T) {
	r := newRig(t, nil)
	var writers []*io.PipeWriter
	answers := make(chan int, maxImports)
	for i := range maxImports {
		reader, writer := io.Pipe()
		writers = append(writers, writer)
		request, err := http.NewRequest(http.MethodPost, fmt.Sprintf("%s/api/sessions/import?id=slow-%d", r.base, i), reader)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+adas)
		go func() {
			response, err := r.client.Do(request)
			if err != nil {
				answers <- 0
				return
			}
			response.Body.Close()
			answers <- response.StatusCode
		}()
		// What is taken here is in the server's hands: the pipe holds nothing, but the
		// connection does. So the refusal below is waited for.
		io.WriteString(writer, `[{"role":`)
	}
	for n := 0; ; n++ {
		a := r.do(http.MethodPost, fmt.Sprintf("/api/sessions/import?id=quick-%d", n), talk)
		if a.status == http.StatusServiceUnavailable && strings.Contains(a.body, "too_many_imports") && a.header.Get("Retry-After") == "1" {
			break
		}
		if n > 1000 {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	for _, writer := range writers {
		io.WriteString(writer, `"user","content":"x"}]`)
		writer.Close()
	}
	for range maxImports {
		if status := <-answers; status != http.StatusCreated {
			t.Errorf("a slow import: %d", status)
		}
	}
	r.want(http.StatusCreated, http.MethodPost, "/api/sessions/import?id=later", talk, nil)
}

func TestImport_says_that_a_session_is_too_large(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Store = full{o.Store} })
	r.refused(http.StatusRequestEntityTooLarge, "session_full", http.MethodPost, "/api/sessions/import", talk)
}
