package manage

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// A body that nobody reads must not be taken for the next request: what is in it
// would be done with the rights of whoever uses the connection next.
func TestBody_that_is_not_read_is_no_request(t *testing.T) {
	r := newRig(t, nil)
	path := r.told("ada", "trip", hello("one"))
	smuggled := fmt.Sprintf("DELETE %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", path, adas)
	for name, head := range map[string]string{
		"refused for its key":       "POST /api/sessions HTTP/1.1\r\nHost: x\r\n",
		"refused for its parameter": "POST /api/sessions?x=1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + adas + "\r\n",
		"of no interest":            "GET /api/personas HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + adas + "\r\n",
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(r.base, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "%sContent-Length: %d\r\n\r\n%s", head, len(smuggled), smuggled)
		fmt.Fprintf(conn, "GET /api/personas HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nConnection: close\r\n\r\n", adas)
		in := bufio.NewReader(conn)
		answers := 0
		for {
			response, err := http.ReadResponse(in, nil)
			if err != nil {
				break
			}
			io.Copy(io.Discard, response.Body)
			response.Body.Close()
			answers++
			if response.StatusCode == http.StatusNoContent {
				t.Errorf("%s: the body was a request", name)
			}
		}
		conn.Close()
		if answers != 2 {
			t.Errorf("%s: %d answers, want 2 on one connection", name, answers)
		}
		r.want(http.StatusOK, http.MethodGet, path, "", nil)
	}
}

func TestBody_is_counted_where_its_length_is_not_announced(t *testing.T) {
	in := &inbound{from: strings.NewReader("12345"), limit: 4, announced: -1}
	if data, err := io.ReadAll(in); !errors.Is(err, errTooLarge) || len(data) > 4 {
		t.Errorf("%q, %v", data, err)
	}
	in = &inbound{from: strings.NewReader("1234"), limit: 4, announced: -1}
	if data, err := io.ReadAll(in); err != nil || string(data) != "1234" {
		t.Errorf("%q, %v", data, err)
	}
	in = &inbound{from: strings.NewReader("123"), limit: 4, announced: 4}
	if _, err := io.ReadAll(in); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("cut: %v", err)
	}
}
