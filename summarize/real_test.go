package summarize

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"mnemo/memory"
)

// conversations are real ones: of airline agents that use tools (tau-bench, MIT) and
// of people who tell of themselves (BFCL, Apache-2.0).
func conversations(t *testing.T) map[string][][]memory.Message {
	t.Helper()
	data := filepath.Join(root(t), "..", "shared", "data")
	files, err := filepath.Glob(filepath.Join(data, "bfcl_memory_prereq_*.json"))
	if err != nil || len(files) == 0 {
		t.Skip("the recorded conversations are not here")
	}
	all := make(map[string][][]memory.Message)
	add := func(name string, list gjson.Result, answered bool) {
		var messages []memory.Message
		list.ForEach(func(_, raw gjson.Result) bool {
			if raw.IsArray() {
				raw = raw.Get("0")
			}
			if m, err := memory.ParseMessage(raw.Raw); err == nil && !m.IsSystem() {
				messages = append(messages, counted(m))
				if !answered {
					messages = append(messages, assistant("Thank you for telling me about it; I will keep it in mind for later."))
				}
			}
			return true
		})
		all[name] = append(all[name], messages)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			add("people", gjson.Get(line, "question"), false)
		}
	}
	text, err := os.ReadFile(filepath.Join(data, "tau_bench_gpt-4o-airline.json"))
	if err != nil {
		t.Skip("the recorded conversations are not here")
	}
	gjson.Parse(string(text)).ForEach(func(_, run gjson.Result) bool {
		add("airline", run.Get("traj"), true)
		return true
	})
	return all
}

// root is the directory of the module.
func root(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if filepath.Dir(dir) == dir {
			t.Fatal("there is no module")
		}
		dir = filepath.Dir(dir)
	}
}

// sentences is a record made of the first sentences of each message.
func sentences(messages []memory.Message, each, limit int) string {
	var b strings.Builder
	tokens := 0
	for i := range messages {
		if messages[i].Role == memory.RoleTool {
			continue
		}
		kept := 0
		for sentence := range strings.SplitAfterSeq(rendered(messages[i].Raw), ". ") {
			tokens += count(counter, sentence) - count(counter, "")
			if kept++; kept > each || tokens > limit {
				break
			}
			b.WriteString(strings.TrimSpace(sentence) + " ")
		}
	}
	return b.String()
}

func TestClaim_passes_extracts_of_real_conversations_and_no_skeleton(t *testing.T) {
	skeletons := map[string]string{
		"people":  "The user told the assistant about themselves, their work, their family and what they like, and asked several questions. The assistant listened and answered in a friendly way.",
		"airline": "The user contacted the airline about a reservation. The assistant asked for the details, looked them up, explained the policy and made the changes that the user had asked for.",
	}
	for name, all := range conversations(t) {
		passed, fooled, judged := 0, 0, 0
		for _, messages := range all {
			if tokensIn(messages) < 1000 { // nothing so short is folded
				continue
			}
			var part []memory.Message
			for _, m := range messages {
				if part = append(part, m); tokensIn(part) > DefaultInput {
					break
				}
			}
			judged++
			if claimOf(sentences(part, 2, 450), "", part).rejection() == "" {
				passed++
			}
			if claimOf(skeletons[name], "", part).rejection() == "" {
				fooled++
			}
		}
		t.Logf("%s: of %d, %d records made of first sentences passed, and %d skeletons", name, judged, passed, fooled)
		if judged < 20 || passed*5 < judged*4 || fooled > 0 { // first sentences do miss what matters in a few
			t.Errorf("%s: of %d, %d records made of first sentences passed, and %d skeletons", name, judged, passed, fooled)
		}
	}
}
