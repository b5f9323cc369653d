package budget

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"time"
)

// Private

// idBytes is how much of a SHA-256 names an account or a crossing.
const idBytes = 16

// An account is what one subject spends in one window. It is guarded by Budgets.mu.
type account struct {
	meter       *meter
	subject     Subject
	from, until time.Time

	spent, reserved             int64    // by this replica
	othersSpent, othersReserved int64    // as the Counter told last
	told                        []string // marks of crossings that are known
	link                        *link    // nil without a Counter
}

// A link is what a Counter needs of an account.
type link struct {
	account, writer string
	dirty           bool   // among those to be told
	marks           []mark // crossings to be told once over all replicas
}

// A mark is a crossing that the Counter does not know yet.
type mark struct {
	Crossing
	name      string
	announced bool // because the Counter was away
}

func (a *account) sum() int64 { return min(a.spent+a.othersSpent, MaxAmount) }

func (a *account) held() int64 { return a.reserved + a.othersReserved }

func (a *account) empty() bool {
	return a.spent == 0 && a.reserved == 0 && a.othersSpent == 0 && a.othersReserved == 0
}

// id names the account: no two subjects or windows have the same, whatever clients call themselves.
func (a *account) id() string {
	m := a.meter
	var text []byte
	for _, part := range []string{string(m.scope), m.match, m.tenant, string(m.unit), string(m.per),
		a.subject.Tenant, a.subject.Session, a.subject.Model} {
		text = binary.AppendUvarint(text, uint64(len(part)))
		text = append(text, part...)
	}
	return digest(binary.AppendVarint(text, a.from.Unix()))
}

// crossings returns what the sum has reached and was not told of, and takes it as told.
func (a *account) crossings(now time.Time) (reached []mark) {
	for _, r := range a.meter.rules {
		for _, l := range r.levels {
			if a.sum() < l.amount || slices.Contains(a.told, l.mark) {
				continue
			}
			a.told = append(a.told, l.mark)
			reached = append(reached, mark{Crossing: newCrossing(a, r, l, now), name: l.mark})
		}
	}
	return reached
}

// verdict is the most severe rule that is used up; of equals the one that resets last.
func verdict(accounts []*account) (v Verdict) {
	for _, a := range accounts {
		for _, r := range a.meter.rules {
			if a.sum()+a.held() < r.Limit.Amount {
				continue
			}
			by := r.Action.severity() - v.Action.severity()
			if by > 0 || by == 0 && a.until.After(v.Resets) {
				v = newVerdict(a, r)
			}
		}
	}
	return v
}

// refusal is the verdict on a call that the Counter refused. The sums may have changed since: then
// it is that of the blocking rule of which most is used up.
func refusal(accounts []*account) Verdict {
	v := verdict(accounts)
	if v.Action == Block {
		return v
	}
	most := -1.0
	for _, a := range accounts {
		for _, r := range a.meter.rules {
			share := float64(a.sum()+a.held()) / float64(r.Limit.Amount)
			if r.Action == Block && share > most {
				v, most = newVerdict(a, r), share
			}
		}
	}
	return v
}

func digest(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:idBytes])
}
