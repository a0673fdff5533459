package verify

import (
	"context"
	"embed"
	"fmt"
	"slices"
	"strings"
	"text/template"

	"daybook/clickhouse/query"
)

//go:embed sql/*.sql
var files embed.FS

// suspects is how many wrong items of one statement are looked at a second time
// by name.
const suspects = 10_000

// answer is what one statement says of its items.
type answer struct {
	looked, flying, wrong uint64
	first                 map[string]string // identity → what is wrong, up to suspects
}

// judge runs a check and adds what it finds to the report. What is wrong is
// looked at twice (see the package's comment).
func (r *run) judge(ctx context.Context, promise, name string, s *scope) error {
	if !r.wants(name) {
		return nil
	}
	r.Progress(name)
	text, err := r.text(name, s)
	if err != nil {
		return err
	}
	found, err := r.ask(ctx, name, text, s)
	if err != nil {
		return err
	}
	if found.wrong > 0 {
		again, err := r.ask(ctx, name, text, s)
		if err != nil {
			return err
		}
		if found.wrong <= suspects && again.wrong <= suspects {
			for identity := range found.first {
				if _, still := again.first[identity]; !still {
					delete(found.first, identity)
					found.flying++
				}
			}
			found.wrong = uint64(len(found.first))
		} else {
			found.wrong = min(found.wrong, again.wrong)
		}
	}
	c := r.report.Check(promise, name)
	c.Looked += found.looked
	c.Flying += found.flying
	c.Wrong += found.wrong
	for identity, wrong := range found.first {
		c.Details = append(c.Details, Difference{identity, wrong})
	}
	slices.SortFunc(c.Details, func(a, b Difference) int { return strings.Compare(a.Identity, b.Identity) })
	c.Details = c.Details[:min(len(c.Details), r.Details)]
	return nil
}

// text makes the statement of a check: counts, and the wrong items, of its rows. A
// table that it reads several times is the same each time.
func (r *run) text(name string, s *scope) (string, error) {
	source, err := files.ReadFile("sql/" + name + ".sql")
	if err != nil {
		return "", fmt.Errorf("read check %s: %w", name, err)
	}
	t, err := template.New(name).Parse(string(source))
	if err != nil {
		return "", fmt.Errorf("read check %s: %w", name, err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "SELECT count(), countIf(flying), countIf(wrong != '' AND NOT flying),\n"+
		"    groupArrayIf(%d)(identity, wrong != '' AND NOT flying), groupArrayIf(%d)(wrong, wrong != '' AND NOT flying)\nFROM (\n", suspects, suspects)
	if err := t.Execute(&b, s); err != nil {
		return "", fmt.Errorf("make check %s: %w", name, err)
	}
	b.WriteString(")\nSETTINGS enable_shared_storage_snapshot_in_query = 1")
	return b.String(), nil
}

// ask runs a statement. Only parameters that the text names are sent: a server
// takes a bounded address.
func (r *run) ask(ctx context.Context, name, text string, s *scope) (*answer, error) {
	st := query.Statement{Text: text}
	for _, a := range s.args {
		if strings.Contains(text, "{"+a.Name+":") {
			st.Args = append(st.Args, a)
		}
	}
	a := &answer{first: map[string]string{}}
	err := r.each(ctx, st, func(rows query.Rows) error {
		var identities, wrongs []string
		if err := rows.Scan(&a.looked, &a.flying, &a.wrong, &identities, &wrongs); err != nil {
			return err
		}
		for i := range identities {
			a.first[identities[i]] = wrongs[i]
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("check %s: %w", name, err)
	}
	return a, nil
}
