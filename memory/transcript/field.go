package transcript

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/tidwall/gjson"

	"mnemo/memory"
)

// Private

const (
	maxCount = 1 << 50  // of tokens and of nano-dollars
	maxName  = 64 << 10 // bytes
)

// earliest and latest are the times that RFC 3339 can write, in milliseconds.
var (
	earliest = time.Time{}.UnixMilli()
	latest   = time.Date(9999, time.December, 31, 23, 59, 59, 999_000_000, time.UTC).UnixMilli()
)

// system reads instructions: an array of system and developer messages.
func system(value gjson.Result) (string, error) {
	if value.Type == gjson.Null {
		return "", nil
	}
	raw, err := readRaw(value)
	if err != nil {
		return "", err
	}
	array := gjson.Parse(raw)
	if !array.IsArray() {
		return "", errors.New("no array of messages")
	}
	array.ForEach(func(_, item gjson.Result) bool {
		var m memory.Message
		if m, err = memory.ParseMessage(item.Raw); err == nil && !m.IsSystem() {
			err = fmt.Errorf("a message of role %q is no instruction", m.Role)
		}
		return err == nil
	})
	return raw, err
}

func number(v gjson.Result, low, high int64) (int64, error) {
	n, err := strconv.ParseInt(v.Raw, 10, 64)
	if v.Type != gjson.Number || err != nil || n < low || n > high {
		return 0, fmt.Errorf("a whole number from %d to %d is expected", low, high)
	}
	return n, nil
}

func moment(v gjson.Result) (time.Time, error) {
	ms, err := number(v, earliest, latest)
	return time.UnixMilli(ms), err
}

func text(v gjson.Result, limit int) (string, error) {
	if v.Type == gjson.Null {
		return "", nil
	}
	if v.Type != gjson.String || len(v.Str) > limit {
		return "", fmt.Errorf("a text of at most %d bytes is expected", limit)
	}
	return v.String(), nil
}

func boolean(v gjson.Result) (bool, error) {
	if v.Type != gjson.True && v.Type != gjson.False {
		return false, errors.New("true or false is expected")
	}
	return v.Type == gjson.True, nil
}
