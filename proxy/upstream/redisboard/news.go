package redisboard

import (
	"encoding/json"
	"strconv"
	"time"
)

const (
	maxNews = 4 << 10        // bytes of what is told
	longest = 24 * time.Hour // that anything is open
)

// Private

// A finding is what a replica found out about an upstream.
type finding struct {
	upstream, model string
	open            bool
	until           time.Time // open
}

// news are a finding as replicas tell it each other.
type news struct {
	From     string `json:"from"` // a replica, so that nobody hears itself
	Upstream string `json:"upstream"`
	Model    string `json:"model"`
	Open     int64  `json:"open_ms"` // 0: closed
}

// field tells findings of different things apart.
func (f *finding) field() string {
	return strconv.Itoa(len(f.upstream)) + ":" + f.upstream + f.model
}

// left is for how many milliseconds an upstream is still to be left alone; 0 if it
// is closed. It is not ok if that is over.
func (f *finding) left() (milliseconds int64, ok bool) {
	if !f.open {
		return 0, true
	}
	milliseconds = min(time.Until(f.until), longest).Milliseconds()
	return milliseconds, milliseconds > 0
}

// decode returns what somebody else told. It is not ok if that makes no sense.
func decode(text, self string) (n news, ok bool) {
	if len(text) > maxNews || json.Unmarshal([]byte(text), &n) != nil {
		return news{}, false
	}
	return n, n.From != self && n.Upstream != "" && n.Open >= 0
}

func (n *news) duration() time.Duration {
	return time.Duration(min(n.Open, longest.Milliseconds())) * time.Millisecond
}
