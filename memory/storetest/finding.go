package storetest

import (
	"context"
	"fmt"
	"testing"

	"mnemo/memory"
)

// linksOf are the links of an exchange.
func linksOf(name string) []memory.Link {
	tn := exchange(name)
	return tn.Links()
}

func wantFound(ctx context.Context, t *testing.T, s memory.Store, want int64, links ...memory.Link) {
	t.Helper()
	if seq, err := s.Find(ctx, key, links); err != nil || seq != want {
		t.Fatalf("found is turn %d, %v, want %d", seq, err, want)
	}
}

func findNewest(t *testing.T, b Backend) {
	ctx, s, other := deadline(t), b.open(t, Options{}), b.open(t, Options{})
	a, c, d, missing := linksOf("a")[0], linksOf("c")[0], linksOf("d")[0], linksOf("missing")[0]
	wantFound(ctx, t, s, 0, a)
	long := turn(`{"role":"assistant","content":"greeting"}`, `{"role":"user","content":"one"}`, `{"role":"assistant","content":"two"}`,
		`{"role":"user","content":"three"}`, `{"role":"assistant","content":"four"}`)
	two, four := long.Links()[0], long.Links()[1]
	for i, tn := range []memory.Turn{exchange("a"), exchange("c"), exchange("a"), exchange("d"), long} {
		add(ctx, t, s, key, tn, int64(i+1))
		wantFound(ctx, t, other, 1+2*min(int64(i)/2, 1), a)
	}
	for _, h := range []memory.Store{s, other, b.open(t, Options{})} {
		wantFound(ctx, t, h, 0)
		wantFound(ctx, t, h, 0, missing)
		wantFound(ctx, t, h, 3, a)
		wantFound(ctx, t, h, 2, c, a, d)
		wantFound(ctx, t, h, 4, missing, d, a)
		wantFound(ctx, t, h, 5, two)
		wantFound(ctx, t, h, 5, missing, four, two)
	}
	add(ctx, t, other, key, edit("c", 3, 4), 6) // the same words again, in place of others
	for _, h := range []memory.Store{s, other, b.open(t, Options{})} {
		wantFound(ctx, t, h, 1, a)
		wantFound(ctx, t, h, 6, c)
		wantFound(ctx, t, h, 0, d)
		wantFound(ctx, t, h, 5, d, two)
	}
	elsewhere := memory.Key{Tenant: "other", Session: key.Session}
	if seq, err := s.Find(ctx, elsewhere, []memory.Link{a}); err != nil || seq != 0 {
		t.Fatalf("another tenant found turn %d, %v", seq, err)
	}
}

func findInLongLog(t *testing.T, b Backend) {
	const n = 3000
	ctx, s := deadline(t), b.open(t, Options{})
	model := memory.Snapshot{}
	for i := range int64(n) {
		tn := exchange(fmt.Sprint(i + 1))
		tn.Seq = i + 1
		model.Turns = append(model.Turns, tn)
	}
	if err := model.Settle(); err != nil {
		t.Fatal(err)
	}
	if err := s.Import(ctx, key, &model); err != nil {
		t.Fatal(err)
	}
	other := b.open(t, Options{})
	for seq := int64(n); seq > 0; seq -= 500 {
		add(ctx, t, s, key, exchange(fmt.Sprint("later ", seq)), n+(n-seq)/500+1)
		wantFound(ctx, t, other, seq, linksOf(fmt.Sprint(seq))...)
		wantFound(ctx, t, other, n+(n-seq)/500+1, linksOf(fmt.Sprint("later ", seq))...)
	}
	add(ctx, t, s, key, edit("the middle again", 1000, n), n+7)
	wantFound(ctx, t, other, 999, linksOf("999")...)
	wantFound(ctx, t, other, 0, linksOf("1000")...)
	wantFound(ctx, t, other, n+1, linksOf("later 3000")...) // an ordinary turn stays
	wantFound(ctx, t, other, n+7, linksOf("the middle again")...)
}
