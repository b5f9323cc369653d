package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"mnemo/ledger"
)

// A charge is what an upstream takes for a token, in nano-dollars.
type charge struct{ input, cached, written, output int64 }

// charges are all different, so that a price of the wrong upstream shows.
var charges = map[string]charge{
	"tells": {2500, 1250, 3125, 10000}, "mute": {3000, 1500, 3750, 12000}, "slow": {5000, 2500, 6250, 20000},
	"brittle": {7000, 3500, 8750, 28000}, "second": {11000, 5500, 13750, 44000},
}

func (c charge) of(s spent) int64 {
	return (s.input-s.cached-s.written)*c.input + s.cached*c.cached + s.written*c.written + s.output*c.output
}

// chargedModels are those of the plans, by the upstreams that their calls go to.
var chargedModels = []struct {
	model string
	to    []string
}{
	{"gpt-4o", []string{"tells"}}, {"mute", []string{"mute"}}, {"hedge", []string{"slow", "tells"}}, {"lost", []string{"brittle", "second"}},
	{"rescue-afresh", []string{"brittle", "tells"}}, {"rescue-prefill", []string{"brittle", "second"}}, {"rescue-mute", []string{"brittle", "mute"}},
}

// accountFile is the configuration of a mnemo before a provider.
func accountFile(p *provider) string {
	var b strings.Builder
	b.WriteString("on_stream_break: resume\nhedge_after: 1s\nretry: {attempts: 2, base: 1ms, max: 5ms, ratio: 4}\n" +
		"breaker: {min_calls: 1000000, consecutive: 1000000}\nstore: {load_timeout: 10s}\ntelemetry: {semconv: both}\nupstreams:\n")
	for _, name := range slices.Sorted(maps.Keys(charges)) {
		c := charges[name]
		fmt.Fprintf(&b, "  - name: %s\n    url: %s%s/v1\n    capabilities: {stream_options: %t, prefill: %t}\n    prices:\n", name, p.url, name, name != "mute", name == "second")
		for _, m := range chargedModels {
			fmt.Fprintf(&b, "      %s: {input: %v, cached_input: %v, cache_write: %v, output: %v}\n", m.model, perMillion(c.input), perMillion(c.cached), perMillion(c.written), perMillion(c.output))
		}
	}
	b.WriteString("routes:\n")
	for _, m := range chargedModels {
		fmt.Fprintf(&b, "  - {model: %s, to: [{upstream: %s}]}\n", m.model, strings.Join(m.to, "}, {upstream: "))
	}
	return b.String()
}

func perMillion(nano int64) float64 { return float64(nano) / 1000 }

// A caller makes the calls of plans.
type caller struct{ m *mnemo }

// call makes one call and returns what the client heard. Clients that leave hear no end.
func (c caller) call(ctx context.Context, id string, p *plan) (string, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.m.url+"/v1/chat/completions", strings.NewReader(p.body))
	if err != nil {
		return "", err
	}
	request.Header = http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer " + p.key}, "X-Call": {id}}
	maps.Copy(request.Header, p.header)
	if p.session != "" {
		request.Header.Set("X-Session-ID", p.session)
	}
	if p.leaves && p.events == 0 {
		go func() {
			select {
			case <-p.came:
				cancel()
			case <-ctx.Done():
			}
		}()
	}
	response, err := c.m.http.Do(request)
	if err != nil {
		if p.leaves {
			err = nil
		}
		return "", err
	}
	defer response.Body.Close()
	heard, err := p.hear(response.Body)
	if response.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d: %s", response.StatusCode, heard)
	}
	return heard, err
}

// hear reads until the end, or until it is time to leave.
func (p *plan) hear(body io.Reader) (string, error) {
	var heard bytes.Buffer
	buf, events, left := make([]byte, 4096), 0, p.bytes
	for {
		leaving := p.leaves && events >= p.events+1
		size := 1
		if !p.leaves {
			size = len(buf)
		}
		n, err := body.Read(buf[:size])
		heard.Write(buf[:n])
		if leaving {
			if left -= n; left <= 0 {
				return heard.String(), nil
			}
			continue
		}
		if got := bytes.Count(heard.Bytes(), []byte("\n\n")); got != events {
			events = got
			p.sees(events)
		}
		if err == io.EOF {
			err = nil
		} else if err == nil {
			continue
		}
		return heard.String(), err
	}
}

// rows are those of the ledger beside the sessions' file, by their request ids.
func rows(t *testing.T, dir string) map[string]*ledger.Entry {
	t.Helper()
	conn, err := sqlite.OpenConn(filepath.Join(dir, "mnemo.db"+ledgerSuffix), sqlite.OpenReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	found := map[string]*ledger.Entry{}
	err = sqlitex.ExecuteTransient(conn, `SELECT id, at, tenant, session, entry FROM calls JOIN entries USING (call)`,
		&sqlitex.ExecOptions{ResultFunc: func(s *sqlite.Stmt) error {
			e := &ledger.Entry{ID: s.GetText("id"), Tenant: s.GetText("tenant"), Session: s.GetText("session"), Time: time.UnixMilli(s.GetInt64("at"))}
			found[e.ID] = e
			return ledger.DecodeEntry([]byte(s.GetText("entry")), e)
		}})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// metrics reads /metrics.
func (m *mnemo) metrics(t *testing.T) string {
	t.Helper()
	response, err := m.http.Get(m.url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// total adds up the series of a metric whose labels hold all parts, each in units of 1/per.
func total(metrics, name string, per float64, parts ...string) (sum int64) {
	for line := range strings.Lines(metrics) {
		if !strings.HasPrefix(line, name+"{") && !strings.HasPrefix(line, name+" ") {
			continue
		}
		fits := !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(line, part) })
		if value, err := strconv.ParseFloat(strings.TrimSpace(line[strings.LastIndexByte(line, ' '):]), 64); fits && err == nil {
			sum += int64(math.Round(value * per))
		}
	}
	return sum
}

// reaches waits until a metric has reached a value.
func (m *mnemo) reaches(t *testing.T, name string, want int64, parts ...string) string {
	t.Helper()
	end, look := time.After(patience), time.NewTicker(20*time.Millisecond)
	defer look.Stop()
	for {
		text := m.metrics(t)
		got := total(text, name, 1, parts...)
		if got >= want {
			return text
		}
		select {
		case <-look.C:
		case <-end:
			t.Fatalf("%s is %d, want %d; the log:\n%s", name, got, want, m.log)
		}
	}
}

// usage asks for the sums over the calls of a client.
func (m *mnemo) usage(t *testing.T, key string) gjson.Result {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, m.url+"/api/usage", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+key)
	response, err := m.http.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	a, err := readAnswer(response, false)
	if err != nil || a.status != http.StatusOK {
		t.Fatalf("usage: %d %s, %v", a.status, a.body, err)
	}
	return gjson.Get(a.body, "total")
}
