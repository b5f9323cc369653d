package manage

import (
	"bytes"
	"net/http"
	"time"

	"mnemo/ledger"
)

// A UsageReport is calls, added up.
type UsageReport struct {
	From    *Time              `json:"from"` // nil: without a bound
	To      *Time              `json:"to"`   // not in it; nil: without a bound
	GroupBy []ledger.Dimension `json:"group_by"`
	Rows    []UsageRow         `json:"rows"`
	Total   UsageSums          `json:"total"`  // of all groups, those beyond the limit included
	Groups  int                `json:"groups"` // how many there are, of which Rows are the first
}

// A UsageRow is the sums over a group of calls.
type UsageRow struct {
	Group map[ledger.Dimension]string `json:"group"` // where an hour or a day begins is RFC 3339
	UsageSums
}

// UsageSums are added up over calls.
type UsageSums struct {
	Calls     int64      `json:"calls"`
	Measured  int64      `json:"measured"`  // calls whose tokens the upstreams reported
	Estimated int64      `json:"estimated"` // calls whose tokens are, in part, estimates
	Unpriced  int64      `json:"unpriced"`  // calls that used tokens and whose cost is not known
	Errors    int64      `json:"errors"`
	Cached    int64      `json:"cached"` // calls that the cache of answers answered
	Degraded  int64      `json:"degraded"`
	Streams   int64      `json:"streams"`
	Attempts  int64      `json:"attempts"`
	Tokens    CallTokens `json:"tokens"`
	Money
	Latency      *float64      `json:"latency_ms"`     // on average; nil: there are no calls
	FirstToken   *float64      `json:"first_token_ms"` // on average; nil: no call has one
	Memory       UsageMemory   `json:"memory"`
	WholeHistory *WholeHistory `json:"whole_history"` // nil: it is known of no call
}

// CallTokens are those of calls.
type CallTokens struct {
	Input       int64 `json:"input"`        // all of the prompts
	CachedInput int64 `json:"cached_input"` // a part of Input, as are CacheWrite and AudioInput
	CacheWrite  int64 `json:"cache_write"`
	Output      int64 `json:"output"` // all of the answers
	Reasoning   int64 `json:"reasoning"`
	AudioInput  int64 `json:"audio_input"`
	AudioOutput int64 `json:"audio_output"`
}

// Money is what something cost, exactly, once as a number and once as a decimal text.
// Both are nil if no price is known.
type Money struct {
	NanoUSD *int64  `json:"cost_nano_usd"`
	USD     *string `json:"cost_usd"`
}

// UsageMemory is what memory did for calls.
type UsageMemory struct {
	Tokens  int64 `json:"tokens"`  // that it added to prompts
	Dropped int64 `json:"dropped"` // groups that it left out
}

// A WholeHistory compares calls with what they would have been if their clients had
// sent the whole history. It is of those of them for which that is known.
type WholeHistory struct {
	Calls     int64  `json:"calls"`
	Input     int64  `json:"input"`      // tokens with the whole history
	UsedInput int64  `json:"used_input"` // tokens as it was
	Priced    int64  `json:"priced"`     // those of Calls whose costs are known, and that the rest is of
	Used      Money  `json:"used"`       // as it was
	Uncached  Saving `json:"uncached"`   // with the whole history and nothing of it in the provider's cache
	Cached    Saving `json:"cached"`     // … with what that cache would have held
}

// A Saving is what something would have cost, and how much more that is than it did.
type Saving struct {
	Money
	SavedNanoUSD *int64  `json:"saved_nano_usd"` // negative if memory cost more
	SavedUSD     *string `json:"saved_usd"`
}

// Private

// usageTimeout is for calls to be added up.
const usageTimeout = 30 * time.Second

