package deploy

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

const (
	rulesFile     = "prometheus/mnemo-rules.yml"
	rulesTestFile = "prometheus/mnemo-rules.test.yml"
)

type rule struct {
	Alert, Expr         string
	Labels, Annotations map[string]string
}

func TestRules_fire_when_they_should_and_not_otherwise(t *testing.T) {
	need(t, "promtool")
	for _, args := range [][]string{{"check", "rules", rulesFile}, {"test", "rules", rulesTestFile}} {
		if out, err := exec.CommandContext(t.Context(), "promtool", args...).CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	}
}

func TestRules_say_how_bad_it_is_and_what_to_do(t *testing.T) {
	text, err := os.ReadFile(rulesTestFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range readRules(t) {
		if s := r.Labels["severity"]; s != "critical" && s != "warning" {
			t.Errorf("%s: severity %q", r.Alert, s)
		}
		if r.Annotations["summary"] == "" || !strings.HasSuffix(r.Annotations["runbook"], ".") {
			t.Errorf("%s: %v", r.Alert, r.Annotations)
		}
		tests := regexp.MustCompile(`alertname: `+r.Alert+`\n|alertname: `+r.Alert+`,`).FindAllString(string(text), -1)
		quiet, firing := false, false
		for _, test := range tests {
			quiet, firing = quiet || strings.HasSuffix(test, ","), firing || strings.HasSuffix(test, "\n")
		}
		if !quiet || !firing {
			t.Errorf("%s is tested quiet: %t, firing: %t", r.Alert, quiet, firing)
		}
	}
}

func readRules(t *testing.T) (rules []rule) {
	t.Helper()
	text, err := os.ReadFile(rulesFile)
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Groups []struct{ Rules []rule } }
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	for _, group := range file.Groups {
		rules = append(rules, group.Rules...)
	}
	if len(rules) == 0 {
		t.Fatal("there are no rules")
	}
	return rules
}
