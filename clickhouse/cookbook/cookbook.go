// Package cookbook holds questions that a data engineer asks of Daybook's
// tables, as plain SQL: a file a question, which says what is asked and what
// the columns of the answer mean. They read views only, and name what they ask
// about by parameters of ClickHouse ({network:String}, {user:String},
// {from:Date}, {to:Date}), so that a file works as it is with
// clickhouse-client --param_network=…, over HTTP with ?param_network=…, and
// with daybook sql --param network=….
//
// Each is run on a small log against a golden answer (cmd/daybook/e2e) and
// timed at scale (make bench-reads).
package cookbook

import (
	"embed"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
)

//go:embed *.sql
var files embed.FS

// Recipe is one file.
type Recipe struct {
	Name     string   // of the file, without .sql
	Question string   // what is asked
	Answer   string   // the columns and what they mean
	SQL      string   // without the comment
	Params   []string // names of its parameters, sorted
}

var parameter = regexp.MustCompile(`\{(\w+):\w+\}`)

// All gives the recipes, by name.
func All() ([]Recipe, error) {
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return nil, fmt.Errorf("list cookbook: %w", err)
	}
	var all []Recipe
	for _, name := range names { // Glob sorts
		text, err := files.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read cookbook %s: %w", name, err)
		}
		head, sql, _ := strings.Cut(string(text), "\n\n")
		question, answer, ok := strings.Cut(strings.TrimPrefix(head, "-- "), "\n-- Answer: ")
		if !ok || sql == "" {
			return nil, fmt.Errorf("read cookbook %s: want a line with the question, a line that starts with -- Answer:, an empty line, and the statement", name)
		}
		r := Recipe{Name: strings.TrimSuffix(name, ".sql"), Question: question, Answer: answer, SQL: sql}
		for _, m := range parameter.FindAllStringSubmatch(sql, -1) {
			r.Params = append(r.Params, m[1])
		}
		slices.Sort(r.Params)
		r.Params = slices.Compact(r.Params)
		all = append(all, r)
	}
	return all, nil
}
