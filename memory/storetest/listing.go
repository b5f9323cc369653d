package storetest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"mnemo/memory"
)

// monday is when the turns of listed sessions begin.
var monday = time.UnixMilli(1_700_000_000_000)

func infoDescribes(t *testing.T, b Backend) {
	const ttl = time.Hour
	ctx, s := deadline(t), b.open(t, Options{TTL: ttl})
	other, forever := b.open(t, Options{TTL: ttl}), b.open(t, Options{})
	if _, err := s.Info(ctx, key); !errors.Is(err, memory.ErrNotFound) {
		t.Fatalf("info of an unknown session: %v", err)
	}
	picture := turn(`{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:,"}}]}`, `{"role":"assistant","content":"a cat"}`)
	for i, tn := range []memory.Turn{at(picture, monday), at(exchange("éA名😀"), monday.Add(time.Minute)), at(exchange("no title"), monday.Add(time.Hour))} {
		add(ctx, t, s, key, tn, int64(i+1))
		want := memory.Info{Title: []string{"", "question éA名😀", "question éA名😀"}[i], Created: monday, Updated: tn.At}
		for _, h := range []memory.Store{s, other} {
			got := describe(ctx, t, h, key)
			if got.Title != want.Title || !got.Created.Equal(want.Created) || !got.Updated.Equal(want.Updated) {
				t.Fatalf("after turn %d: %+v, want %+v", i+1, got, want)
			}
			if now := time.Now(); got.Expires.Before(now) || got.Expires.After(now.Add(ttl)) {
				t.Fatalf("it expires at %v, now it is %v", got.Expires, now)
			}
		}
	}
	lasting := memory.Key{Tenant: key.Tenant, Session: "lasting"}
	long := exchange(strings.Repeat("word ", 100))
	add(ctx, t, forever, lasting, long, 1)
	if got := describe(ctx, t, forever, lasting); !got.Expires.IsZero() || got.Title != long.Title() {
		t.Fatalf("described as %+v", got)
	}
}

// walk lists all that a query selects, in pages, and checks the pages.
func walk(ctx context.Context, t *testing.T, s memory.Store, q memory.Query, limit int) []memory.Info {
	t.Helper()
	var all []memory.Info
	for q.Limit = limit; ; {
		page, err := s.Sessions(ctx, q)
		if err != nil || len(page) > limit {
			t.Fatalf("%+v: %d sessions, %v", q, len(page), err)
		}
		if len(page) == 0 {
			return all
		}
		all = append(all, page...)
		if len(all) > 1000 {
			t.Fatalf("%+v: the list does not end", q)
		}
		last := page[len(page)-1]
		q.After = &memory.Cursor{Updated: last.Updated, Key: last.Key}
	}
}

// listed is what a query selects of all sessions, in order.
func listed(all []memory.Info, q memory.Query) []memory.Info {
	var want []memory.Info
	for _, info := range all {
		search := memory.Fold(q.Search)
		switch {
		case !q.AllTenants && info.Key.Tenant != q.Tenant:
		case !strings.Contains(memory.Fold(info.Title), search) && !strings.Contains(memory.Fold(info.Key.Session), search):
		case !q.IdleSince.IsZero() && !info.Updated.Before(q.IdleSince):
		default:
			info.System, info.Persona, info.Summary = "", "", nil
			want = append(want, info)
		}
	}
	slices.SortFunc(want, func(a, z memory.Info) int {
		return cmp.Or(z.Updated.Compare(a.Updated), cmp.Compare(z.Key.Session, a.Key.Session), cmp.Compare(z.Key.Tenant, a.Key.Tenant))
	})
	return want
}

func wantListed(ctx context.Context, t *testing.T, s memory.Store, all []memory.Info, q memory.Query, limit int) int {
	t.Helper()
	got, want := walk(ctx, t, s, q, limit), listed(all, q)
	if len(got) != len(want) {
		t.Fatalf("%+v, %d a page: %d sessions, want %d", q, limit, len(got), len(want))
	}
	for i := range want {
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Fatalf("%+v, %d a page: session %d is %+v, want %+v", q, limit, i, got[i], want[i])
		}
	}
	return len(want)
}

