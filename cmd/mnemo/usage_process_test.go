package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
)

// accountsFile is two tenants, an admin, an upstream that is down before one that is
// not, and budgets of all kinds.
func accountsFile(up *fakeModel) string {
	return patientStore + fmt.Sprintf(`
auth:
  mode: keys
  keys:
  - {name: ada, tenant: ada, hash: %q}
  - {name: bob, tenant: bob, hash: %q}
  - {name: office, tenant: office, admin: true, hash: %q}
upstreams:
- {name: down, url: %q}
- {name: up, url: %q}
routes: [{model: "*", to: [{upstream: down, model: "503"}, {upstream: up}]}]
ledger: {interval: 10ms}
budgets:
- {name: all, scope: global, limit: 5 USD, per: month, action: warn}
- {name: team, scope: tenant, limit: 4 USD, per: month}
- {name: big, scope: model, match: "gpt-*", limit: 3 USD, per: month, action: warn}
`, hashOf("sk-ada"), hashOf("sk-bob"), hashOf("sk-office"), up.url, up.url)
}

// command runs a command of somebody's against the process.
func (m *mnemo) command(t *testing.T, key string, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	run(t.Context(), args, []string{"MNEMO_SERVER=" + m.url, "MNEMO_KEY=" + key}, strings.NewReader(""), &out, &errs)
	return out.String() + errs.String()
}

// shows expects what a command prints to hold all of these, and none of others, as soon
// as the accounts are written.
func (m *mnemo) shows(t *testing.T, key, command string, parts, others []string) string {
	t.Helper()
	for end := time.Now().Add(patience); ; {
		said, wrong := m.command(t, key, strings.Fields(command)...), ""
		for _, p := range parts {
			if !strings.Contains(said, p) {
				wrong = "does not say " + p
			}
		}
		for _, p := range others {
			if strings.Contains(said, p) {
				wrong = "says " + p
			}
		}
		if wrong == "" || time.Now().After(end) {
			if wrong != "" {
				t.Errorf("%s %s:\n%s", command, wrong, said)
			}
			return said
		}
	}
}

func TestAccounts_of_a_running_server_are_seen_by_whom_they_are_of(t *testing.T) {
	up := newFakeModel(t)
	m := serve(t, setup{file: accountsFile(up)})
	ada := m.says(t, turn{session: "trip", text: "My name is Ada.", key: "sk-ada"}, heard("My name is Ada."))
	m.says(t, turn{session: "trip", text: "What is my name?", key: "sk-ada", stream: true}, "Your name is Ada.")
	bob := m.says(t, turn{session: "secret", text: "My name is Bob.", key: "sk-bob"}, heard("My name is Bob."))

	m.shows(t, "sk-ada", "usage --by session,upstream", []string{"\ntrip     up            2      4       2 ", "$0.000030"}, []string{"secret"})
	m.shows(t, "sk-bob", "usage --by session", []string{"\nsecret       1 "}, []string{"trip"})
	m.shows(t, "sk-office", "usage --all --by tenant", []string{"\nada         2 ", "\nbob         1 ", "\ntotal       3 ", "$0.000043"}, nil)
	m.shows(t, "sk-office", "usage", []string{"There are no calls"}, nil)

	id := ada.header.Get("X-Request-ID")
	m.shows(t, "sk-ada", "calls show "+id, []string{
		"model    gpt-4o at up\n", "\nattempt 1 ", "down, 503: 503 server_error, breaker closed\n", "up, gpt-4o: 200 ok, breaker closed, 1 in, 1 out, $0.0000125\n", "\ncommit ",
	}, nil)
	m.shows(t, "sk-bob", "calls show "+id, []string{"there is no call"}, []string{"gpt-4o"})
	m.shows(t, "sk-office", "calls show --tenant bob "+bob.header.Get("X-Request-ID"), []string{"tenant bob, session secret"}, nil)

	m.shows(t, "sk-ada", "budgets", []string{"\nteam  tenant ada ", "$0.000030"}, []string{"bob", "all calls", "model"})
	m.shows(t, "sk-office", "budgets", []string{"tenant ada", "tenant bob", "all calls", "model gpt-4o", "$0.000043"}, nil)

	m.shows(t, "sk-ada", "sessions delete trip --yes", []string{"trip is deleted"}, nil)
	m.shows(t, "sk-ada", "usage --by session", []string{"\n-            2 "}, []string{"trip"})
	m.shows(t, "sk-ada", "calls show "+id, []string{"who      tenant ada, session none\n"}, []string{"trip"})
}

func TestAccounts_that_are_not_kept_are_said_so(t *testing.T) {
	m := serve(t, setup{file: "ledger: {enabled: false}\n", args: []string{"--upstream", newFakeModel(t).url, "--auth", "none"}})
	for command, want := range map[string]string{
		"usage": "keeps no ledger: set ledger.enabled", "calls show x": "keeps no ledger", "budgets": "There are no budgets",
	} {
		if got := m.command(t, "", strings.Fields(command)...); !strings.Contains(got, want) {
			t.Errorf("%s says %s", command, got)
		}
	}
}
