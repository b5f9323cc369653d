package upstream

import (
	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"
)

// Private

// A draft is a chunk of which single members are replaced.
type draft struct {
	json string
	lost bool // something was left out
	err  error
}

func (d *draft) set(path, literal string) {
	if d.err == nil {
		d.json, d.err = sjson.SetRaw(d.json, path, literal)
	}
}

func (d *draft) delete(path string) {
	if d.err == nil {
		d.json, d.err = sjson.Delete(d.json, path)
		d.lost = true
	}
}

// replace puts a literal, unless it is "", in place of the chunk's own.
func (d *draft) replace(chunk gjson.Result, name, literal string) {
	if old := chunk.Get(name); literal != "" && old.Exists() && old.Raw != literal {
		d.set(name, literal)
	}
}

// text puts a text in place of the chunk's own and reports whether there is any.
func (d *draft) text(path string, old gjson.Result, inside string) bool {
	was := ""
	if old.Type == gjson.String {
		was = insideOf(old)
	}
	if inside != was {
		d.set(path, `"`+inside+`"`)
		d.lost = d.lost || inside == ""
	}
	return inside != ""
}

// empty reports whether nothing is left that a client would miss.
func (d *draft) empty() bool {
	return judge("", []byte(d.json)).kind == quiet && empty(gjson.Get(d.json, "usage"))
}
