package deploy

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
)

// A dashboard is what these tests know of Grafana's model of one.
type dashboard struct {
	UID, Title string
	Templating struct{ List []variable }
	Panels     []panel
}

type variable struct {
	Name, Type, AllValue string
	Query                json.RawMessage
	Datasource           datasource
}

type panel struct {
	ID                       int
	Type, Title, Description string
	Datasource               datasource
	GridPos                  struct{ H, W, X, Y int }
	FieldConfig              struct{ Defaults struct{ Unit string } }
	Targets                  []target
}

type target struct {
	RefID          string
	Expr           string
	LegendFormat   string
	Instant, Range bool
	Datasource     datasource
}

type datasource struct{ Type, UID string }

func TestDashboard_asks_the_chosen_datasource_for_known_variables_only(t *testing.T) {
	d := readDashboard(t)
	known := map[string]bool{"__rate_interval": true, "__range": true}
	for _, v := range d.Templating.List {
		known[v.Name] = true
		if v.Type == "query" && (v.Datasource.UID != "${datasource}" || v.AllValue != ".*") {
			t.Errorf("variable %s: %+v", v.Name, v)
		}
	}
	if d.UID == "" || d.Title == "" || !known["datasource"] || !known["model"] || !known["tenant"] {
		t.Errorf("%s, %s, %v", d.UID, d.Title, known)
	}
	for _, p := range d.Panels {
		for _, q := range p.Targets {
			if p.Datasource.UID != "${datasource}" || q.Datasource != p.Datasource || q.Instant == q.Range {
				t.Errorf("%s, %s: %+v", p.Title, q.RefID, q)
			}
			for _, name := range regexp.MustCompile(`\$\{?(\w+)`).FindAllStringSubmatch(q.Expr, -1) {
				if !known[name[1]] {
					t.Errorf("%s asks for $%s", p.Title, name[1])
				}
			}
			if !strings.Contains(q.Expr, "$instance") {
				t.Errorf("%s does not ask for the chosen processes: %s", p.Title, q.Expr)
			}
		}
	}
}

func TestDashboard_explains_its_panels_and_lays_them_out(t *testing.T) {
	d := readDashboard(t)
	ids, titles := map[int]bool{}, map[string]bool{}
	taken := map[[2]int]string{}
	for _, p := range d.Panels {
		if ids[p.ID] || titles[p.Title] || p.Title == "" {
			t.Errorf("%d, %s: twice, or nothing", p.ID, p.Title)
		}
		ids[p.ID], titles[p.Title] = true, true
		if p.Type != "row" && (len(p.Targets) == 0 || !strings.HasSuffix(p.Description, ".") || p.FieldConfig.Defaults.Unit == "") {
			t.Errorf("%s: %d queries, unit %q, %q", p.Title, len(p.Targets), p.FieldConfig.Defaults.Unit, p.Description)
		}
		for x := range p.GridPos.W {
			for y := range p.GridPos.H {
				at := [2]int{p.GridPos.X + x, p.GridPos.Y + y}
				if taken[at] != "" || at[0] >= 24 {
					t.Fatalf("%s is on %s", p.Title, taken[at])
				}
				taken[at] = p.Title
			}
		}
	}
}

func readDashboard(t *testing.T) (d dashboard) {
	t.Helper()
	text, err := os.ReadFile("grafana/mnemo.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	return d
}
