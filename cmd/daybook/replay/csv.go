package replay

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// csvRecords cuts a CSV (RFC 4180) whose first record names the columns. A
// record may span lines inside quotes. A line that breaks the quoting, or has
// another number of fields, is unmappable by itself: reading goes on with the
// line after it, so that one stray quote cannot swallow what follows.
type csvRecords struct {
	lines   *lineReader
	columns []boundColumn
	width   int
	fields  []string
	text    []byte // of a record of several lines
	back    []line // lines read ahead and given back, first one first
}

// csvRows maps the records.
type csvRows struct {
	*mapper

	columns []boundColumn
	fields  []string
}

// boundColumn is a Column with its place in the record.
type boundColumn struct {
	Column

	index int
}

// newCSV reads the header and binds the mapping to it.
func newCSV(m *Member, opts *Options, lines *lineReader) (*csvRecords, error) {
	c := &csvRecords{lines: lines}
	first, err := c.line()
	if errors.Is(err, io.EOF) {
		return c, nil // an empty file has no rows
	}
	if err != nil {
		return nil, err
	}
	header, problem := splitRecord(nil, first.text)
	if problem != "" || first.cut() {
		return nil, fmt.Errorf("read header of %s: %s", m.Path, problem)
	}
	c.width = len(header)
	c.columns, err = bind(opts, header)
	if err != nil {
		return nil, fmt.Errorf("read header of %s: %w", m.Path, err)
	}
	return c, nil
}

// bind finds the mapped columns. A column that bears a field's name is that
// field, unless --map or --set say otherwise.
func bind(opts *Options, header []string) ([]boundColumn, error) {
	var bound []boundColumn
	taken := make(map[string]bool)
	for _, column := range opts.Map {
		index := slices.Index(header, column.Name)
		if index < 0 {
			return nil, fmt.Errorf("no column %q; the columns are %s", column.Name, strings.Join(header, ", "))
		}
		bound = append(bound, boundColumn{column, index})
		taken[column.Field] = true
	}
	for field := range opts.Set {
		taken[field] = true
	}
	for index, name := range header {
		if slices.Contains(fieldNames(), name) && !taken[name] {
			kind := Kind("")
			if isTimeField(name) {
				kind = KindRFC3339
			}
			bound = append(bound, boundColumn{Column{name, name, kind}, index})
			taken[name] = true
		}
	}
	for _, needed := range []string{"user", "time"} {
		if !taken[needed] {
			return nil, fmt.Errorf("no column is mapped to %s; add --map %s=COLUMN, the columns are %s", needed, needed, strings.Join(header, ", "))
		}
	}
	if opts.Network == "" && !taken["network"] {
		return nil, errors.New("no column is mapped to network; add --network NAME")
	}
	return bound, nil
}

// line gives the next line; its text is valid until the next call.
func (c *csvRecords) line() (line, error) {
	if len(c.back) > 0 {
		l := c.back[0]
		c.back = c.back[1:]
		return l, nil
	}
	return c.lines.next()
}

func (c *csvRecords) waits() bool { return len(c.back) == 0 && c.lines.waits() }

// next gives the next record.
func (c *csvRecords) next() (line, error) {
	if c.width == 0 {
		return line{}, io.EOF
	}
	l, err := c.line()
	for err == nil && blank(l.text) {
		l, err = c.line() // RFC 4180 readers skip blank lines
	}
	if err != nil || l.cut() {
		return l, err
	}
	l.problem, err = c.record(&l)
	return l, err
}

// record reads the record that starts on l, reading on while a quote is open.
// If that does not give a record of the right width, the lines read ahead are
// given back and the problem is told.
func (c *csvRecords) record(l *line) (problem string, err error) {
	text := l.text
	var ahead []line
	for open := oddQuotes(text); open; {
		if len(ahead) == 0 {
			l.text = bytes.Clone(l.text) // the next line takes its place
			text = append(c.text[:0], l.text...)
		}
		more, err := c.line()
		more.text = bytes.Clone(more.text)
		if errors.Is(err, io.EOF) || (err == nil && (more.cut() || len(text)+len(more.text) > maxLineBytes)) {
			if err == nil {
				ahead = append(ahead, more)
			}
			c.back = append(ahead, c.back...)
			return "a quote is not closed", nil
		}
		if err != nil {
			return "", err
		}
		ahead = append(ahead, more)
		text = append(append(text, '\n'), more.text...)
		c.text, open = text, open != oddQuotes(more.text)
	}
	c.fields, problem = splitRecord(c.fields[:0], text)
	if problem == "" && len(c.fields) != c.width {
		problem = fmt.Sprintf("the record has %d fields, the header has %d", len(c.fields), c.width)
	}
	if problem != "" {
		c.back = append(ahead, c.back...)
		return problem, nil
	}
	l.text = text
	l.length = int64(len(text))
	return "", nil
}

// oddQuotes says whether a quote that is open at the start of a text is shut behind
// it, or the other way round.
func oddQuotes(text []byte) bool { return bytes.Count(text, []byte{'"'})%2 == 1 }

func (c *csvRows) row(l *line) Row {
	if l.cut() || l.problem != "" {
		return c.unmappable(l, l.problem)
	}
	c.fields, _ = splitRecord(c.fields[:0], l.text) // csvRecords has seen that it can be split
	c.begin()
	hasTime := false
	for _, column := range c.columns {
		value := c.fields[column.index]
		if err := c.assign(column.Field, value, column.Kind); err != nil {
			return c.unmappable(l, err.Error())
		}
		hasTime = hasTime || (column.Field == "time" && value != "")
	}
	return c.finish(l, hasTime)
}

// splitRecord appends the fields of one record.
func splitRecord(fields []string, text []byte) (split []string, problem string) {
	for {
		if len(text) == 0 || text[0] != '"' {
			field, rest, more := bytes.Cut(text, []byte{','})
			if bytes.IndexByte(field, '"') >= 0 {
				return fields, "a quote stands inside a field that is not quoted"
			}
			fields = append(fields, string(field))
			if !more {
				return fields, ""
			}
			text = rest
			continue
		}
		field, rest, ok := quotedField(text)
		if !ok {
			return fields, "a quoted field is not closed, or followed by something else than a comma"
		}
		fields = append(fields, field)
		if len(rest) == 0 {
			return fields, ""
		}
		text = rest[1:]
	}
}

// quotedField takes a quoted field off the record; a doubled quote inside is
// one quote. Rest is empty or starts with the comma.
func quotedField(text []byte) (field string, rest []byte, ok bool) {
	var out []byte
	doubled := false
	from := 1
	for i := 1; i < len(text); i++ {
		if text[i] != '"' {
			continue
		}
		if i+1 < len(text) && text[i+1] == '"' {
			out = append(out, text[from:i+1]...)
			doubled, i = true, i+1
			from = i + 1
			continue
		}
		rest = text[i+1:]
		if len(rest) > 0 && rest[0] != ',' {
			return "", nil, false
		}
		if !doubled {
			return string(text[1:i]), rest, true
		}
		return string(append(out, text[from:i]...)), rest, true
	}
	return "", nil, false
}
