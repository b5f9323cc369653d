package config

import (
	"encoding"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A field is one setting of a Config: its place and the limits in its tag.
type field struct {
	reflect.Value
	tag reflect.StructTag
}

// set reads text into the field. On an error, which says what the value must be,
// the field keeps the value that it has. shown is the text as the error may quote
// it; those of secrets quote nothing.
func (f field) set(text, shown string) error {
	value := reflect.New(f.Type()).Elem()
	choices := strings.Fields(f.tag.Get("oneof"))
	bounds := f.tag.Get("range")
	err, near := parse(value, text), ""
	switch {
	case err != nil:
	case len(choices) > 0 && !slices.Contains(choices, text):
		err, near = errors.New("must be "+alternatives(choices)), suggest(text, choices)
	case !inRange(value, bounds):
		err = errors.New("must be " + rangeWords.Replace(bounds))
	default:
		f.Set(value)
		return nil
	}
	if f.secret() {
		return err
	}
	if len(shown) > maxShown {
		shown = strings.ToValidUTF8(shown[:maxShown], "") + "…"
	}
	return fmt.Errorf("%w, not %q%s", err, shown, near)
}

// secret reports whether the field's text must not be shown.
func (f field) secret() bool {
	switch f.Interface().(type) {
	case interface{ Reveal() string }, Hash:
		return true
	}
	return false
}

// String is the field's value as it would be written in a file.
func (f field) String() string {
	switch v := f.Interface().(type) {
	case time.Duration:
		return short(v)
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	switch f.Kind() {
	case reflect.Slice:
		return "[]"
	case reflect.Map:
		return "{}"
	}
	return fmt.Sprint(f.Interface())
}

// Private

const day = 24 * time.Hour

// maxShown bounds what an error quotes of a value, in bytes.
const maxShown = 40

var rangeWords = strings.NewReplacer(" ", " and ", ">=", "at least ", "<=", "at most ", ">", "more than ", "<", "less than ")

func parse(v reflect.Value, text string) error {
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return u.UnmarshalText([]byte(text))
	}
	if v.Type() == reflect.TypeFor[time.Duration]() {
		d, err := parseDuration(text)
		if err != nil {
			return errors.New("must be a duration such as 250ms, 30s or 5m")
		}
		v.SetInt(int64(d))
		return nil
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Int:
		n, err := strconv.ParseInt(text, 10, 64)
		if errors.Is(err, strconv.ErrRange) {
			return errors.New("must be a smaller number")
		} else if err != nil {
			return errors.New("must be a whole number")
		}
		v.SetInt(n)
	case reflect.Float64:
		x, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
			return errors.New("must be a number")
		}
		v.SetFloat(x)
	case reflect.Bool:
		if text != "true" && text != "false" {
			return errors.New("must be true or false")
		}
		v.SetBool(text == "true")
	default:
		panic("config: no setting can be a " + v.Type().String())
	}
	return nil
}

// parseDuration reads what time.ParseDuration reads, and days before that: 90d,
// 1d12h.
func parseDuration(text string) (time.Duration, error) {
	days, rest, found := strings.Cut(text, "d")
	if !found {
		return time.ParseDuration(text)
	}
	n, err := strconv.ParseUint(days, 10, 16)
	if err != nil || rest == "" {
		return time.Duration(n) * day, err
	}
	d, err := time.ParseDuration(rest)
	if err == nil && (d < 0 || d >= day || strings.HasPrefix(rest, "+")) {
		err = errors.New("days are followed by less than a day")
	}
	return time.Duration(n)*day + d, err
}

// inRange checks a number against bounds such as ">0 <=1", written like values
// of its type.
func inRange(v reflect.Value, bounds string) bool {
	for bound := range strings.FieldsSeq(bounds) {
		limit := reflect.New(v.Type()).Elem()
		if err := parse(limit, strings.TrimLeft(bound, "<>=")); err != nil {
			panic("config: bound " + bound + ": " + err.Error())
		}
		order := compare(v, limit)
		if order < 0 && bound[0] == '>' || order > 0 && bound[0] == '<' || order == 0 && bound[1] != '=' {
			return false
		}
	}
	return true
}

func compare(a, b reflect.Value) int {
	difference := 0.0
	if a.CanInt() {
		difference = float64(a.Int()) - float64(b.Int())
	} else {
		difference = a.Float() - b.Float()
	}
	switch {
	case difference < 0:
		return -1
	case difference > 0:
		return 1
	}
	return 0
}

// alternatives is "a, b or c".
func alternatives(choices []string) string {
	last := len(choices) - 1
	return strings.Join(choices[:last], ", ") + " or " + choices[last]
}

// short is a duration in days, or without the zero units that time.Duration writes:
// 5m, not 5m0s.
func short(d time.Duration) string {
	if d > 0 && d%day == 0 {
		return strconv.Itoa(int(d/day)) + "d"
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
