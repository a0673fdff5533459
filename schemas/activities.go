package schemas

import (
	_ "embed"
	"fmt"
	"strings"
	"sync"
)

//go:embed activity_types.tsv
var activityTypes string

// activityPrefix stands before every type of the registry.
const activityPrefix = typePrefix + "content."

// activities is the registry by full type. It is data, read once and never
// changed.
var activities = sync.OnceValue(func() map[string][]activity { //nolint:gochecknoglobals // a constant that Go cannot write
	rows, err := parseActivities(activityTypes)
	if err != nil {
		panic(err) // the embedded file is wrong; a test reads it
	}
	return rows
})

// activity is a row of the registry.
type activity struct {
	when, equal             string // a property, without props., and the text that it must have
	category, action, label cell
	textClass               string // none, name, url or user_text
}

// cell is a template: its parts in order; none for a cell that stays absent.
type cell []part

// part is a constant text or alternative fields.
type part struct {
	text   []byte
	fields []reference
}

// reference names a field: a text of the event, or a member of props.
type reference struct {
	text     func(*Event) []byte // nil: property
	property string              // without props.
}

// parseActivities reads the registry.
func parseActivities(file string) (map[string][]activity, error) {
	rows := map[string][]activity{}
	number := 0
	for line := range strings.Lines(file) {
		number++
		line = strings.TrimRight(line, "\n")
		if line == "" || line[0] == '#' {
			continue
		}
		columns := strings.Split(line, "\t")
		if len(columns) != 6 {
			return nil, fmt.Errorf("parse activity types line %d: %d columns, not 6", number, len(columns))
		}
		a := activity{textClass: columns[5]}
		if columns[1] != "" {
			var ok bool
			a.when, a.equal, _ = strings.Cut(columns[1], "=")
			if a.when, ok = strings.CutPrefix(a.when, "props."); !ok {
				return nil, fmt.Errorf("parse activity types line %d: condition %q is not of props", number, columns[1])
			}
		}
		for i, c := range []*cell{&a.category, &a.action, &a.label} {
			var err error
			if *c, err = parseCell(columns[2+i]); err != nil {
				return nil, fmt.Errorf("parse activity types line %d: %w", number, err)
			}
		}
		name := activityPrefix + columns[0]
		rows[name] = append(rows[name], a)
	}
	return rows, nil
}

func parseCell(text string) (cell, error) {
	var c cell
	for text != "" {
		before, rest, open := strings.Cut(text, "[")
		if before != "" {
			c = append(c, part{text: []byte(before)})
		}
		if !open {
			break
		}
		names, after, closed := strings.Cut(rest, "]")
		if !closed {
			return nil, fmt.Errorf("cell %q: bracket is not closed", text)
		}
		var p part
		for f := range strings.SplitSeq(names, "|") {
			var r reference
			switch f {
			case "content.id":
				r.text = func(ev *Event) []byte { return ev.ContentID }
			case "content.name":
				r.text = func(ev *Event) []byte { return ev.ContentName }
			case "content.slug":
				r.text = func(ev *Event) []byte { return ev.ContentSlug }
			case "context.url":
				r.text = func(ev *Event) []byte { return ev.URL }
			default:
				var ok bool
				if r.property, ok = strings.CutPrefix(f, "props."); !ok || r.property == "" || strings.HasPrefix(r.property, "content.") || strings.HasPrefix(r.property, "context.") {
					return nil, fmt.Errorf("cell %q: unknown field %q", text, f)
				}
			}
			p.fields = append(p.fields, r)
		}
		c = append(c, p)
		text = after
	}
	return c, nil
}
