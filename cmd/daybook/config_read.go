package main

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/caarlos0/env/v11"
)

// envPrefix starts the name of every variable.
const envPrefix = "DAYBOOK_"

// Where a value came from, as `daybook config` prints it.
const (
	fromDefault = "default"
	fromEnv     = "environment"
	fromFile    = "file"
	fromDevJSON = "dev.json"
	fromFlag    = "flag"
)

// variable is one row of the table of variables.
type variable struct {
	Name    string // without the prefix
	Default string
	Help    string
	Secret  bool // may also be given as NAME_FILE
	index   int  // of the field in config
}

// variables lists every variable in the order of the fields.
func variables() []variable {
	t := reflect.TypeFor[config]()
	vars := make([]variable, 0, t.NumField())
	for i := range t.NumField() {
		f := t.Field(i)
		vars = append(vars, variable{
			Name: f.Tag.Get("env"), Default: f.Tag.Get("envDefault"), Help: f.Tag.Get("help"),
			Secret: f.Type == reflect.TypeFor[secret](), index: i,
		})
	}
	return vars
}

// readConfig reads the configuration from an environment in the form of
// os.Environ. It returns where each value came from, by variable name, and one
// error that names every problem.
func readConfig(environ []string) (*config, map[string]string, error) {
	vars := variables()
	given := make(map[string]string)
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		if strings.HasPrefix(name, envPrefix) {
			given[name] = value
		}
	}
	origin := make(map[string]string, len(vars))
	var found []error
	for _, v := range vars {
		origin[v.Name] = fromDefault
		if given[envPrefix+v.Name] != "" {
			origin[v.Name] = fromEnv
		}
		if v.Secret {
			if err := readSecretFile(given, v.Name, origin); err != nil {
				found = append(found, err)
			}
		}
	}
	found = append(found, unknownNames(given, vars)...)
	cfg := new(config)
	var unread []string
	if err := env.ParseWithOptions(cfg, env.Options{Prefix: envPrefix, Environment: given}); err != nil {
		var parse []error
		parse, unread = parseProblems(err)
		found = append(found, parse...)
	}
	found = append(found, cfg.check(unread)...)
	if err := errors.Join(found...); err != nil {
		return nil, nil, err
	}
	return cfg, origin, nil
}

// readSecretFile takes NAME_FILE in place of NAME and removes it from given.
func readSecretFile(given map[string]string, name string, origin map[string]string) error {
	key := envPrefix + name
	path, ok := given[key+"_FILE"]
	delete(given, key+"_FILE")
	if !ok || path == "" {
		return nil
	}
	if given[key] != "" {
		return fmt.Errorf("%s: is set, and %s_FILE too; keep one of the two", key, key)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("%s_FILE: cannot be read; name a readable file: %w", key, err)
	}
	given[key] = strings.TrimRight(string(text), "\r\n")
	origin[name] = fromFile
	return nil
}

// unknownNames reports each DAYBOOK_* name that nothing reads, with the
// nearest one that exists: a misspelt variable would otherwise be ignored.
func unknownNames(given map[string]string, vars []variable) []error {
	var found []error
	for _, key := range slices.Sorted(mapsKeys(given)) {
		name := strings.TrimPrefix(key, envPrefix)
		if strings.HasPrefix(name, "ENGINETEST_") || strings.HasPrefix(name, "REQUIRE_") {
			continue // for the tests' own processes
		}
		if slices.ContainsFunc(vars, func(v variable) bool { return v.Name == name }) {
			continue
		}
		best, distance := "", 1<<30
		for _, v := range vars {
			if d := editDistance(strings.ToUpper(name), v.Name); d < distance {
				best, distance = v.Name, d
			}
		}
		found = append(found, fmt.Errorf("%s: no such variable; did you mean %s%s? (daybook config lists them all)", key, envPrefix, best))
	}
	return found
}

// parseProblems names the variable in each of env's errors, which know only
// the field. It gives the names without the prefix too.
func parseProblems(err error) (found []error, unread []string) {
	var all env.AggregateError
	if !errors.As(err, &all) {
		return []error{err}, nil
	}
	t := reflect.TypeFor[config]()
	for _, e := range all.Errors {
		var parse env.ParseError
		if !errors.As(e, &parse) {
			found = append(found, e)
			continue
		}
		name := parse.Name
		if f, ok := t.FieldByName(parse.Name); ok {
			unread = append(unread, f.Tag.Get("env"))
			name = envPrefix + f.Tag.Get("env")
		}
		found = append(found, fmt.Errorf("%s: is not %s", name, wanted(parse.Type)))
	}
	return found, unread
}

// wanted says in words what a variable of a type takes.
func wanted(t reflect.Type) string {
	switch {
	case t.String() == "time.Duration":
		return "a duration; write for example 500ms, 30s or 2h"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.Int, t.Kind() == reflect.Int64:
		return "a whole number; write digits only, sizes in bytes"
	default:
		return "a " + t.String()
	}
}

// editDistance is Levenshtein's, for the guess at a misspelt name.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
