package config

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// A decoder reads a YAML file into the configuration of a loader. It goes on
// after a mistake, and what is left out or null keeps its default.
type decoder struct {
	*loader
	path string
}

// Private

// file decodes a whole file.
func (d *decoder) file(text []byte) {
	tree, err := parser.ParseBytes(text, 0, parser.AllowDuplicateMapKey())
	var syntax *yaml.SyntaxError
	switch {
	case errors.As(err, &syntax):
		// Only the message: the error itself would show the lines around it.
		d.report(d.at(syntax.Token), "", "%s", syntax.Message)
	case err != nil:
		d.report(Origin{Name: d.path}, "", "is no YAML")
	case len(tree.Docs) > 1:
		d.report(d.at(tree.Docs[1].Start), "", "must hold one YAML document and no directives")
	case len(tree.Docs) == 1 && tree.Docs[0].Body != nil:
		d.decode(tree.Docs[0].Body, "", field{Value: reflect.ValueOf(d.Config).Elem()})
	}
}

func (d *decoder) at(t *token.Token) Origin {
	if t == nil || t.Position == nil {
		return Origin{Name: d.path}
	}
	return Origin{d.path, t.Position.Line, t.Position.Column}
}

func (d *decoder) decode(node ast.Node, key string, into field) {
	if node.Type() == ast.NullType {
		delete(d.origins, key)
		return
	}
	switch node.(type) {
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode:
		d.report(d.at(node.GetToken()), key, "anchors, aliases and tags are not supported")
		return
	}
	switch {
	case scalar(into.Type()):
		d.scalar(node, key, into)
	case into.Kind() == reflect.Slice:
		d.list(node, key, into)
	default:
		d.mapping(node, key, into)
	}
}

func (d *decoder) scalar(node ast.Node, key string, into field) {
	at := d.at(node.GetToken())
	var text string
	switch node := node.(type) {
	case *ast.MappingNode, *ast.SequenceNode:
		d.report(at, key, "must be a single value")
		return
	case *ast.LiteralNode:
		text = node.Value.Value
	case *ast.StringNode:
		text = node.Value
	default:
		text = node.GetToken().Value
	}
	expanded, err := d.expand(text)
	if err == nil {
		err = into.set(expanded, text)
	}
	if err != nil {
		d.report(at, key, "%v", err)
		return
	}
	d.origins[key] = at
}

func (d *decoder) list(node ast.Node, key string, into field) {
	sequence, ok := node.(*ast.SequenceNode)
	if !ok {
		d.report(d.at(node.GetToken()), key, "must be a list")
		return
	}
	list := reflect.MakeSlice(into.Type(), len(sequence.Values), len(sequence.Values))
	into.Set(list)
	for i, item := range sequence.Values {
		element := fmt.Sprintf("%s[%d]", key, i)
		d.origins[element] = d.at(item.GetToken())
		if mapping, ok := item.(*ast.MappingNode); ok && len(mapping.Values) > 0 {
			d.origins[element] = d.at(mapping.Values[0].Key.GetToken())
		}
		if with, ok := list.Index(i).Addr().Interface().(interface{ setDefaults() }); ok {
			with.setDefaults()
		}
		d.decode(item, element, field{list.Index(i), into.tag})
	}
}

// mapping decodes a struct, whose keys are its settings, or a table, whose keys
// are free.
func (d *decoder) mapping(node ast.Node, key string, into field) {
	mapping, ok := node.(*ast.MappingNode)
	if !ok {
		d.report(d.at(node.GetToken()), key, "must hold settings, each as name: value")
		return
	}
	lines := map[string]int{}
	for _, pair := range mapping.Values {
		name := pair.Key.GetToken().Value
		at, below := d.at(pair.Key.GetToken()), join(key, name)
		if line, twice := lines[name]; twice {
			d.report(at, below, "is set twice, first in line %d", line)
			continue
		}
		lines[name] = at.Line
		if into.Kind() == reflect.Map {
			d.entry(pair.Value, below, at, into, name)
			continue
		}
		child, known := into.child(name)
		if !known {
			d.report(at, below, "unknown setting%s", d.suggest(into.Type(), name))
			continue
		}
		d.origins[below] = at
		d.decode(pair.Value, below, child)
	}
}

// entry decodes an entry of a table.
func (d *decoder) entry(node ast.Node, key string, at Origin, table field, name string) {
	if table.IsNil() {
		table.Set(reflect.MakeMap(table.Type()))
	}
	d.origins[key] = at
	value := reflect.New(table.Type().Elem()).Elem()
	d.decode(node, key, field{Value: value})
	table.SetMapIndex(reflect.ValueOf(name), value)
}

// child finds a setting of a struct by its name.
func (f field) child(name string) (child field, known bool) {
	for _, s := range settingsOf(f.Type()) {
		if s.Tag.Get("yaml") == name {
			return field{f.FieldByIndex(s.Index), s.Tag}, true
		}
	}
	return field{}, false
}

// suggest names the setting that an unknown name may be meant for: a neighbour
// with nearly that name, or one with that name elsewhere.
func (d *decoder) suggest(in reflect.Type, name string) string {
	var neighbours []string
	for _, s := range settingsOf(in) {
		neighbours = append(neighbours, s.Tag.Get("yaml"))
	}
	if near := suggest(name, neighbours); near != "" {
		return near
	}
	for _, key := range names(reflect.TypeFor[Config](), "") {
		if strings.HasSuffix(key, "."+name) {
			return fmt.Sprintf(" (did you mean %s?)", key)
		}
	}
	return ""
}

// names lists the keys of all settings that a type can hold, with [] for the
// index of a list.
func names(t reflect.Type, key string) []string {
	switch {
	case scalar(t) || t.Kind() == reflect.Map:
		return []string{key}
	case t.Kind() == reflect.Slice:
		return names(t.Elem(), key+"[]")
	}
	var list []string
	for _, s := range settingsOf(t) {
		list = slices.Concat(list, names(s.Type, join(key, s.Tag.Get("yaml"))))
	}
	return list
}

var reference = regexp.MustCompile(`\$?\$\{[^}]*\}?`)
var variableName = regexp.MustCompile(`^\$\{([A-Za-z_][A-Za-z0-9_]*)\}$`)

// expand replaces ${NAME} by the environment variable; $${ stands for ${ itself.
func (d *decoder) expand(text string) (string, error) {
	var failures []error
	expanded := reference.ReplaceAllStringFunc(text, func(match string) string {
		if strings.HasPrefix(match, "$$") {
			return match[1:]
		}
		name := variableName.FindStringSubmatch(match)
		if name == nil {
			failures = append(failures, errors.New("must hold references of the form ${NAME}; $${ stands for ${ itself"))
			return ""
		}
		value, set := d.env[name[1]]
		if !set {
			failures = append(failures, fmt.Errorf("environment variable %s is not set", name[1]))
		}
		d.used[name[1]] = true
		return value
	})
	if len(failures) > 0 {
		return "", failures[0]
	}
	return expanded, nil
}
