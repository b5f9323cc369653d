package memory

import (
	"errors"
	"fmt"
	"time"

	"github.com/tidwall/gjson"
)

// ErrSummary means that a summary does not fit the log.
var ErrSummary = errors.New("the summary does not fit the log")

// A Summary stands in prompts for the beginning of a log. It is a view: the log
// keeps what it covers, and it can be made anew at any time.
type Summary struct {
	Version int64  // the Revision's count when it was new; Compact assigns it
	Text    string // what the model wrote
	Tokens  int    // what it adds to a prompt, its frame included
	// UpTo is the last turn that it covers. Of that turn, the last Left messages
	// are not covered; 0: none, all of it is.
	UpTo    int64
	Left    int
	Covered Totals    // of the live messages that it covers
	Model   string    // that wrote it
	At      time.Time // in milliseconds
}

// EncodeSummary is the form in which stores keep a summary: a JSON object. Version
// is not in it.
func EncodeSummary(s *Summary) []byte {
	b := fmt.Appendf(nil, `{"v":%d,"at":%d,"up_to":%d,"left":%d,"tokens":%d,"covered":{"turns":%d,"messages":%d,"groups":%d,"tokens":%d,"bytes":%d},"model":`,
		codecVersion, s.At.UnixMilli(), s.UpTo, s.Left, s.Tokens,
		s.Covered.Turns, s.Covered.Messages, s.Covered.Groups, s.Covered.Tokens, s.Covered.Bytes)
	b = gjson.AppendJSONString(b, s.Model)
	b = append(b, `,"text":`...)
	b = gjson.AppendJSONString(b, s.Text)
	return append(b, '}')
}

// DecodeSummary reads what EncodeSummary wrote.
func DecodeSummary(version int64, data string) (*Summary, error) {
	if !gjson.Valid(data) {
		return nil, fmt.Errorf("%w: the summary is no JSON", ErrCodec)
	}
	root := gjson.Parse(data)
	if v := root.Get("v").Int(); v != codecVersion {
		return nil, fmt.Errorf("%w: summary of version %d, this program reads %d", ErrCodec, v, codecVersion)
	}
	covered := root.Get("covered")
	return &Summary{
		Version: version,
		Text:    root.Get("text").String(),
		Tokens:  int(root.Get("tokens").Int()),
		UpTo:    root.Get("up_to").Int(),
		Left:    int(root.Get("left").Int()),
		Covered: Totals{
			Turns: covered.Get("turns").Int(), Messages: covered.Get("messages").Int(), Groups: covered.Get("groups").Int(),
			Tokens: covered.Get("tokens").Int(), Bytes: covered.Get("bytes").Int(),
		},
		Model: root.Get("model").String(),
		At:    time.UnixMilli(root.Get("at").Int()),
	}, nil
}
