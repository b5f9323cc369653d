package config

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// A Variable is an environment variable that sets something.
type Variable struct {
	Name string
	Flag string // the flag that goes before it, without dashes; "" if there is none
	Key  string // the setting
}

// Variables are the settings that have an environment variable. upstreams[0] is
// the default upstream, also if a file lists several.
func Variables() []Variable {
	return []Variable{
		{"MNEMO_LISTEN", "listen", "listen"},
		{"MNEMO_UPSTREAM", "upstream", "upstreams[0].url"},
		{"MNEMO_UPSTREAM_KEYS", "", "upstreams[0].keys"},
		{"MNEMO_STORE", "store", "store.url"},
		{"MNEMO_AUTH", "auth", "auth.mode"},
		{"MNEMO_STRATEGY", "strategy", "memory.strategy"},
		{"MNEMO_BUDGET", "budget", "memory.budget"},
		{"MNEMO_RETRIES", "", "retry.attempts"},
		{"MNEMO_LOG", "log", "log.format"},
		{"MNEMO_LOG_LEVEL", "log-level", "log.level"},
	}
}

// Sources are where a configuration is read from. The zero value gives the
// defaults.
type Sources struct {
	// File is the path given with --config. Empty: that of MNEMO_CONFIG, else
	// DefaultFile if there is one.
	File string
	// Flags are the flags that were given, by name without dashes.
	Flags map[string]string
	// Environ is the environment, as os.Environ returns it. An empty variable
	// counts as not set.
	Environ []string
	// ReadFile reads a file, as os.ReadFile does. Nil: there are no files.
	ReadFile func(path string) ([]byte, error)
}

// Load reads the sources, each over those before it: defaults, file,
// environment, flags. Its error joins one *Mistake for everything that is wrong.
func Load(from Sources) (*Config, error) {
	l := &loader{
		Config: defaults(),
		read:   from.ReadFile,
		env:    environment(from.Environ),
		used: map[string]bool{
			configVariable: true, commonKeysVariable: true,
			serverVariable: true, keyVariable: true, // of the commands that are clients
		},
	}
	if l.read == nil {
		l.read = noFiles
	}
	l.origins = map[string]Origin{}
	l.file(from)
	l.environment()
	l.flags(from.Flags)
	l.complete()
	l.validate()
	l.warnOfUnknown()
	l.warnOfIdle()
	slices.Sort(l.Warnings)
	if len(l.mistakes) == 0 {
		return l.Config, nil
	}
	inOrder(l.mistakes)
	failures := make([]error, len(l.mistakes))
	for i, m := range l.mistakes {
		failures[i] = m
	}
	return nil, errors.Join(failures...)
}

// Private

const (
	variablePrefix     = "MNEMO_"
	configVariable     = "MNEMO_CONFIG"
	keysVariable       = "MNEMO_UPSTREAM_KEYS"
	serverVariable     = "MNEMO_SERVER"
	keyVariable        = "MNEMO_KEY"
	commonKeysVariable = "OPENAI_API_KEYS"

	// maxFile bounds a configuration file, in bytes.
	maxFile = 1 << 20
)

// A loader is a configuration that is being put together.
type loader struct {
	*Config
	read     func(path string) ([]byte, error)
	env      map[string]string
	used     map[string]bool // the variables that something was read from
	mistakes []*Mistake
}

// report notes a mistake, unless the setting or what contains it has one
// already: what follows from a mistake is none.
func (l *loader) report(at Origin, key, format string, args ...any) {
	for _, m := range l.mistakes {
		if m.within(key) {
			return
		}
	}
	l.mistakes = append(l.mistakes, &Mistake{at, key, fmt.Sprintf(format, args...)})
}

// wrong reports a mistake in a setting where the setting, or else what contains
// it, was set.
func (l *loader) wrong(key, format string, args ...any) {
	l.report(l.origin(key), key, format, args...)
}

func (l *loader) origin(key string) Origin {
	for {
		if at, found := l.origins[key]; found {
			return at
		}
		cut := strings.LastIndexAny(key, ".[")
		if cut < 0 {
			return Origin{}
		}
		key = key[:cut]
	}
}

func (l *loader) file(from Sources) {
	path, at, required := DefaultFile, Origin{}, false
	if named := l.env[configVariable]; named != "" {
		path, at, required = named, Origin{Name: configVariable}, true
	}
	if from.File != "" {
		path, at, required = from.File, Origin{Name: "--config"}, true
	}
	text, err := l.read(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !required:
	case err != nil:
		l.report(at, "", "%v", err)
	case len(text) > maxFile:
		l.report(Origin{Name: path}, "", "is larger than %v", Size(maxFile))
	default:
		l.File = path
		(&decoder{loader: l, path: path}).file(text)
	}
	if len(l.Upstreams) == 0 {
		l.wrong("upstreams", "must list at least one upstream")
		l.Upstreams = defaults().Upstreams
	}
}

func (l *loader) environment() {
	for _, v := range Variables() {
		l.used[v.Name] = true
		if text := l.env[v.Name]; text != "" && v.Name != keysVariable {
			l.set(Origin{Name: v.Name}, v.Key, text)
		}
	}
	if keys := l.env[keysVariable]; keys != "" {
		l.pool(keysVariable, keys)
		return
	}
	keys := l.env[commonKeysVariable]
	_, listed := l.origins["upstreams"]
	switch {
	case keys == "" || len(l.Upstreams[0].Keys) > 0:
	case listed:
		// The keys are OpenAI's; nobody said that this upstream may see them.
		l.Warnings = append(l.Warnings, fmt.Sprintf("%s is not used: the file lists the upstreams; %s or upstreams[0].keys sets their keys",
			commonKeysVariable, keysVariable))
	default:
		l.pool(commonKeysVariable, keys)
	}
}

func (l *loader) flags(flags map[string]string) {
	for _, v := range Variables() {
		if text, given := flags[v.Flag]; given {
			l.set(Origin{Name: "--" + v.Flag}, v.Key, text)
		}
	}
}

func (l *loader) set(at Origin, key, text string) {
	if err := fields(l.Config)[key].set(text, text); err != nil {
		l.report(at, key, "%v", err)
		return
	}
	l.origins[key] = at
}

// pool makes the comma-separated keys of a variable those of the default
// upstream.
func (l *loader) pool(variable, list string) {
	at := Origin{Name: variable}
	pool := &l.Upstreams[0].Keys
	*pool = nil
	for key := range l.origins {
		if strings.HasPrefix(key, "upstreams[0].keys") {
			delete(l.origins, key)
		}
	}
	l.origins["upstreams[0].keys"] = at
	for i, text := range strings.Split(list, ",") {
		key := UpstreamKey{Value: secret(strings.TrimSpace(text))}
		key.setDefaults()
		*pool = append(*pool, key)
		l.origins[fmt.Sprintf("upstreams[0].keys[%d].value", i)] = at
	}
}

func (l *loader) warnOfUnknown() {
	var known []string
	for _, v := range Variables() {
		known = append(known, v.Name)
	}
	known = append(known, configVariable)
	for name := range l.env {
		if strings.HasPrefix(name, variablePrefix) && !l.used[name] {
			l.Warnings = append(l.Warnings, name+" is no variable of mnemo's"+suggest(name, known))
		}
	}
}

func noFiles(path string) ([]byte, error) {
	return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
}

func environment(environ []string) map[string]string {
	env := make(map[string]string, len(environ))
	for _, pair := range environ {
		if name, value, found := strings.Cut(pair, "="); found {
			env[name] = value
		}
	}
	return env
}
