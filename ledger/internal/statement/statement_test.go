package statement

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"mnemo/ledger"
)

var dialect = Dialect{Mark: "$", Calls: "calls", Days: "days", Session: "session = %s"}

func TestUsage_has_what_people_say_in_its_arguments_only(t *testing.T) {
	q := ledger.Query{Scope: ledger.Scope{Tenant: "said-tenant"}, Session: "said-session", Model: "said-model", Upstream: "said-upstream",
		Key: "said-key", Operation: "said-operation", GroupBy: ledger.Dimensions()[:6], Limit: 7}
	text, args := dialect.Usage(&q)
	if strings.Contains(text, "said") || !strings.Contains(text, "LIMIT 7)") {
		t.Error(text)
	}
	for i, arg := range args[2:] {
		if !strings.HasPrefix(arg.(string), "said-") || !strings.Contains(text, fmt.Sprint("$", i+3)) {
			t.Errorf("argument %d is %v", i+3, arg)
		}
	}
	if len(args) != 8 {
		t.Errorf("the arguments are %v", args)
	}
}

func TestUsage_reads_days_unless_it_is_about_a_session(t *testing.T) {
	for session, want := range map[string]bool{"": true, "s": false} {
		text, _ := dialect.Usage(&ledger.Query{Scope: ledger.Scope{AllTenants: true}, Session: session})
		if got := strings.Contains(text, "FROM days"); got != want {
			t.Errorf("session %q: it reads days: %v", session, got)
		}
	}
}

func TestRoll_adds_each_column_to_itself(t *testing.T) {
	text := dialect.Roll("gone", "true")
	for _, c := range ledger.Columns() {
		if !strings.Contains(text, fmt.Sprintf("%[1]s = old.%[1]s + excluded.%[1]s", c)) {
			t.Errorf("%s is not added up in %s", c, text)
		}
	}
	if strings.Contains(text, "session") {
		t.Error("sessions are kept: ", text)
	}
}

func TestValues_are_in_the_order_of_Call(t *testing.T) {
	e := ledger.Entry{Tenant: "tenant", Session: "session", Operation: "operation", ModelUsed: "model", Upstream: "upstream", Key: "key_label", ID: "id"}
	_, texts, sums := Values(&e)
	if got := slices.Concat([]string{"uid", "at"}, texts, ledger.Columns()); !slices.Equal(got, Call) || len(sums) != len(ledger.Columns()) {
		t.Errorf("%q, want %q", got, Call)
	}
}
