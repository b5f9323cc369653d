package upstream

import "github.com/tidwall/gjson"

// Private

// A fault is what an error object of the API says: the code, else the type.
type fault string

// faultOf reads {"error": {"code": …, "type": …}}. Anything else has none.
func faultOf(body []byte) fault {
	e := gjson.GetBytes(body, "error")
	if !e.IsObject() {
		return ""
	}
	kind, code := fault(e.Get("type").String()), fault(e.Get("code").String())
	if code == "" || kind.unpaid() {
		return kind
	}
	return code
}

// unpaid reports whether the key has nothing left to pay with: time heals it no
// sooner than it heals a wrong key.
func (f fault) unpaid() bool {
	switch f {
	case "insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "insufficient_balance":
		return true
	}
	return false
}

// limited reports whether the key was used too often.
func (f fault) limited() bool {
	return f == "rate_limit_exceeded" || f == "rate_limit_error" || f == "429"
}

// final reports whether the same body must fail again, so that it is not resent.
func (f fault) final() bool {
	switch f {
	case "context_length_exceeded", "string_above_max_length",
		"content_policy_violation", "content_filter", "invalid_prompt",
		"invalid_request_error":
		return true
	}
	return false
}
