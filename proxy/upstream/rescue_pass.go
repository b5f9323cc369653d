package upstream

import (
	"slices"
	"strings"
)

// Private

// A failure is an event that tells of an error.
type failure struct {
	raw   []byte
	fault fault
}

func (f *failure) Error() string { return "the stream failed with an error event" }

// pass takes an event and reports whether more may follow.
func (r *rescue) pass(raw []byte) bool {
	e := readEvent(raw)
	if r.seam != nil {
		return r.splice(&e)
	}
	switch kind, fault := r.told.note(&e); kind {
	case failing:
		r.cause = &failure{slices.Clone(raw), fault}
		return false
	case strange:
		r.loose = true
		return false
	}
	return true
}

// splice passes on what is new in an event of a further part.
func (r *rescue) splice(e *event) bool {
	s := r.seam
	switch {
	case e.data == "":
		r.made = append(r.made, e.raw...)
		return true
	case e.done() && !s.joined:
		r.cause = errShort
		return false
	case e.done() || !validJSON(e.data):
		if s.joined {
			r.tell(e)
		}
		return true
	}
	if fault, failed := e.failure(); failed {
		if s.joined && fault.final() {
			r.made, r.loose = append(r.made, e.raw...), true
			return true
		}
		r.cause = &failure{slices.Clone(e.raw), fault}
		return false
	}
	apart := !s.joined
	data, err := s.chunk(strings.ReplaceAll(e.data, "\n", " "))
	if err != nil {
		r.cause = err
		return false
	}
	if apart && s.joined {
		r.joined()
	}
	if data == "" {
		return true
	}
	raw := e.with(nil, data)
	if !s.joined {
		r.ahead = append(r.ahead, event{raw: raw, data: strings.Clone(data)}) // it may be the buffer's
		if r.early += len(raw); r.early > maxEvent {
			r.cause = errLong
		}
		return r.early <= maxEvent
	}
	r.tell(&event{raw: raw, data: data})
	return true
}

// tell passes an event on as it is.
func (r *rescue) tell(e *event) {
	r.made = append(r.made, e.raw...)
	if kind, _ := r.told.note(e); kind == strange {
		r.loose = true
	}
}

// joined is called when a part has told all that was told before.
func (r *rescue) joined() {
	for i := range r.ahead {
		r.tell(&r.ahead[i])
	}
	r.ahead = nil
	r.bill()
}
