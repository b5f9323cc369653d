package summarize

import (
	"fmt"
	"strings"
	"testing"

	"mnemo/memory"
)

// claimOf is a claim about messages.
func claimOf(text, previous string, messages []memory.Message) *claim {
	c := &claim{
		answer: Completion{Text: text, Finish: "stop"}, text: tidy(text), lines: linesOf(pointers(messages), DefaultInput),
		replaced: tokensIn(messages), limit: DefaultMaxTokens, count: func(text string) int { return count(counter, text) },
	}
	if previous != "" {
		c.previous = &memory.Summary{Text: previous}
		c.previous.Tokens = count(counter, c.previous.Block())
	}
	return c
}

func TestClaim_tells_good_records_from_bad_ones_in_many_languages(t *testing.T) {
	for _, s := range samples {
		for i, text := range s.good {
			if reason := claimOf(text, s.previous, s.messages()).rejection(); reason != "" {
				t.Errorf("%s: good record %d is %s", s.name, i, reason)
			}
		}
		for i, text := range s.bad {
			if reason := claimOf(text, s.previous, s.messages()).rejection(); reason != Implausible {
				t.Errorf("%s: bad record %d is %q", s.name, i, reason)
			}
		}
	}
}

func TestClaim_demands_more_of_a_longer_stretch(t *testing.T) {
	var all []memory.Message
	var good, one string
	for _, s := range samples {
		all = append(all, s.messages()...)
		good += s.good[1] + "\n"
		one = s.good[1]
	}
	if reason := claimOf(good, "", all).rejection(); reason != "" {
		t.Errorf("a good record of all is %s", reason)
	}
	if reason := claimOf(one[:70], "", all).rejection(); reason != Implausible {
		t.Errorf("a part of one record in place of seven is %q", reason)
	}
}

