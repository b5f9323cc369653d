package budget

import (
	"context"
	"sync"
	"time"
)

// A hub is a Counter of a few lines, for replicas in one process.
type hub struct {
	mu     sync.Mutex
	parts  map[string]map[string]part // by account and writer
	marks  map[string]string          // account and mark to writer
	broken error                      // what it answers, after it did what it was asked
	hangs  chan struct{}              // until closed
	foul   bool                       // it answers something else
}

type part struct {
	spent, reserved int64
	lease           time.Time
}

func newHub() *hub {
	return &hub{parts: make(map[string]map[string]part), marks: make(map[string]string)}
}

func (h *hub) set(change func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change()
}

func (h *hub) Exchange(ctx context.Context, claims []Claim) (answers []Answer, err error) {
	h.mu.Lock()
	hangs := h.hangs
	h.mu.Unlock()
	if hangs != nil {
		select {
		case <-hangs:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.foul {
		return []Answer{{}}, nil
	}
	for _, c := range claims {
		answers = append(answers, h.answer(c))
	}
	return answers, h.broken
}

func (h *hub) answer(c Claim) Answer {
	a := Answer{Admitted: true}
	for _, e := range c.Entries {
		o, own := h.others(e)
		if e.Limit > 0 && o.Spent+max(own.spent, e.Spent)+o.Reserved+own.reserved >= e.Limit {
			a.Admitted = false
		}
	}
	for _, e := range c.Entries {
		o, own := h.others(e)
		if a.Admitted {
			if e.Reserved != Kept {
				own.reserved = e.Reserved
			}
			h.parts[e.Account][e.Writer] = part{max(own.spent, e.Spent), own.reserved + e.Estimate, time.Now().Add(e.Lease)}
		}
		for _, m := range e.Marks {
			if h.marks[e.Account+m] == "" {
				h.marks[e.Account+m] = e.Writer
			}
			o.Mine = append(o.Mine, h.marks[e.Account+m] == e.Writer)
		}
		a.Others = append(a.Others, o)
	}
	return a
}

func (h *hub) others(e Entry) (o Others, own part) {
	if h.parts[e.Account] == nil {
		h.parts[e.Account] = make(map[string]part)
	}
	for writer, p := range h.parts[e.Account] {
		if writer == e.Writer {
			own = p
			continue
		}
		o.Spent += p.spent
		if time.Now().Before(p.lease) {
			o.Reserved += p.reserved
		}
	}
	return o, own
}

// total is what the hub knows of all accounts.
func (h *hub) total() (p part) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, parts := range h.parts {
		for _, one := range parts {
			p.spent += one.spent
			if time.Now().Before(one.lease) {
				p.reserved += one.reserved
			}
		}
	}
	return p
}
