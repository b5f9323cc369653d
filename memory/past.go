package memory

import (
	"context"
	"slices"
)

// Private

const (
	// maxLinks bounds how many of a request's answers are looked up.
	maxLinks = 64
	// The least and the most turns that are read at once.
	firstPage, lastPage = 32, 512
)

// A past is the end of a session's live turns, read backwards. What is looked at
// depends on the log and the request alone, not on how much of the log happens to
// be loaded, so that all replicas decide alike.
type past struct {
	ctx   context.Context
	log   Log
	key   Key
	turns []Turn
	low   int   // turns from this one on are looked at
	first int64 // live turns from this one on are held
	page  int
}

// A run is where the request's beginning lies in the past.
type run struct {
	length  int // messages of the request
	turn    int // the turn with the first message after it
	message int // that message's index in the turn
}

func pastOf(ctx context.Context, log Log, key Key, s *Session, need Need) *past {
	p := &past{ctx: ctx, log: log, key: key, turns: s.Turns, low: neededFrom(s, need), first: 1, page: firstPage}
	if int64(len(s.Turns)) < s.Totals.Turns {
		p.first = s.Turns[0].Seq
	}
	return p
}

// extend looks at older turns, one after the other, until there are enough.
func (p *past) extend(enough func(oldest *Turn) bool) error {
	for {
		for p.low > 0 {
			p.low--
			if enough(&p.turns[p.low]) {
				return nil
			}
		}
		if p.first <= 1 {
			return nil
		}
		turns, err := p.log.Turns(p.ctx, p.key, p.first, p.page)
		if err != nil {
			return err
		}
		if len(turns) == 0 { // the session was deleted
			return nil
		}
		p.first, p.page = turns[0].Seq, min(2*p.page, lastPage)
		turns = slices.DeleteFunc(turns, func(t Turn) bool { return t.SupersededBy != 0 })
		p.low = len(turns)
		p.turns = slices.Concat(turns, p.turns)
	}
}

// repeated finds the messages of the request at the end of what led to the last
// turn's reply.
func (p *past) repeated(in *Incoming) (run, bool) {
	last, request := len(p.turns)-1, in.Messages
	if !in.Retry || !in.At.IsZero() && p.turns[last].At.Before(in.At.Add(-RetryWindow)) {
		return run{}, false
	}
	asked := p.turns[last].Messages
	asked = asked[:len(asked)-1]
	if len(request) == 0 || len(request) > len(asked) {
		return run{}, false
	}
	at := len(asked) - len(request)
	same := slices.EqualFunc(asked[at:], request, func(a, b Message) bool { return a.Hash == b.Hash })
	return run{turn: last, message: at}, same
}

// run is the longest run that can be found.
func (p *past) run(request []Message) (at run, found bool, err error) {
	if !slices.ContainsFunc(request, isAnswer) {
		return run{}, false, nil
	}
	at, found = p.longestRun(request)
	if found && !at.missesAnswer(request) {
		return at, true, nil
	}
	dug, err := p.unearth(request)
	if dug && err == nil {
		at, found = p.longestRun(request)
	}
	return at, found, err
}

// resumed finds the calls whose results the request begins with, if something
// followed them already. Their newest place counts: models use ids again.
func (p *past) resumed(request []Message) (run, bool) {
	if len(request) == 0 || request[0].Role != RoleTool {
		return run{}, false
	}
	for i := len(p.turns) - 1; i >= p.low; i-- {
		messages := p.turns[i].Messages
		for j := len(messages) - 1; j >= 0; j-- {
			if !slices.Contains(messages[j].Calls, request[0].CallID) {
				continue
			}
			at := p.after(0, i, j)
			if p.pending(at, request[0].CallID) {
				return run{}, false
			}
			for at.length < len(request) && at.turn < len(p.turns) &&
				p.turns[at.turn].Messages[at.message].Hash == request[at.length].Hash {
				at = p.after(at.length+1, at.turn, at.message)
			}
			return at, true
		}
	}
	return run{}, false
}

// pending reports whether nothing follows calls but results of others than id.
func (p *past) pending(at run, id string) bool {
	for ; at.turn < len(p.turns); at = p.after(0, at.turn, at.message) {
		if m := &p.turns[at.turn].Messages[at.message]; m.Role != RoleTool || m.CallID == id {
			return false
		}
	}
	return true
}

// longestRun is a beginning of the request, with an answer in it, that stands in
// the past with something after it: the one with the most answers, of two the
// newer. It takes linear time.
func (p *past) longestRun(request []Message) (best run, found bool) {
	borders := bordersOf(request, make([]int32, 0, 64))
	answers := make([]int, 1, len(request)+1) // in each prefix
	for i := range request {
		answers = append(answers, answers[i])
		if isAnswer(request[i]) {
			answers[i+1]++
		}
	}
	k, most := 0, 0
	for i := p.low; i < len(p.turns); i++ {
		for j := range p.turns[i].Messages {
			hash := p.turns[i].Messages[j].Hash
			for k > 0 && (k == len(request) || request[k].Hash != hash) {
				k = int(borders[k-1])
			}
			if request[k].Hash == hash {
				k++
			}
			held := answers[k]
			if p.turns[i].Partial && j == len(p.turns[i].Messages)-2 && k > 0 && k < len(request) && isAnswer(request[k]) {
				held++ // the client has the answer in the part that it saw, which nobody knows
			}
			if held > 0 && held >= most {
				best, most = p.after(k, i, j), held
			}
		}
	}
	return best, best.length > 0 && best.turn < len(p.turns)
}

// unearth reads the past back to where the last of the request's answers that the
// log knows was given, and as far before it as the request reaches. It reports
// false if the log knows none.
func (p *past) unearth(request []Message) (bool, error) {
	var links []Link
	for i := len(request) - 1; i > 0 && len(links) < maxLinks; i-- {
		if isAnswer(request[i]) {
			links = append(links, LinkOf(&request[i-1], &request[i]))
		}
	}
	seq := int64(0)
	if len(links) > 0 {
		var err error
		if seq, err = p.log.Find(p.ctx, p.key, links); err != nil {
			return false, err
		}
	}
	switch {
	case seq == 0 && !isAnswer(request[0]):
		return false, nil
	case seq == 0:
		// An answer at the request's beginning has no link: it is looked for near the
		// end.
		return true, p.extend(func(*Turn) bool { return len(p.turns)-p.low >= firstPage })
	}
	reach := 0
	for i := p.low; i < len(p.turns) && p.turns[i].Seq <= seq; i++ {
		reach += len(p.turns[i].Messages)
	}
	if p.low < len(p.turns) && p.turns[p.low].Seq <= seq && reach >= len(request) {
		return true, nil
	}
	return true, p.extend(func(oldest *Turn) bool {
		if oldest.Seq <= seq {
			reach += len(oldest.Messages)
		}
		return oldest.Seq <= seq && reach >= len(request)
	})
}

// after is the run of that length that ends with a message.
func (p *past) after(length, turn, message int) run {
	if message++; message == len(p.turns[turn].Messages) {
		turn, message = turn+1, 0
	}
	return run{length, turn, message}
}

// missesAnswer reports whether an answer follows the run in the request: there may
// be a longer one.
func (r run) missesAnswer(request []Message) bool {
	return slices.ContainsFunc(request[r.length:], isAnswer)
}

func isAnswer(m Message) bool { return m.Role == RoleAssistant }
