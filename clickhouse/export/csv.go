package export

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// blockBytes is how much is gathered before it is handed on: large enough that
// a row costs no system call, small enough that a slow reader sees rows early.
// Not measured beyond that.
const blockBytes = 32 << 10

// CSV writes rows cell by cell: UTF-8, comma, CRLF, quotes where needed. One
// goroutine owns it. The first error of the destination stays.
//
// It does not use encoding/csv, because its UseCRLF rewrites line ends inside
// a cell (a lone CR is dropped, LF becomes CRLF): a cell would not survive the
// round trip. The tests read everything back with encoding/csv.
type CSV struct {
	w       io.Writer
	raw     bool
	columns int
	cell    int // cells of the row at hand
	rows    int64
	buf     []byte
	err     error

	// Rows in order of time share days, and most rows zones.
	day    int64  // days since 1970 that date spells
	date   []byte // "2006-01-02"
	offset int    // seconds east of UTC that zone spells
	zone   []byte // "-07:00"
}

// Option changes how a CSV is written.
type Option func(*CSV)

// Raw switches the formula guard off, for machines (raw=1).
func Raw(on bool) Option { return func(c *CSV) { c.raw = on } }

// NewCSV returns a writer whose first line is the header with the given column
// names. Nothing is written before the first block is full or Flush is called.
func NewCSV(w io.Writer, columns []string, options ...Option) *CSV {
	c := &CSV{w: w, columns: len(columns), buf: make([]byte, 0, blockBytes+4096), day: -1, zone: []byte("+00:00")}
	for _, o := range options {
		o(c)
	}
	for _, name := range columns {
		c.Plain(name)
	}
	c.end()
	return c
}

// Text adds a cell whose content somebody else chose: it is guarded.
func (c *CSV) Text(s string) *CSV {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	if !c.raw && runsAsFormula(s) {
		return c.add("'" + s)
	}
	return c.add(s)
}

// Plain adds a cell that Daybook made: a duration, a word of a closed set. It
// is not looked through: it holds no comma, quote or line end.
func (c *CSV) Plain(s string) *CSV {
	c.comma()
	c.buf = append(c.buf, s...)
	return c
}

// Date adds a date, given as days since 1970-01-01.
func (c *CSV) Date(days int32) *CSV {
	c.comma()
	c.buf = append(c.buf, c.spellDate(int64(days))...)
	return c
}

// Int adds a whole number.
func (c *CSV) Int(n int64) *CSV {
	c.comma()
	c.buf = strconv.AppendInt(c.buf, n, 10)
	return c
}

// Instant adds an instant in its own location, RFC 3339 with a numeric offset
// (UTC is +00:00), whole seconds.
func (c *CSV) Instant(t time.Time) *CSV {
	c.comma()
	_, offset := t.Zone()
	local := t.Unix() + int64(offset)
	day, second := local/86400, local%86400
	if second < 0 {
		day, second = day-1, second+86400
	}
	c.buf = append(append(c.buf, c.spellDate(day)...), 'T')
	c.buf = append(twoDigits(c.buf, second/3600), ':')
	c.buf = append(twoDigits(c.buf, second/60%60), ':')
	c.buf = append(twoDigits(c.buf, second%60), c.spellZone(t, offset)...)
	return c
}

// spellDate spells days since 1970, which are mostly those of the row before.
func (c *CSV) spellDate(days int64) []byte {
	if c.day != days || c.date == nil {
		c.day, c.date = days, time.Unix(days*86400, 0).UTC().AppendFormat(c.date[:0], time.DateOnly)
	}
	return c.date
}

func (c *CSV) spellZone(t time.Time, offset int) []byte {
	if c.offset != offset {
		c.offset, c.zone = offset, t.AppendFormat(c.zone[:0], "-07:00")
	}
	return c.zone
}

func twoDigits(b []byte, n int64) []byte { return append(b, byte('0'+n/10), byte('0'+n%10)) }

// Bool adds true or false.
func (c *CSV) Bool(b bool) *CSV {
	c.comma()
	c.buf = strconv.AppendBool(c.buf, b)
	return c
}

// End ends the row. It reports a row with another number of cells than the
// header, or the first error of the destination.
func (c *CSV) End() error {
	if c.cell != c.columns && c.err == nil {
		c.err = fmt.Errorf("write csv row %d: %d cells under %d columns", c.rows+1, c.cell, c.columns)
	}
	c.end()
	c.rows++
	if len(c.buf) >= blockBytes {
		return c.Flush()
	}
	return c.err
}

// Flush hands on what is gathered.
func (c *CSV) Flush() error {
	if c.err != nil {
		return c.err
	}
	if len(c.buf) == 0 {
		return nil
	}
	if _, err := c.w.Write(c.buf); err != nil {
		c.err = fmt.Errorf("write csv row %d: %w", c.rows, err)
	}
	c.buf = c.buf[:0]
	return c.err
}

// Rows counts the rows that were ended, without the header.
func (c *CSV) Rows() int64 { return c.rows }

func (c *CSV) end() {
	// A row of one empty cell must not look like no row at all.
	if c.columns == 1 && (len(c.buf) == 0 || c.buf[len(c.buf)-1] == '\n') {
		c.buf = append(c.buf, '"', '"')
	}
	c.buf = append(c.buf, '\r', '\n')
	c.cell = 0
}

func (c *CSV) comma() {
	if c.cell > 0 {
		c.buf = append(c.buf, ',')
	}
	c.cell++
}

func (c *CSV) add(s string) *CSV {
	c.comma()
	if !needsQuotes(s) {
		c.buf = append(c.buf, s...)
		return c
	}
	c.buf = append(c.buf, '"')
	for {
		i := strings.IndexByte(s, '"')
		if i < 0 {
			break
		}
		c.buf = append(c.buf, s[:i]...)
		c.buf = append(c.buf, '"', '"')
		s = s[i+1:]
	}
	c.buf = append(c.buf, s...)
	c.buf = append(c.buf, '"')
	return c
}

// needsQuotes: beyond RFC 4180 also for ; and TAB, which split a cell in a
// spreadsheet set to another separator and so would free a formula that stands
// behind them; and for spaces at the ends, which some readers trim.
func needsQuotes(s string) bool {
	if s == "" {
		return false
	}
	if s[0] == ' ' || s[len(s)-1] == ' ' {
		return true
	}
	for i := range len(s) {
		switch s[i] {
		case ',', ';', '\t', '\r', '\n', '"', 0:
			return true
		}
	}
	return false
}