// usage adds calls up.
func (a *api) usage(r *request) error {
	q, format, err := r.usageQuery()
	if err != nil {
		return err
	}
	if a.Ledger == nil {
		return noLedger()
	}
	ctx, cancel := within(usageTimeout)
	defer cancel()
	report, err := a.Ledger.Usage(ctx, q)
	if err != nil {
		return ledgerError(err)
	}
	if format == formatCSV {
		return r.answerCSV(&report)
	}
	return r.answer(http.StatusOK, reportOf(&q, &report))
}

func (r *request) answerCSV(report *ledger.Report) error {
	var out bytes.Buffer
	if err := ledger.WriteCSV(&out, report); err != nil {
		return err
	}
	h := &r.web.Response.Header
	h.SetContentType("text/csv; charset=utf-8")
	h.Set("Content-Disposition", `attachment; filename="usage.csv"`)
	h.Set("X-Content-Type-Options", "nosniff")
	r.web.SetBody(out.Bytes())
	return nil
}

func reportOf(q *ledger.Query, r *ledger.Report) UsageReport {
	out := UsageReport{
		From: timeOf(q.From), To: timeOf(q.To), GroupBy: append([]ledger.Dimension{}, r.GroupBy...),
		Rows: make([]UsageRow, len(r.Rows)), Total: sumsOf(&r.Total), Groups: r.Groups,
	}
	for i := range r.Rows {
		out.Rows[i] = UsageRow{Group: groupOf(q, &r.Rows[i].Group), UsageSums: sumsOf(&r.Rows[i].Sums)}
	}
	return out
}

func timeOf(t time.Time) *Time {
	if t.IsZero() {
		return nil
	}
	return &Time{t}
}

// groupOf names what the calls of a row have in common.
func groupOf(q *ledger.Query, g *ledger.Group) map[ledger.Dimension]string {
	all := map[ledger.Dimension]string{
		ledger.ByModel: g.Model, ledger.BySession: g.Session, ledger.ByTenant: g.Tenant, ledger.ByUpstream: g.Upstream,
		ledger.ByKey: g.Key, ledger.ByOperation: g.Operation,
	}
	group := make(map[ledger.Dimension]string, len(q.GroupBy))
	for _, d := range q.GroupBy {
		value, isText := all[d]
		if !isText {
			value = g.Time.UTC().Format(time.RFC3339)
		}
		group[d] = value
	}
	return group
}

func sumsOf(s *ledger.Sums) UsageSums {
	out := UsageSums{
		Calls: s.Calls, Measured: s.Measured, Estimated: s.Estimated, Unpriced: s.Unpriced, Errors: s.Errors,
		Cached: s.Cached, Degraded: s.Degraded, Streams: s.Streams, Attempts: s.Attempts, Tokens: CallTokens(s.Usage),
		Money:  money(s.Cost, s.Cost > 0 || s.Unpriced < s.Calls || s.Calls == 0),
		Memory: UsageMemory{Tokens: s.MemoryTokens, Dropped: s.MemoryDropped}, WholeHistory: historyOf(&s.Full),
	}
	if s.Calls > 0 {
		out.Latency = milliseconds(s.Latency())
	}
	if s.FirstTokens > 0 {
		out.FirstToken = milliseconds(s.FirstToken())
	}
	return out
}

func historyOf(f *ledger.Full) *WholeHistory {
	if f.Calls == 0 {
		return nil
	}
	known := f.Priced > 0
	return &WholeHistory{
		Calls: f.Calls, Input: f.Input, UsedInput: f.UsedInput, Priced: f.Priced, Used: money(f.UsedCost, known),
		Uncached: saving(f.Cost, f.UsedCost, known), Cached: saving(f.CostCached, f.UsedCost, known),
	}
}

func saving(would, did int64, known bool) Saving {
	saved := money(would-did, known)
	return Saving{Money: money(would, known), SavedNanoUSD: saved.NanoUSD, SavedUSD: saved.USD}
}

func money(nano int64, known bool) Money {
	if !known {
		return Money{}
	}
	return Money{NanoUSD: &nano, USD: dollars(nano)}
}

func milliseconds(d time.Duration) *float64 {
	ms := inMS(d)
	return &ms
}

func inMS(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