// everySession makes sessions of two tenants and describes them all.
func everySession(ctx context.Context, t *testing.T, s memory.Store) []memory.Info {
	t.Helper()
	ids := []string{"a", "B", "_", "~1", "b", "A", "z", "10", "9", "-", "a.b", "a%", "ab", "%", "a/b", "Z"}
	var keys []memory.Key
	for i := range 3 * len(ids) {
		k := memory.Key{Tenant: []string{"tenant", "Tenant", "tenant2"}[i%3], Session: ids[i%len(ids)]}
		first := at(spending(fmt.Sprint("number ", i), int64(i)), monday.Add(time.Duration(i)*time.Hour))
		first.System, first.Persona = `["listed without"]`, "this"
		add(ctx, t, s, k, first, 1)
		keys = append(keys, k)
	}
	for i, k := range keys { // the last turns: many at once, not in the order of the first ones
		last := at(edit("again", 1, 1), monday.Add(100*time.Hour+time.Duration(i*7%5)*time.Millisecond))
		add(ctx, t, s, k, last, 2)
	}
	for i, k := range keys { // most go on, some within minutes and some later, and some out of order
		if i%4 != 0 {
			add(ctx, t, s, k, at(exchange("and on"), monday.Add(100*time.Hour+time.Duration(i*13%25-2)*time.Minute)), 3)
		}
	}
	all := make([]memory.Info, len(keys))
	for i, k := range keys {
		all[i] = describe(ctx, t, s, k)
		if i%4 == 0 {
			if err := s.Compact(ctx, k, load(ctx, t, s, k, memory.Need{}).Revision, &memory.Summary{Text: "listed without", UpTo: 2}); err != nil {
				t.Fatal(err)
			}
		}
	}
	return all
}

func listWalk(t *testing.T, b Backend) {
	ctx, s, other := deadline(t), b.open(t, Options{}), b.open(t, Options{})
	all := everySession(ctx, t, s)
	for _, h := range []memory.Store{s, other} {
		for _, limit := range []int{1, 3, 7, 1000} {
			for _, tenant := range []string{"tenant", "Tenant", "tenant2"} {
				if n := wantListed(ctx, t, h, all, memory.Query{Tenant: tenant}, limit); n != len(all)/3 {
					t.Fatalf("%s has %d sessions", tenant, n)
				}
			}
			if n := wantListed(ctx, t, h, all, memory.Query{AllTenants: true}, limit); n != len(all) {
				t.Fatalf("all have %d sessions", n)
			}
		}
		since := monday.Add(100*time.Hour + 2*time.Millisecond)
		for _, q := range []memory.Query{
			{Tenant: "tenant", IdleSince: since}, {AllTenants: true, IdleSince: since},
			{AllTenants: true, IdleSince: since, Search: "a"}, {AllTenants: true, IdleSince: monday},
		} {
			wantListed(ctx, t, h, all, q, 2)
		}
	}

	// A place in the list need not be a session's, and a session that was used
	// goes to the front.
	some := memory.Query{Tenant: "tenant", Limit: 1, After: &memory.Cursor{Updated: monday.Add(time.Hour), Key: memory.Key{Tenant: "tenant", Session: "gone"}}}
	if page, err := s.Sessions(ctx, some); err != nil || len(page) != 0 {
		t.Fatalf("after the oldest come %d sessions, %v", len(page), err)
	}
	used := memory.Key{Tenant: "tenant", Session: all[0].Key.Session}
	add(ctx, t, other, used, at(exchange("used"), monday.Add(200*time.Hour)), 3)
	if page, err := s.Sessions(ctx, memory.Query{Tenant: "tenant", Limit: 1}); err != nil || len(page) != 1 || page[0].Key != used {
		t.Fatalf("the first is %v, %v, want %v", page, err, used)
	}
	if err := s.Delete(ctx, used); err != nil {
		t.Fatal(err)
	}
	wantListed(ctx, t, other, all[1:], memory.Query{AllTenants: true}, 5)

	for _, q := range []memory.Query{{Tenant: "tenant", Limit: 0}, {Tenant: "tenant", Limit: -1}, {Tenant: "nobody", Limit: 9}} {
		if page, err := s.Sessions(ctx, q); err != nil || len(page) != 0 {
			t.Errorf("%+v: %d sessions, %v", q, len(page), err)
		}
	}
	for _, q := range []memory.Query{{Limit: 1}, {Tenant: "a b", Limit: 1}, {Tenant: "tenant", AllTenants: true, Limit: 1}} {
		if _, err := s.Sessions(ctx, q); !errors.Is(err, memory.ErrKey) {
			t.Errorf("%+v: %v, want ErrKey", q, err)
		}
	}
}

