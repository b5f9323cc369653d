package proxy

import (
	"context"
	"fmt"

	"mnemo/memory"
	"mnemo/proxy/apierror"
	"mnemo/proxy/manage"
)

// previewPage is how many turns a preview reads at once.
const previewPage = 256

// preview composes what a chat call with the body would send, and says of each
// stored group what becomes of it. Nothing is sent and nothing stored.
func (s *Server) preview(ctx context.Context, c manage.Caller, key memory.Key, body string) (manage.Preview, error) {
	set := s.now()
	request, err := parseChat(body, set.Limits.Depth)
	if err != nil {
		return manage.Preview{}, err
	}
	x := &exchange{s: s, set: set, ctx: ctx, session: key.Session, caller: caller{tenant: key.Tenant}, header: requestHeader{up: c.Header}}
	for name := range set.ownHeaders {
		if value := c.Header.Get(name); value != "" && name != set.Memory.SessionHeader {
			if x.header.own == nil {
				x.header.own = map[string]string{}
			}
			x.header.own[name] = value
		}
	}
	wish, err := x.memoryWish()
	if err != nil {
		return manage.Preview{}, err
	}
	if wish.mode != modeOn {
		return manage.Preview{}, apierror.BadRequest("invalid_header", headerMode, "%s has no place in a dry run, which shows what memory does", headerMode)
	}
	r := x.newRecall(request, wish)
	if err := r.load(); err != nil {
		return manage.Preview{}, storeUnavailable("the session cannot be loaded now")
	}
	if err := r.takePersona(); err != nil {
		return manage.Preview{}, err
	}
	r.prompt = r.branch.Compose(&request.incoming, r.policy, r.counter)
	r.counter.CountPrompt(&r.prompt)
	p := manage.Preview{
		Model:    request.model,
		Messages: r.prompt.AppendMessages(nil),
		Tokens:   r.counter.PromptTokens(&r.prompt, request.incoming.Fixed),
		Budget:   max(0, r.policy.Budget),
		Dropped:  r.prompt.Dropped,
		Summary:  summaryWords[r.prompt.Summary],
	}
	if persona := r.persona(); persona != nil {
		p.Persona = &persona.Name
	}
	p.Groups, err = r.explain(ctx)
	return p, err
}

// Private

// A verdict is a part of the log in the order of its messages, and what becomes of
// its groups.
type verdict struct {
	groups []manage.Group
	open   []memory.Message // of the last group
	live   int              // groups so far that the request continues
	first  int              // the first of them that is sent
	r      *recall
}

// explain goes through the whole log.
func (r *recall) explain(ctx context.Context) ([]manage.Group, error) {
	v := &verdict{r: r, first: int(r.branch.Session.Totals.Groups) - r.prompt.Groups, groups: []manage.Group{}}
	last := r.branch.Session.Seq
	for seq := int64(0); seq < last; seq += previewPage {
		turns, err := r.x.s.Store.Turns(ctx, r.key, seq+previewPage+1, previewPage)
		if err != nil {
			return nil, fmt.Errorf("read log: %w", err)
		}
		for i := range turns {
			if turns[i].Seq > seq && turns[i].Seq <= last {
				v.add(&turns[i])
			}
		}
	}
	v.close()
	return v.groups, nil
}

// add adds a turn's messages to the groups.
func (v *verdict) add(t *memory.Turn) {
	superseded := t.SupersededBy != 0
	for i := range t.Messages {
		m := &t.Messages[i]
		gone, why := superseded, ""
		if superseded {
			why = fmt.Sprintf("turn %d stands in its place", t.SupersededBy)
		} else if first := v.r.branch.Supersedes.First; first > 0 && t.Seq >= first && (t.Seq > first || i >= len(v.r.branch.Kept)) {
			gone, why = true, "this request edits what is before it or asks for it once more"
		}
		v.message(t.Seq, m, gone, why)
	}
}

func (v *verdict) message(seq int64, m *memory.Message, gone bool, why string) {
	state := ""
	if gone {
		state = manage.GroupSuperseded
	}
	last := len(v.groups) - 1
	begins := m.Role == memory.RoleUser || last < 0 || (v.groups[last].State == manage.GroupSuperseded) != gone
	if begins {
		v.close()
		v.groups = append(v.groups, manage.Group{FirstSeq: seq, State: state, Reason: why})
		last++
		if !gone && m.Role == memory.RoleUser {
			v.live++
		}
	}
	g := &v.groups[last]
	g.LastSeq = seq
	g.Tokens += m.Bound()
	v.open = append(v.open, *m)
}

// close says what becomes of the last group.
func (v *verdict) close() {
	if len(v.groups) == 0 {
		return
	}
	g := &v.groups[len(v.groups)-1]
	turn := memory.Turn{Messages: v.open}
	g.Preview = turn.Title()
	question := v.open[0].Role == memory.RoleUser
	v.open = nil
	if g.State != "" {
		return
	}
	summary := v.r.branch.Session.Summary
	switch {
	case !question:
		g.State, g.Reason = manage.GroupDropped, "it stands before the first question, where no model accepts it"
	case v.live > v.first:
		g.State, g.Reason = manage.GroupSent, "it is one of the newest groups, which fit the budget together"
		if v.r.branch.Overlap > 0 && v.r.branch.Supersedes == (memory.Span{}) && v.repeated(g) {
			g.State, g.Reason = manage.GroupResent, "the request repeats it; the stored messages are sent"
		}
	case summary != nil && v.r.prompt.Summary != memory.SummaryNone && g.LastSeq <= summary.UpTo:
		g.State, g.Reason = manage.GroupSummarised, fmt.Sprintf("the summary up to turn %d stands for it", summary.UpTo)
	default:
		g.State, g.Reason = manage.GroupDropped, "it is older than what fits the budget"
	}
}

// repeated reports whether the request's beginning holds the group.
func (v *verdict) repeated(g *manage.Group) bool {
	turns := v.r.branch.Session.Turns
	rest := v.r.branch.Overlap
	for i := len(turns) - 1; i >= 0 && rest > 0; i-- {
		if rest -= len(turns[i].Messages); turns[i].Seq <= g.FirstSeq {
			return rest >= 0
		}
	}
	return false
}
