package proxy

import (
	"strings"

	"github.com/tidwall/gjson"

	"mnemo/proxy/upstream"
)

// rescues are the faults of a stream with which another provider goes on.
func rescues(quick func(*upstream.Options)) []fault {
	resume := func(more ...func(*upstream.Options)) func(*upstream.Options) {
		return func(o *upstream.Options) {
			o.Resume = true
			for _, f := range more {
				f(o)
			}
		}
	}
	prefill := func(o *upstream.Options) { o.Upstreams[len(o.Upstreams)-1].Prefill = true }
	hang := func(c *asked) { c.silence() }
	overloaded := func(c *asked) { c.event(`{"error":{"message":"overloaded","code":"overloaded"}}`) }
	half := strings.Join(pieces[:4], "")
	list := []fault{
		{name: "S08 the stream dies and is rescued afresh", primary: broken((*asked).cut), fallback: healthy, tune: resume()},
		{name: "S08 the stream dies and is rescued with prefill", primary: broken((*asked).cut), fallback: continuing, tune: resume(prefill)},
		{name: "S09 the stream goes silent and is rescued", primary: broken(hang), fallback: healthy, tune: resume(quick)},
		{name: "S14 the stream dies and is rescued though prefill is refused", primary: broken((*asked).cut), fallback: refusingPrefill, tune: resume(prefill)},
		{name: "an error in the stream, which is rescued", primary: broken(overloaded), fallback: healthy, tune: resume()},
		{name: "the stream dies, and the fallback says something else", primary: broken((*asked).cut), fallback: otherwise, tune: resume(),
			code: "upstream_stream_cut", status: 200, text: half},
		{name: "the stream dies, and the fallback is down", primary: broken((*asked).cut), tune: resume(),
			fallback: func(c *asked, _ int64) { c.fail(503, "overloaded") }, code: "upstream_stream_cut", status: 200, text: half},
	}
	for i := range list {
		list[i].streamed = true
		list[i].rescued = list[i].code == ""
		list[i].most = 1
	}
	return list
}

// prefilled is what of the answer the request has already.
func (c *asked) prefilled() string {
	messages := gjson.Get(c.body, "messages").Array()
	if last := messages[len(messages)-1]; last.Get("role").String() == "assistant" {
		return last.Get("content").String()
	}
	return ""
}

// continuing says what is missing.
func continuing(c *asked, _ int64) {
	rest, known := strings.CutPrefix(sentence, c.prefilled())
	if !known || rest == sentence {
		c.fail(500, "nothing_to_continue")
		return
	}
	c.begin()
	c.say(rest)
	c.end()
	c.event("[DONE]")
}

func refusingPrefill(c *asked, _ int64) {
	if c.prefilled() != "" {
		c.fail(400, "prefill_not_supported")
		return
	}
	c.answer()
}

func otherwise(c *asked, _ int64) {
	c.begin()
	c.say("Something ", "else ", "altogether.")
	c.end()
	c.event("[DONE]")
}
