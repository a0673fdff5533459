package verify

import (
	"context"
	"fmt"
	"iter"
	"reflect"
	"strings"

	"daybook/clickhouse/query"
)

// Rows reads rows: from is what follows FROM. An error is the last thing that is
// yielded. The result is read once.
func Rows[T any](ctx context.Context, db query.Querier, from string, args ...query.Arg) iter.Seq2[T, error] {
	var row T
	pointers, names := fields(reflect.ValueOf(&row).Elem(), nil, nil)
	sql := func() (query.Statement, error) {
		return query.Statement{Text: "SELECT " + strings.Join(names, ", ") + "\nFROM " + from, Args: args}, nil
	}
	return query.Stream(ctx, db, sql, func(rows query.Rows, out *T) error {
		if err := rows.Scan(pointers...); err != nil {
			return err
		}
		*out = row
		return nil
	})
}

// fields gives pointers to the cells of a row, and how they are read.
func fields(v reflect.Value, pointers []any, names []string) ([]any, []string) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.Anonymous {
			pointers, names = fields(v.Field(i), pointers, names)
			continue
		}
		pointers, names = append(pointers, v.Field(i).Addr().Interface()), append(names, f.Tag.Get("sql"))
	}
	return pointers, names
}

// Cells gives how many cells a row has.
func Cells[T any]() int {
	var row T
	_, names := fields(reflect.ValueOf(&row).Elem(), nil, nil)
	return len(names)
}

// Differ tells the cells in which two rows of one identity differ.
func Differ[T any](got, want T) string {
	var all []string
	g, w := reflect.ValueOf(got), reflect.ValueOf(want)
	for i := range g.NumField() {
		f := g.Type().Field(i)
		if a, b := g.Field(i).Interface(), w.Field(i).Interface(); !f.Anonymous && a != b {
			all = append(all, fmt.Sprintf("%s %s, by the log %s", strings.ToLower(f.Name), short(a), short(b)))
		}
	}
	return strings.Join(all, "; ")
}

// short keeps a long cell readable.
func short(cell any) string {
	text := fmt.Sprintf("%v", cell)
	if s, ok := cell.(string); ok {
		text = fmt.Sprintf("%q", s)
	}
	if len(text) > 120 {
		return fmt.Sprintf("%s… (%d bytes)", text[:120], len(text))
	}
	return text
}
