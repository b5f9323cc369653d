package manage

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Private

// maxAgo bounds how long ago something may have been, in days.
const maxAgo = 36500

// param is a parameter of the query.
func (r *request) param(name string) (value string, given bool) {
	args := r.web.QueryArgs()
	return string(args.Peek(name)), args.Has(name)
}

func (r *request) flag(name string) (bool, error) {
	value, given := r.param(name)
	switch {
	case !given || value == "false" || value == "0":
		return false, nil
	case value == "true" || value == "1":
		return true, nil
	}
	return false, invalid(name, "%s is true or false", name)
}

// number is a parameter that is a number from 1 to a highest one.
func (r *request) number(name string, highest, missing int64) (int64, error) {
	value, given := r.param(name)
	if !given {
		return missing, nil
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < 1 || n > highest {
		return 0, invalid(name, "%s is a number from 1 to %d", name, highest)
	}
	return n, nil
}

// word is a parameter that is not empty; "" if it is not given.
func (r *request) word(name string, limit int) (string, error) {
	value, given := r.param(name)
	if given && (value == "" || len(value) > limit || !utf8.ValidString(value)) {
		return "", invalid(name, "%s is 1 to %d bytes of UTF-8", name, limit)
	}
	return value, nil
}

// choice is a parameter that is one of several words.
func (r *request) choice(name, missing string, words ...string) (string, error) {
	value, given := r.param(name)
	if !given {
		return missing, nil
	}
	if !slices.Contains(words, value) {
		return "", invalid(name, "%s is %s", name, strings.Join(words, " or "))
	}
	return value, nil
}

// moment is a parameter that is a time, the beginning of a day (UTC), or how long it is
// ago; the zero time if it is not given.
func (r *request) moment(name string) (time.Time, error) {
	text, given := r.param(name)
	if !given {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if at, err := time.Parse(layout, text); err == nil {
			return at, nil
		}
	}
	if days, found := strings.CutSuffix(text, "d"); found {
		if n, err := strconv.Atoi(days); err == nil && n >= 0 && n <= maxAgo {
			return r.Now().AddDate(0, 0, -n), nil
		}
	} else if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return r.Now().Add(-ago), nil
	}
	return time.Time{}, invalid(name, "%s is a time such as 2026-03-01T00:00:00Z, a day such as 2026-03-01, or how long ago, such as 30d or 12h", name)
}
