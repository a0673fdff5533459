package schemas

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// The scanner reads one JSON value strictly (RFC 8259 with the rules of I-JSON:
// valid UTF-8, no lone surrogate, no key twice) and notes the members of the
// outer objects for the mapper. It knows nothing of events.

// Limits of the scanner (TRUST.md section 3).
const (
	MaxDepth      = 32   // of nested objects and arrays, the record's own object included
	MaxProperties = 1000 // names in a record, at all depths together
)

// mappedDepth is how deep the mapper looks: data.device.id of a CloudEvent.
const mappedDepth = 3

// kind is the JSON type of a value.
type kind uint8

const (
	kindNull kind = iota
	kindBool
	kindNumber
	kindString
	kindObject
	kindArray
)

// member is one name and value of an object that the mapper may look at.
type member struct {
	name    []byte // without escapes
	from    int32  // raw[from:to] is the name in quotes, the colon and the value
	val     int32  // raw[val:to] is the value
	to      int32
	next    int32 // index in members of the next member of the same object
	kind    kind
	escaped bool // a string that holds escapes
}

// scanner is the state of one scan. Its slices are reused from record to record.
type scanner struct {
	raw     []byte
	members []member // of objects down to mappedDepth, depth first; room for MaxProperties
	open    []name   // names of the objects that are open, innermost last; room for one more
	arena   []byte   // bytes that could not alias a record
	count   int      // names so far
	fault   Reject
	index   index
	indexed bool // index is of this record
}

// name is a name within an open object, with a signature that is unequal for
// most unequal names.
type name struct {
	sig  uint64
	text []byte
}

// start makes the scanner ready for raw.
func (s *scanner) start(raw []byte) {
	if s.members == nil {
		s.members = make([]member, 0, MaxProperties)
		s.open = make([]name, 0, MaxProperties+1)
	}
	s.raw, s.members, s.open = raw, s.members[:0], s.open[:0]
	s.count, s.fault, s.indexed = 0, Reject{}, false
}

func (s *scanner) fail(reason Reason, remedy string) int {
	s.fault = Reject{Reason: reason, Remedy: remedy}
	return -1
}

// at gives the byte at i, or NUL past the end, which no grammar rule takes.
func (s *scanner) at(i int) byte {
	if i < len(s.raw) {
		return s.raw[i]
	}
	return 0
}

func (s *scanner) space(i int) int {
	for i < len(s.raw) {
		if c := s.raw[i]; c > ' ' || c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			return i
		}
		i++
	}
	return i
}

// value scans the value at i, where no space is, and gives its end or -1.
// noted says that members of an object are to be noted.
func (s *scanner) value(i, depth int, noted bool) (end int, k kind, escaped bool) {
	switch c := s.at(i); c {
	case '"':
		end, escaped = s.str(i + 1)
		return end, kindString, escaped
	case '{':
		return s.object(i+1, depth+1, noted), kindObject, false
	case '[':
		return s.array(i+1, depth+1), kindArray, false
	case 't':
		return s.word(i, "true"), kindBool, false
	case 'f':
		return s.word(i, "false"), kindBool, false
	case 'n':
		return s.word(i, "null"), kindNull, false
	default:
		return s.number(i), kindNumber, false
	}
}

func (s *scanner) word(i int, word string) int {
	if len(s.raw)-i < len(word) || string(s.raw[i:i+len(word)]) != word {
		return s.fail(NotJSON, remedyJSON)
	}
	return i + len(word)
}

func (s *scanner) number(i int) int {
	if s.at(i) == '-' {
		i++
	}
	if s.at(i) == '0' {
		i++
	} else if i = s.digits(i); i < 0 {
		return i
	}
	if s.at(i) == '.' {
		if i = s.digits(i + 1); i < 0 {
			return i
		}
	}
	if s.at(i)|0x20 == 'e' {
		i++
		if c := s.at(i); c == '+' || c == '-' {
			i++
		}
		i = s.digits(i)
	}
	return i
}

// digits scans one digit or more.
func (s *scanner) digits(i int) int {
	from := i
	for i < len(s.raw) && s.raw[i]-'0' <= 9 {
		i++
	}
	if i == from {
		return s.fail(NotJSON, remedyJSON)
	}
	return i
}

