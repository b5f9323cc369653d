package deploy

import (
	"os"
	"slices"
	"testing"

	"github.com/goccy/go-yaml"
)

func TestCollector_pipelines_use_what_is_there_and_all_of_it(t *testing.T) {
	text, err := os.ReadFile("otel-collector/config.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		Receivers, Processors, Exporters, Extensions map[string]any
		Service                                      struct {
			Extensions []string
			Pipelines  map[string]struct{ Receivers, Processors, Exporters []string }
		}
	}
	if err := yaml.UnmarshalWithOptions(text, &config, yaml.DisallowUnknownField()); err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	check := func(where string, names []string, defined map[string]any) {
		t.Helper()
		for _, name := range names {
			if used[name] = true; defined[name] == nil {
				t.Errorf("%s uses %s, which is not defined", where, name)
			}
		}
	}
	check("service", config.Service.Extensions, config.Extensions)
	for name, p := range config.Service.Pipelines {
		check(name, p.Receivers, config.Receivers)
		check(name, p.Processors, config.Processors)
		check(name, p.Exporters, config.Exporters)
		if !slices.Equal(p.Receivers, []string{"otlp"}) || p.Processors[0] != "memory_limiter" || p.Processors[len(p.Processors)-1] != "batch" {
			t.Errorf("%s: %+v", name, p)
		}
	}
	if len(config.Service.Pipelines) != 2 {
		t.Errorf("pipelines: %v", config.Service.Pipelines)
	}
	for _, defined := range []map[string]any{config.Receivers, config.Processors, config.Exporters, config.Extensions} {
		for name := range defined {
			if !used[name] {
				t.Errorf("%s is not used", name)
			}
		}
	}
}
