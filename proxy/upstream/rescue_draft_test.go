package upstream

import "testing"

func TestDraft_is_nothing_new_without_what_was_left_out(t *testing.T) {
	d := draft{json: `{"choices":[{"index":0,"delta":{"role":"assistant","content":"x"}}]}`}
	d.delete("choices.0.delta.role")
	if d.empty() || !d.lost {
		t.Errorf("%+v", d)
	}
	d.set("choices.0.delta.content", `""`)
	if !d.empty() || d.err != nil || d.json != `{"choices":[{"index":0,"delta":{"content":""}}]}` {
		t.Errorf("%+v", d)
	}
	d.set("usage", `{"prompt_tokens":1}`)
	if d.empty() {
		t.Error("the usage would be lost")
	}
}