func (s *scanner) array(i, depth int) int {
	if depth > MaxDepth {
		return s.fail(TooDeep, remedyDepth)
	}
	if i = s.space(i); s.at(i) == ']' {
		return i + 1
	}
	for {
		if i, _, _ = s.value(s.space(i), depth, false); i < 0 {
			return i
		}
		i = s.space(i)
		switch s.at(i) {
		case ',':
			i++
		case ']':
			return i + 1
		default:
			return s.fail(NotJSON, remedyJSON)
		}
	}
}

func (s *scanner) object(i, depth int, noted bool) int {
	if depth > MaxDepth {
		return s.fail(TooDeep, remedyDepth)
	}
	if i = s.space(i); s.at(i) == '}' {
		return i + 1
	}
	noted = noted && depth <= mappedDepth
	base := len(s.open)
	var seen uint64 // bit n: the signature of a name hashes to n
	for {
		text, sig, val := s.name(i)
		if val < 0 {
			return val
		}
		bit := uint64(1) << (sig * 0x9e3779b97f4a7c15 >> 58)
		s.open = s.open[:len(s.open)+1]
		n := &s.open[len(s.open)-1]
		n.sig, n.text = sig, text
		if s.repeated(base, seen&bit != 0) {
			return s.fail(DuplicateKey, remedyDuplicate)
		}
		seen |= bit
		if s.count++; s.count > MaxProperties {
			return s.fail(TooDeep, remedyProperties)
		}
		if i = s.member(text, i, val, depth, noted); i < 0 {
			return i
		}
		if s.raw[i] == '}' {
			s.open = s.open[:base]
			return i + 1
		}
		if i++; s.at(i) <= ' ' {
			i = s.space(i)
		}
	}
}

// member scans the value at val of the name at from and what separates it from
// the next member, and gives the place of the comma or the closing brace.
func (s *scanner) member(text []byte, from, val, depth int, noted bool) (end int) {
	at := len(s.members)
	if noted {
		s.members = s.members[:at+1] // within MaxProperties, as count is
	}
	end, k, escaped := s.value(val, depth, noted)
	if end < 0 {
		return end
	}
	if noted {
		// Field by field: a composite literal goes by the stack, which costs a
		// tenth of the whole decoding (BenchmarkDecoder_Decode).
		p := &s.members[at]
		p.name = text
		p.from, p.val, p.to, p.next = int32(from), int32(val), int32(end), int32(len(s.members))
		p.kind, p.escaped = k, escaped
	}
	c := s.at(end)
	if c <= ' ' {
		end = s.space(end)
		c = s.at(end)
	}
	if c != ',' && c != '}' {
		return s.fail(NotJSON, remedyJSON)
	}
	return end
}

// name scans a name at i with its colon and gives the place of the value.
func (s *scanner) name(i int) (text []byte, sig uint64, val int) {
	if s.at(i) != '"' {
		return nil, 0, s.fail(NotJSON, remedyJSON)
	}
	text, sig, end := s.shortName(i + 1)
	if end < 0 {
		var escaped bool
		if end, escaped = s.str(i + 1); end < 0 {
			return nil, 0, end
		}
		text = s.raw[i+1 : end-1]
		if escaped {
			text = s.unescape(text)
		}
		sig = signature(text)
	}
	if s.at(end) != ':' {
		if end = s.space(end); s.at(end) != ':' {
			return nil, 0, s.fail(NotJSON, remedyJSON)
		}
	}
	if end++; s.at(end) <= ' ' {
		end = s.space(end)
	}
	return text, sig, end
}

// shortName scans a name of up to seven plain bytes, as most are, in one step;
// end is -1 if it is another.
func (s *scanner) shortName(i int) (text []byte, sig uint64, end int) {
	if i+8 > len(s.raw) {
		return nil, 0, -1
	}
	x := binary.LittleEndian.Uint64(s.raw[i:])
	stop := stops(x)
	n := bits.TrailingZeros64(stop) / 8
	if stop == 0 || s.raw[i+n] != '"' {
		return nil, 0, -1
	}
	return s.raw[i : i+n], x&(1<<(8*n)-1) | uint64(n)<<56, i + n + 1
}

// signature packs a name into a number: up to eight bytes (the last ones) and
// the length.
func signature(text []byte) uint64 {
	n := len(text)
	sig := uint64(n) << 56
	if n >= 8 {
		return sig ^ binary.LittleEndian.Uint64(text[n-8:])
	}
	for i, c := range text {
		sig |= uint64(c) << (8 * i)
	}
	return sig
}

