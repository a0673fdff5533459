// Package ddl holds the tables of Daybook as numbered files of SQL, and nothing
// else: the runner is clickhouse.Store.Migrate.
//
// The files are append-only. One that has been applied anywhere never changes:
// a change is a new file. Each starts with why it exists. The text is a
// template, so that a cluster can have the same tables: {{.Database}} is the
// quoted database, {{.OnCluster}} is empty on a single node, and {{.Engine
// "ReplacingMergeTree" "version"}} names the engine with its arguments.
package ddl

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"text/template"
)

//go:embed *.sql
var files embed.FS

// Migration is one file.
type Migration struct {
	Version  int    // number that the file's name starts with
	Name     string // file name
	Checksum string // SHA-256 of the file, hex
	text     string
}

// Vars are what the templates are filled in with.
type Vars struct {
	Database string // without quotes
	Cluster  string // "" for a single node
}

// All gives the migrations in order of version. Version 0 makes the table
// migrations itself.
func All() ([]Migration, error) {
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return nil, fmt.Errorf("list migrations: %w", err)
	}
	all := make([]Migration, 0, len(names))
	for i, name := range names { // Glob sorts
		text, err := files.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read migration %s: %w", name, err)
		}
		number, _, _ := strings.Cut(name, "_")
		version, err := strconv.Atoi(number)
		if err != nil || version != i {
			return nil, fmt.Errorf("read migration %s: want number %04d in front", name, i)
		}
		sum := sha256.Sum256(text)
		all = append(all, Migration{Version: version, Name: name, Checksum: hex.EncodeToString(sum[:]), text: string(text)})
	}
	return all, nil
}

// Statements gives the statements of the file, filled in.
func (m Migration) Statements(v Vars) ([]string, error) {
	t, err := template.New(m.Name).Option("missingkey=error").Parse(m.text)
	if err != nil {
		return nil, fmt.Errorf("parse migration %s: %w", m.Name, err)
	}
	var b strings.Builder
	if err := t.Execute(&b, v.fill()); err != nil {
		return nil, fmt.Errorf("fill in migration %s: %w", m.Name, err)
	}
	return split(b.String()), nil
}

// split takes a file apart at the semicolons that end a line. A comment, which
// is a line of its own, ends nothing.
func split(text string) []string {
	var (
		out       []string
		statement strings.Builder
	)
	for line := range strings.Lines(text) {
		statement.WriteString(line)
		if end := strings.TrimRight(line, " \n"); strings.HasSuffix(end, ";") && !strings.HasPrefix(line, "--") {
			out = append(out, strings.TrimSuffix(strings.TrimSpace(statement.String()), ";"))
			statement.Reset()
		}
	}
	if rest := strings.TrimSpace(statement.String()); rest != "" {
		out = append(out, rest)
	}
	return out
}

// filled is what a template sees.
type filled struct {
	Database, OnCluster string
	replicated          bool
}

func (v Vars) fill() filled {
	f := filled{Database: Quote(v.Database)}
	if v.Cluster != "" {
		f.OnCluster, f.replicated = " ON CLUSTER "+Quote(v.Cluster), true
	}
	return f
}

// Engine names a table engine with its arguments, replicated in a cluster: the
// default path of the server's default_replica_path holds the table's uuid.
func (f filled) Engine(name, args string) string {
	if f.replicated {
		name = "Replicated" + name
	}
	return name + "(" + args + ")"
}

// Quote makes an identifier safe in a statement.
func Quote(name string) string {
	return "`" + strings.NewReplacer("\\", "\\\\", "`", "\\`").Replace(name) + "`"
}
