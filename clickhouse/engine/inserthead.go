package engine

// insertVerdict is what is known of a text so far.
type insertVerdict int

const (
	notInsert  insertVerdict = iota // no INSERT with rows, or not yet known
	insertRows                      // an INSERT whose rows start at rowsAt
)

// insertHead is an INSERT cut off before its rows.
type insertHead struct {
	verdict insertVerdict
	text    []byte // without FORMAT x or VALUES, which the engine takes as an argument
	format  string
	rowsAt  int // offset of the first byte of the rows
}

// scanInsert looks for the end of an INSERT's head. With more set to false the
// text is complete. A head that may go on reads as notInsert until it is whole.
func scanInsert(text []byte, complete bool) (insertHead, error) {
	s := headScanner{text: text, complete: complete}
	if t := s.next(); !t.is(text, "INSERT") {
		return insertHead{}, nil
	}
	return s.scan()
}

// headScanner walks over the tokens of an INSERT.
type headScanner struct {
	text     []byte
	complete bool
	pos      int
}

func (s *headScanner) next() token {
	t := nextToken(s.text, s.pos)
	// A word at the very end may go on in the next read.
	if t.kind == tokenWord && t.to == len(s.text) && !s.complete {
		t.kind = tokenCut
	}
	s.pos = t.to
	return t
}

// scan finds the clause that ends the head, at bracket depth 0.
func (s *headScanner) scan() (insertHead, error) {
	depth, named := 0, false
	var last token
	for {
		t := s.next()
		switch {
		case t.kind == tokenEnd || t.kind == tokenCut:
			return insertHead{}, nil
		case t.kind == tokenPunct:
			depth += bracket(s.text[t.from])
		case t.kind != tokenWord:
			named = true
		case t.is(s.text, "SELECT") || t.is(s.text, "WITH") || t.is(s.text, "WATCH"):
			// Inside the first bracket it is INSERT INTO t (SELECT ...).
			if depth == 0 || last.punct(s.text, '(') {
				return insertHead{}, s.refuseInput()
			}
		case depth > 0 || last.punct(s.text, '.'):
		case !named && (t.is(s.text, "INTO") || t.is(s.text, "TABLE") || t.is(s.text, "FUNCTION")):
		case !named:
			named = true // the table itself, whatever it is called
		case t.is(s.text, "VALUES"):
			return insertHead{insertRows, s.text[:t.from], "Values", t.to}, nil
		case t.is(s.text, "FORMAT"):
			return s.formatClause(t.from), nil
		case t.is(s.text, "INFILE"):
			return insertHead{}, &Error{Code: codeNotImplemented, Text: "INSERT FROM INFILE is not available over HTTP. (NOT_IMPLEMENTED)"}
		}
		last = t
	}
}

// formatClause reads FORMAT name, settings that may follow it, blanks and one
// line feed. Settings move before the clause, where the engine takes them.
func (s *headScanner) formatClause(from int) insertHead {
	name := s.next()
	if name.kind != tokenWord {
		return insertHead{}
	}
	head := insertHead{insertRows, s.text[:from], string(s.text[name.from:name.to]), name.to}
	at, ok := s.skipLine(name.to)
	if !ok {
		return insertHead{}
	}
	if at < len(s.text) && s.text[at] != '\n' {
		s.pos = at
		end, found, whole := s.settingsClause(at)
		if !whole {
			return insertHead{}
		}
		if found {
			head.text = append(append(append([]byte{}, s.text[:from]...), ' '), s.text[at:end]...)
			if at, ok = s.skipLine(end); !ok {
				return insertHead{}
			}
		}
	}
	if at < len(s.text) && s.text[at] == '\n' {
		at++
	}
	head.rowsAt = at
	return head
}

// skipLine skips blanks up to a line feed or the first other byte; false if the
// text ends before that and may go on.
func (s *headScanner) skipLine(pos int) (int, bool) {
	for pos < len(s.text) && (s.text[pos] == ' ' || s.text[pos] == '\t' || s.text[pos] == '\r' || s.text[pos] == '\f') {
		pos++
	}
	return pos, pos < len(s.text) || s.complete
}

// settingsClause reads SETTINGS a = 1, b = 'x' on the line of the FORMAT clause.
// found is false if something else stands there, whole if the text may go on.
func (s *headScanner) settingsClause(from int) (end int, found, whole bool) {
	s.pos = from
	t := s.next()
	if t.kind == tokenCut {
		return 0, false, s.complete
	}
	if !t.is(s.text, "SETTINGS") {
		return 0, false, true
	}
	for {
		name, eq := s.next(), s.next()
		value := s.next()
		if value.punct(s.text, '-') {
			value = s.next()
		}
		if name.kind == tokenCut || eq.kind == tokenCut || value.kind == tokenCut || value.kind == tokenEnd {
			return 0, false, s.complete
		}
		if name.kind != tokenWord || !eq.punct(s.text, '=') || value.kind != tokenWord && value.kind != tokenString {
			return 0, false, true
		}
		end = value.to
		// A fraction: 0.5 is three tokens.
		if at(s.text, end) == '.' {
			s.pos = end + 1
			f := s.next()
			if (f.kind == tokenEnd || f.kind == tokenCut) && !s.complete {
				return 0, false, false
			}
			if f.kind == tokenWord && f.from == end+1 {
				end = f.to
			}
		}
		next, ok := s.skipLine(end)
		if !ok {
			return 0, false, false
		}
		if at(s.text, next) != ',' {
			return end, true, true
		}
		s.pos = next + 1
	}
}

// refuseInput refuses INSERT ... SELECT ... FROM input(...): the engine answers
// OK and inserts nothing.
func (s *headScanner) refuseInput() error {
	if callsFunction(s.text[s.pos:], "input") {
		return &Error{Code: codeNotImplemented, Text: "INSERT SELECT FROM input() is not available; insert into a temporary table first. (NOT_IMPLEMENTED)"}
	}
	return nil
}

// callsFunction tells whether a function of that name, quoted or not, is called
// or applied to columns anywhere in the text.
func callsFunction(text []byte, name string) bool {
	var before, last token
	for pos := 0; ; {
		t := nextToken(text, pos)
		if t.punct(text, '(') && isNamed(text, last, name) {
			return true
		}
		if isNamed(text, t, name) && (last.is(text, "APPLY") || last.punct(text, '(') && before.is(text, "APPLY")) {
			return true
		}
		if t.kind == tokenEnd || t.kind == tokenCut {
			return false
		}
		before, last, pos = last, t, t.to
	}
}

// isNamed tells an identifier of that name, quoted or not.
func isNamed(text []byte, t token, name string) bool {
	return t.is(text, name) || t.kind == tokenQuoted && t.to-t.from == len(name)+2 && string(text[t.from+1:t.to-1]) == name
}

// bracket is the change of depth that a byte of punctuation makes.
func bracket(b byte) int {
	switch b {
	case '(', '[', '{':
		return 1
	case ')', ']', '}':
		return -1
	default:
		return 0
	}
}