// str scans a string from behind its opening quote and gives the place behind
// the closing one.
func (s *scanner) str(i int) (end int, escaped bool) {
	from, ascii := i, true
	for {
		if i = plain(s.raw, i); s.at(i) == '"' && ascii {
			return i + 1, escaped
		}
		c := s.at(i)
		switch {
		case c == '"':
			if !utf8.Valid(s.raw[from:i]) {
				return s.fail(InvalidUTF8, remedyUTF8), false
			}
			return i + 1, escaped
		case c == '\\':
			escaped = true
			if i = s.escape(i + 1); i < 0 {
				return i, false
			}
		case c >= utf8.RuneSelf:
			ascii = false
			for i++; s.at(i) >= utf8.RuneSelf; i++ {
			}
		case c == 0 && i < len(s.raw):
			return s.fail(InvalidUTF8, remedyNUL), false
		default:
			return s.fail(NotJSON, remedyJSON), false
		}
	}
}

// stops marks the bytes of x that are no printable ASCII, or a quote or a
// backslash, with their top bit. A borrow can set more of them above the lowest
// one, which is the only one that counts.
func stops(x uint64) uint64 {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	return (x | (x - ones*' ') | ((x ^ ones*'"') - ones) | ((x ^ ones*'\\') - ones)) & tops
}

// plain gives the place of the first byte from i on that stops marks.
func plain(raw []byte, i int) int {
	for ; i+8 <= len(raw); i += 8 {
		if stop := stops(binary.LittleEndian.Uint64(raw[i:])); stop != 0 {
			return i + bits.TrailingZeros64(stop)/8
		}
	}
	for i < len(raw) {
		if c := raw[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			return i
		}
		i++
	}
	return i
}

// escape checks an escape from behind its backslash and gives its end.
func (s *scanner) escape(i int) int {
	switch s.at(i) {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 1
	case 'u':
	default:
		return s.fail(NotJSON, remedyJSON)
	}
	unit := s.hex4(i + 1)
	switch {
	case unit < 0:
		return s.fail(NotJSON, remedyJSON)
	case unit == 0:
		return s.fail(InvalidUTF8, remedyNUL)
	case unit&0xfc00 == 0xdc00:
		return s.fail(InvalidUTF8, remedySurrogate)
	case unit&0xfc00 != 0xd800:
		return i + 5
	}
	if s.at(i+5) != '\\' || s.at(i+6) != 'u' {
		return s.fail(InvalidUTF8, remedySurrogate)
	}
	low := s.hex4(i + 7)
	if low < 0 {
		return s.fail(NotJSON, remedyJSON)
	}
	if low&0xfc00 != 0xdc00 {
		return s.fail(InvalidUTF8, remedySurrogate)
	}
	return i + 11
}

// hex4 reads four hexadecimal digits, or gives -1.
func (s *scanner) hex4(i int) int {
	unit := 0
	for j := i; j < i+4; j++ {
		digit := hexValue(s.at(j))
		if digit < 0 {
			return -1
		}
		unit = unit<<4 | digit
	}
	return unit
}

func hexValue(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}

// unescape copies text, whose escapes were checked, into the arena without
// them.
func (s *scanner) unescape(text []byte) []byte {
	from := len(s.arena)
	for i := 0; i < len(text); {
		if text[i] != '\\' {
			plainEnd := i + bytes.IndexByte(text[i:], '\\')
			if plainEnd < i {
				plainEnd = len(text)
			}
			s.arena = append(s.arena, text[i:plainEnd]...)
			i = plainEnd
			continue
		}
		if text[i+1] != 'u' {
			s.arena = append(s.arena, unescaped(text[i+1]))
			i += 2
			continue
		}
		r := rune(hexUnit(text[i+2:]))
		i += 6
		if r&0xfc00 == 0xd800 {
			r = (r&0x3ff)<<10 + rune(hexUnit(text[i+2:])&0x3ff) + 0x10000
			i += 6
		}
		s.arena = utf8.AppendRune(s.arena, r)
	}
	return s.arena[from:len(s.arena):len(s.arena)]
}

func unescaped(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return c
}

func hexUnit(text []byte) int {
	return hexValue(text[0])<<12 | hexValue(text[1])<<8 | hexValue(text[2])<<4 | hexValue(text[3])
}
