package export

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// blockBytes is how much is gathered before it is handed on: large enough that
// a row costs no system call, small enough that a slow reader sees rows early.
// Half of it costs the API a tenth more CPU, twice of it saves nothing.
const blockBytes = 64 << 10

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

	dates   [4]spelledDate // by the last bits of the day: rows in order of time share a few days
	zone    Zone           // of Instant
	scratch []byte         // of Text
}

// spelledDate is a date as text.
type spelledDate struct {
	day  int64  // days since 1970
	text []byte // "2006-01-02"; empty: not spelled yet
}

// Option changes how a CSV is written.
type Option func(*CSV)

// Raw switches the formula guard off, for machines (raw=1).
func Raw(on bool) Option { return func(c *CSV) { c.raw = on } }

// NewCSV returns a writer whose first line is the header with the given column
// names. Nothing is written before the first block is full or Flush is called.
func NewCSV(w io.Writer, columns []string, options ...Option) *CSV {
	c := &CSV{w: w, columns: len(columns), buf: make([]byte, 0, blockBytes+4096)}
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
	c.scratch = append(c.scratch[:0], s...)
	return c.Bytes(c.scratch)
}

// Bytes is Text of bytes, which are not kept.
func (c *CSV) Bytes(s []byte) *CSV {
	c.comma()
	if len(s) == 0 {
		return c
	}
	has := byte(0)
	for _, b := range s {
		has |= signs[b]
	}
	if has&notASCII != 0 && !utf8.Valid(s) {
		s = bytes.ToValidUTF8(s, []byte("\uFFFD"))
	}
	guard := !c.raw && signs[s[0]]&opensNone == 0 && runsAsFormula(s)
	// Spaces at the ends are what some readers trim.
	quotes := has&splits != 0 || s[len(s)-1] == ' ' || !guard && s[0] == ' '
	if quotes {
		c.buf = append(c.buf, '"')
	}
	if guard {
		c.buf = append(c.buf, '\'')
	}
	if !quotes {
		c.buf = append(c.buf, s...)
		return c
	}
	c.doubled(s)
	c.buf = append(c.buf, '"')
	return c
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

// UUID adds a UUID, given in the order of its text.
func (c *CSV) UUID(id [16]byte) *CSV {
	c.comma()
	at := len(c.buf)
	c.buf = slices.Grow(c.buf, 36)[:at+36]
	text := (*[36]byte)(c.buf[at:])
	for i, to := range [16]uint8{0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34} {
		text[to], text[to+1] = hexDigits[id[i]>>4], hexDigits[id[i]&15]
	}
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	return c
}

const hexDigits = "0123456789abcdef"

// Instant adds an instant in its own location, RFC 3339 with a numeric offset
// (UTC is +00:00), whole seconds.
func (c *CSV) Instant(t time.Time) *CSV {
	if place := t.Location(); c.zone.place != place {
		c.zone = Zone{place: place}
	}
	return c.InstantIn(t.Unix(), &c.zone)
}

// InstantIn is Instant of seconds since 1970 in a zone.
func (c *CSV) InstantIn(second int64, zone *Zone) *CSV {
	c.comma()
	zone.at(second)
	local := second + zone.offset
	day, rest := local/86400, local%86400
	if rest < 0 {
		day, rest = day-1, rest+86400
	}
	c.buf = append(append(c.buf, c.spellDate(day)...), 'T')
	c.buf = append(twoDigits(c.buf, rest/3600), ':')
	c.buf = append(twoDigits(c.buf, rest/60%60), ':')
	c.buf = append(twoDigits(c.buf, rest%60), zone.text...)
	return c
}

// spellDate spells days since 1970, which are mostly those of a row before.
func (c *CSV) spellDate(days int64) []byte {
	d := &c.dates[days&3]
	if d.day != days || len(d.text) == 0 {
		d.day, d.text = days, time.Unix(days*86400, 0).UTC().AppendFormat(d.text[:0], time.DateOnly)
	}
	return d.text
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

// doubled adds a quoted cell's content: its quotes are doubled.
func (c *CSV) doubled(s []byte) {
	for {
		i := bytes.IndexByte(s, '"')
		if i < 0 {
			break
		}
		c.buf = append(c.buf, s[:i]...)
		c.buf = append(c.buf, '"', '"')
		s = s[i+1:]
	}
	c.buf = append(c.buf, s...)
}

// What a byte says of the text that it stands in.
const (
	notASCII  = 1 << iota
	splits    // must stand in quotes, wherever it is
	opensNone // as the first byte: no formula follows
)

// signs has what each byte says. What splits is, beyond RFC 4180, also ; and TAB,
// which split a cell in a spreadsheet set to another separator and so would free a
// formula that stands behind them.
var signs = func() (of [256]byte) { //nolint:gochecknoglobals // a table that nobody changes
	for b := range of {
		switch {
		case b >= 0x80:
			of[b] = notASCII
		case strings.IndexByte(",;\t\r\n\"\x00", byte(b)) >= 0:
			of[b] = splits
		case b >= '0' && b <= '9' || b >= 'A' && b <= 'Z' || b >= 'a' && b <= 'z':
			of[b] = opensNone
		}
	}
	return of
}()