func listSearch(t *testing.T, b Backend) {
	ctx, s := deadline(t), b.open(t, Options{})
	var all []memory.Info
	for i, said := range []string{
		`北京今天的天气怎么样?`, `ПРИВЕТ, Мир!`, `привет снова`, `GRÖSSE und Straße`, `100% sure_thing`, `100 percent sure thing`,
		`it's \"quoted\" and back\\slashed`, `😀 emoji 👨‍👩‍👧`, `[a-z]* (regex)? ^$.`, `İstanbul`, `plain`, ``,
	} {
		k := memory.Key{Tenant: key.Tenant, Session: []string{"Report-2024", "re_port", "re%port", "other"}[i%4] + fmt.Sprint("-", i)}
		tn := turn(`{"role":"user","content":"`+said+`"}`, `{"role":"assistant","content":"never searched"}`)
		add(ctx, t, s, k, at(tn, monday.Add(time.Duration(i%3)*time.Second)), 1)
		all = append(all, describe(ctx, t, s, k))
	}
	stranger := memory.Key{Tenant: "stranger", Session: "Report-2024"}
	add(ctx, t, s, stranger, at(exchange("привет 天气 %"), monday), 1)
	all = append(all, describe(ctx, t, s, stranger))

	other := b.open(t, Options{})
	for search, want := range map[string]int{
		"": 13, "天气": 2, "京今": 1, "привет": 3, "ПРИВЕТ": 3, "Привет, мИР": 1, "grösse": 1, "größe": 0, "STRASSE": 0, "straße": 1,
		"%": 5, "_": 4, "100%": 1, "0% s": 1, "sure_": 1, "sure thing": 1, "'": 1, `"`: 1, `\`: 1, `"quoted"`: 1,
		"😀": 1, "👨‍👩‍👧": 1, "[a-z]*": 1, "(regex)?": 1, "^$.": 1, "REPORT-": 4, "report": 4, "re_p": 3, "RE%P": 3, "-1": 3,
		"never searched": 0, "tenant": 0, "stranger": 0, "no such": 0, "*": 1, "plainre": 0, "plain-": 0,
	} {
		for _, h := range []memory.Store{s, other} {
			if n := wantListed(ctx, t, h, all, memory.Query{AllTenants: true, Search: search}, 2); n != want {
				t.Fatalf("%q is in %d sessions by the model, want %d", search, n, want)
			}
			wantListed(ctx, t, h, all, memory.Query{Tenant: key.Tenant, Search: search}, 3)
		}
	}
}

func listExpired(t *testing.T, b Backend) {
	if b.Advance == nil {
		t.Skip("time cannot be advanced here")
	}
	const ttl = time.Hour
	ctx, s, other := context.Background(), b.open(t, Options{TTL: ttl}), b.open(t, Options{TTL: ttl})
	short, long := memory.Key{Tenant: key.Tenant, Session: "short"}, memory.Key{Tenant: key.Tenant, Session: "long"}
	for _, k := range []memory.Key{short, long, key} {
		add(ctx, t, s, k, exchange("1"), 1)
	}
	b.Advance(ttl - time.Second)
	add(ctx, t, other, long, exchange("2"), 2)
	session := load(ctx, t, s, short, everything)
	if err := s.Compact(ctx, short, session.Revision, summaryOf(&session, 1, "does not refresh")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Lease(ctx, short, "nor does this", time.Minute); err != nil {
		t.Fatal(err)
	}
	b.Advance(2 * time.Second)
	for _, h := range []memory.Store{s, other} {
		for _, q := range []memory.Query{{Tenant: key.Tenant}, {AllTenants: true}, {Tenant: key.Tenant, Search: "question"}} {
			if got := walk(ctx, t, h, q, 1); len(got) != 1 || got[0].Key != long {
				t.Fatalf("%+v: %+v, want only %v", q, got, long)
			}
		}
		wantGone(ctx, t, h, short)
		wantGone(ctx, t, h, key)
	}
	if err := s.Import(ctx, key, &memory.Snapshot{Title: "a new life", Created: monday, Updated: monday}); err != nil {
		t.Fatalf("import in place of an expired session: %v", err)
	}
	add(ctx, t, s, short, exchange("new"), 1)
	wantLive(ctx, t, other, short, "new")
	if got := walk(ctx, t, other, memory.Query{Tenant: key.Tenant}, 2); len(got) != 3 {
		t.Fatalf("listed are %d sessions, want 3", len(got))
	}
}
