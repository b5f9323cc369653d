package manage

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"mnemo/memory"
)

// seqs walks through all pages of a session's turns.
func (r *rig) seqs(path, query string) (seqs []int64) {
	r.t.Helper()
	cursor := ""
	for range 500 {
		var page TurnList
		r.want(http.StatusOK, http.MethodGet, path+"/messages?"+query+cursor, "", &page)
		for i := range page.Turns {
			seqs = append(seqs, page.Turns[i].Seq)
		}
		if page.NextCursor == nil {
			return seqs
		}
		cursor = fmt.Sprintf("&cursor=%d", *page.NextCursor)
	}
	r.t.Fatal("the turns have no end")
	return nil
}

func TestMessages_are_paged_from_either_end(t *testing.T) {
	r := newRig(t, nil)
	var turns [][]string
	var all, live []int64
	for i := range int64(2*readTurns + 5) {
		turns = append(turns, hello(fmt.Sprint(i)))
		all = append(all, i+1)
		if i+1 != 40 && i+1 != 41 {
			live = append(live, i+1)
		}
	}
	path := r.told("ada", "trip", turns...)
	edit := turnOfMessages(t, hello("again"))
	edit.Supersedes = memory.Span{First: 40, Last: 41}
	// An edit supersedes all behind its place; here only two, so that pages have a hole.
	r.append("ada", "trip", edit)
	all, live = append(all, int64(len(all)+1)), append(live, int64(len(all)+1))
	for _, limit := range []int{1, 7, readTurns, 200} {
		for order, reverse := range map[string]bool{"asc": false, "desc": true} {
			for superseded, want := range map[string][]int64{"false": live, "true": all} {
				want = slices.Clone(want)
				if reverse {
					slices.Reverse(want)
				}
				if got := r.seqs(path, fmt.Sprintf("limit=%d&order=%s&superseded=%s", limit, order, superseded)); !slices.Equal(got, want) {
					t.Errorf("by %d, %s, superseded %s:\n%v, want\n%v", limit, order, superseded, got, want)
				}
			}
		}
	}
}

func TestMessages_show_turns_as_they_were(t *testing.T) {
	r := newRig(t, nil)
	path := r.told("ada", "trip", hello("one"))
	edit := turnOfMessages(t, []string{`{"role":"user","n":1E+2,"content":"<a> & \u0000 日本"}`, "{\"role\":\"assistant\",\"content\":\"\xff\"}"})
	edit.Supersedes, edit.Partial = memory.Span{First: 1, Last: 1}, true
	edit.Usage = memory.Usage{Input: 3, CachedInput: 1, Output: 2, Reasoning: 1, Estimated: true, Priced: true, Cost: 5}
	r.append("ada", "trip", edit)
	var page TurnList
	a := r.want(http.StatusOK, http.MethodGet, path+"/messages?superseded=1", "", &page)
	if len(page.Turns) != 2 || page.NextCursor != nil {
		t.Fatalf("%s", a.body)
	}
	first, second := &page.Turns[0], &page.Turns[1]
	if first.SupersededBy == nil || *first.SupersededBy != 2 || first.CostUSD != nil || first.Supersedes != nil || first.Model != "gpt-4o-mini" {
		t.Errorf("%+v", first)
	}
	if second.SupersededBy != nil || *second.CostUSD != "0.000000005" || *second.Supersedes != (Span{1, 1}) || !second.Partial || second.ID != edit.ID ||
		second.Usage != (TurnUsage{3, 1, 2, 1, true}) || second.Tokens != 10 {
		t.Errorf("%+v", second)
	}
	for _, raw := range []string{`{"role":"user","n":1E+2,"content":"<a> & \u0000 日本"}`, "{\"role\":\"assistant\",\"content\":\"\ufffd\"}"} {
		if !strings.Contains(a.body, raw) {
			t.Errorf("%s is not in %s", raw, a.body)
		}
	}
}

func TestMessages_end_a_page_that_grows_large(t *testing.T) {
	r := newRig(t, nil)
	large := hello(strings.Repeat("x", pageBytes/2+1))
	path := r.told("ada", "trip", large, large, large)
	var page TurnList
	r.want(http.StatusOK, http.MethodGet, path+"/messages", "", &page)
	if len(page.Turns) != 2 || page.NextCursor == nil || *page.NextCursor != 2 {
		t.Errorf("%d turns, next %v", len(page.Turns), page.NextCursor)
	}
	if got := r.seqs(path, "order=desc"); !slices.Equal(got, []int64{3, 2, 1}) {
		t.Errorf("%v", got)
	}
}

func TestMessages_refuse_what_they_do_not_understand(t *testing.T) {
	r := newRig(t, nil)
	path := r.told("ada", "trip", hello("one"))
	for _, query := range []string{"cursor=0", "cursor=-1", "cursor=x", "limit=0", "limit=201", "order=up", "order=", "superseded=2"} {
		r.refused(http.StatusBadRequest, "invalid_parameter", http.MethodGet, path+"/messages?"+query, "")
	}
	var page TurnList
	if r.want(http.StatusOK, http.MethodGet, path+"/messages?cursor=9", "", &page); len(page.Turns) != 0 || page.NextCursor != nil {
		t.Errorf("behind the end: %+v", page)
	}
}