func TestClaim_names_each_reason(t *testing.T) {
	s := samples[0]
	long := strings.Repeat(s.good[0]+" ", 12)
	tests := []struct {
		name   string
		answer Completion
		want   Reason
	}{
		{"whole", Completion{Text: s.good[0], Finish: "stop"}, ""},
		{"no finish", Completion{Text: s.good[0]}, ""},
		{"cut", Completion{Text: s.good[0], Finish: "length"}, Cut},
		{"filtered", Completion{Text: s.good[0], Finish: "content_filter"}, Refused},
		{"flagged", Completion{Text: s.good[0], Finish: "stop", Refused: true}, Refused},
		{"said no", Completion{Text: "I'm sorry, but I can't help with that.", Finish: "stop"}, Refused},
		{"empty", Completion{Finish: "stop"}, Empty},
		{"blank", Completion{Text: " \n\t\u00a0", Finish: "stop"}, Empty},
		{"thoughts alone", Completion{Text: "<think>what now", Finish: "stop"}, Empty},
		{"frame alone", Completion{Text: "<quoted>\n</quoted>", Finish: "stop"}, Empty},
		{"long", Completion{Text: long, Finish: "stop"}, OverLong},
		{"huge", Completion{Text: strings.Repeat(" x", 1<<20), Finish: "stop"}, OverLong},
		{"skeleton", Completion{Text: s.bad[0], Finish: "stop"}, Implausible},
	}
	for _, test := range tests {
		c := claimOf(test.answer.Text, "", s.messages())
		c.answer = test.answer
		c.replaced = max(c.replaced, 4000)
		if got := c.rejection(); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

func TestClaim_takes_half_as_much_again_as_was_asked_for_and_no_more(t *testing.T) {
	s := samples[0]
	c := claimOf(s.good[0], "", s.messages())
	n := c.count(c.text)
	for limit, want := range map[int]Reason{n * 2 / 3: OverLong, n*2/3 + 1: ""} {
		c.limit = limit
		if got := c.rejection(); got != want {
			t.Errorf("%d tokens where %d were asked for: %q, want %q", n, limit, got, want)
		}
	}
}

func TestClaim_is_no_longer_than_what_it_replaces(t *testing.T) {
	s := samples[0]
	c := claimOf(s.good[0], "", s.messages())
	made := memory.Summary{Text: c.text}
	n := c.count(made.Block())
	for replaced, want := range map[int]Reason{n: OverLong, n + 1: ""} {
		c.replaced = replaced
		if got := c.rejection(); got != want {
			t.Errorf("%d tokens in place of %d: %q, want %q", n, replaced, got, want)
		}
	}
}

func TestClaim_about_talk_without_values_needs_a_length(t *testing.T) {
	var messages []memory.Message
	for range 40 {
		messages = append(messages, user("我最近总是睡不好，晚上想的事情太多，白天又没有精神，不知道该怎么办才好。"),
			assistant("听起来您压力不小。睡前可以试着放下手机，做几次深呼吸，把担心的事情写在纸上，第二天再处理。"))
	}
	if reason := claimOf("用户和助手讨论了几个话题。", "", messages).rejection(); reason != Implausible {
		t.Errorf("a skeleton is %q", reason)
	}
	good := "用户近来压力大，晚上思虑过多，睡眠不好，白天精神不足。助手建议睡前不看手机、做深呼吸，并把担心的事写下来第二天再处理。"
	if reason := claimOf(good, "", messages).rejection(); reason != "" {
		t.Errorf("a good record is %s", reason)
	}
	if reason := claimOf("用户睡不好，助手给了建议，用户表示感谢，双方没有再谈别的事情。", strings.Repeat(good, 3), messages).rejection(); reason != Implausible {
		t.Errorf("a record that lost most of the one before is %q", reason)
	}
}

func TestClaim_may_leave_out_a_dump(t *testing.T) {
	var log strings.Builder
	for i := range 700 {
		fmt.Fprintf(&log, "2024-05-01 10:%02d:%02d ERROR worker-%d request req_%d took %d ms, retry in %d\n", i/60%60, i%60, 100+i, 7000+i, 1000+3*i, 2000+i)
	}
	messages := []memory.Message{
		user("Why does this fail?\n" + log.String()),
		assistant("All requests to 10.0.0.5:5432 time out: the pool of Postgres is exhausted. Raise max_connections to 200 and check PgBouncer."),
		user("Raising max_connections helped, thanks."),
		assistant("Good. Keep an eye on it."),
	}
	good := "The user showed a log of 2024-05-01 in which all workers time out. The pool of Postgres at 10.0.0.5:5432 was exhausted; raising max_connections to 200 helped. PgBouncer is still to be checked."
	if reason := claimOf(good, "", messages).rejection(); reason != "" {
		t.Errorf("a good record is %s", reason)
	}
	for _, bad := range []string{
		"The user showed a log with many errors and asked why they happen. The assistant gave a hint about what to change, which then helped, and the user said thanks for it.",
		"The user pasted 700 lines. The assistant and the user looked at them together, and found out what was wrong, and then they changed it and everything was well again.",
	} {
		if reason := claimOf(bad, "", messages).rejection(); reason != Implausible {
			t.Errorf("a skeleton is %q", reason)
		}
	}
}

func TestClaim_demands_little_of_what_tools_return(t *testing.T) {
	var rows strings.Builder
	for i := range 300 {
		fmt.Fprintf(&rows, `{"id":"FL-%d","price":%d,"from":"HAM"},`, 1000+i, 100+i)
	}
	result := messageOf(memory.RoleTool, rows.String())
	messages := []memory.Message{
		user("Find me a flight to Porto, please."), assistant("Let me look."), counted(result),
		assistant("The cheapest one is FL-1000 for 100 euros."), user("Book it."), assistant("It is booked."),
	}
	good := "The user asked for a flight to Porto; the assistant found and booked the cheapest one, FL-1000, for 100 euros. Nothing else is open between the two of them at this point of the conversation."
	if reason := claimOf(good, "", messages).rejection(); reason != "" {
		t.Errorf("a good record is %s", reason)
	}
}

func TestClaim_says_nothing_against_small_talk(t *testing.T) {
	messages := []memory.Message{
		user("Can you tell me a joke about cats? I had a bad day and would like to laugh, please."),
		assistant("Why was the cat sitting on the computer? To keep an eye on the mouse! I hope that helps a little, and that tomorrow will be a better day for you."),
		user("Ha, that was good. One more, please, about dogs this time, and make it a silly one."),
		assistant("What do you call a dog that does magic tricks? A labracadabrador! Would you like another one about a different animal, or shall we talk about your day?"),
	}
	if reason := claimOf("The user had a bad day and asked for jokes about cats and dogs; both were told.", "", messages).rejection(); reason != "" {
		t.Errorf("a good record is %s", reason)
	}
}

func TestTidy_leaves_out_what_models_put_around_a_record(t *testing.T) {
	for answer, want := range map[string]string{
		"  a record\n":                              "a record",
		"<think>hm</think>\n\na record":             "a record",
		"<think>hm":                                 "",
		"<quoted>\na record\n</quoted>":             "a record",
		"<think>a</think><quoted>a record</quoted>": "a record",
		"a <record> of records":                     "a <record> of records",
		"a\xffb":                                    "a\uFFFDb",
	} {
		if got := tidy(answer); got != want {
			t.Errorf("%q became %q, want %q", answer, got, want)
		}
	}
}
