package schemas

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// A shape is a record without its values: the names, their order and nesting,
// the white space. Producers send few shapes. One that the whole decoder
// (Decoder.whole) has taken twice is learnt: its literals, the bytes between two
// values, become a path of a tree, with what is to be done with the value behind
// each. A record that follows a path to its end needs no search for repeated
// names, no list of members and no look at any name: those were settled when the
// path was learnt. Its values are examined as ever. Whatever is not as the path
// has it, and every fault, is left to the whole decoder, which alone gives
// verdicts.

// node is a literal of a shape and what the value behind it is.
type node struct {
	first  uint64 // its first eight bytes; of a shorter one, moved left by shift
	second uint64 // the next eight, if it has more than sixteen
	last   uint64 // its last eight, if it has more than eight
	middle string // what is between, if it has more than twenty-four

	child   *node // the first literal that may come behind the value
	sibling *node // the next one behind the same value, never longer

	size int16 // its length
	// name is where the member's name begins in the literal, behind its quote; of
	// the last node of a path, how many names the path has.
	name       int16
	open, shut int16 // if above 0: where props begins and ends in the literal

	shift  uint8 // of a word: what is not of a literal shorter than it, in bits
	field  field
	depth  uint8 // of the object that the value is a member of
	prefix prefix
	flags  nodeFlags
}

type nodeFlags uint8

const (
	isCloud   nodeFlags = 1 << iota // last node: the path is of a CloudEvent
	freeProps                       // last node: the path has fieldProps
	wasUsed                         // last node: a record has come to it since it was learnt
	fromData                        // an unknown member within the data of a CloudEvent
)

// match says whether raw goes on with the literal at i; w is the word there.
func (n *node) match(w uint64, raw []byte, i int) bool {
	return w<<(n.shift&63) == n.first && (n.size <= 8 || n.matchRest(raw, i))
}

func (n *node) matchRest(raw []byte, i int) bool {
	end := i + int(n.size)
	return end <= len(raw) && load(raw, end-8) == n.last && (n.size <= 16 || load(raw, i+8) == n.second && (n.size <= 24 || string(raw[i+16:end-8]) == n.middle))
}

// load gives the eight bytes at i.
func load(b []byte, i int) uint64 {
	return binary.LittleEndian.Uint64(b[i : i+8 : i+8])
}

// word gives the eight bytes at i; NUL stands for what is past the end.
func word(b []byte, i int) uint64 {
	if i+8 <= len(b) {
		return load(b, i)
	}
	return lastWord(b, i)
}

func lastWord(b []byte, i int) (w uint64) {
	for j := len(b) - 1; j >= i; j-- {
		w = w<<8 | uint64(b[j])
	}
	return w
}

const wordNull = 'n' | 'u'<<8 | 'l'<<16 | 'l'<<24

// unknown is an unknown member of a record that follows a shape:
// raw[from:to] is its name without the first quote, the colon and the value.
type unknown struct {
	from, to int32
	prefix   prefix
	fromData bool
}

// values are the texts of a record by field; nil if absent.
type values [fields][]byte

// byShape decodes raw by a learnt shape. It is false if none fits, or if there
// is any fault; ev may be partly written then.
func (d *Decoder) byShape(raw []byte, ev *Event) bool {
	n := d.shapes.first
	if n == nil {
		return false
	}
	raw = slices.Clip(raw) // one bound less to check
	d.scan.raw, d.scan.open, d.scan.count, d.scan.indexed = raw, d.scan.open[:0], 0, false
	d.unknown, d.props = d.unknown[:0], propsSpan{}
	var v values
	for i := 0; ; n = n.child {
		for w := word(raw, i); !n.match(w, raw, i); w = word(raw, i) {
			if n, i = d.other(n, i); n == nil {
				return false
			}
		}
		if n.open|n.shut != 0 {
			d.passProps(n, i)
		}
		if i += int(n.size); n.field == fieldEnd || i >= len(raw) {
			return n.field == fieldEnd && i == len(raw) && d.finish(n, ev, &v)
		}
		if raw[i] != '"' {
			if i = d.noText(n, i); i < 0 {
				return false
			}
			continue
		}
		from := i + 1
		i = from
		for {
			if stop := stops(word(raw, i)); stop != 0 {
				i += bits.TrailingZeros64(stop) / 8
				break
			}
			i += 8
		}
		if i >= len(raw) || raw[i] != '"' {
			if i = d.text(n, from, &v); i < 0 {
				return false
			}
			continue
		}
		v[n.field%fields] = raw[from:i:i]
		if i++; n.field <= fieldSpecial && !d.special(n, from, i, &v) {
			return false
		}
	}
}

// propsSpan is where props begins and ends; 0 while it does not.
type propsSpan struct {
	from, to int
	entry    *node // by which it was entered, while it is open, and where
	at       int
}

// passProps notes that a literal that begins at i opens or shuts props.
func (d *Decoder) passProps(n *node, i int) {
	if n.shut > 0 {
		d.props.to, d.props.entry = i+int(n.shut), nil
	}
	if n.open > 0 {
		d.props = propsSpan{from: i + int(n.open), entry: n, at: i}
	}
}

// other gives the node to try instead of n, whose literal is not at i, and where.
// If the names in props are others, they may be taken as they come.
func (d *Decoder) other(n *node, i int) (*node, int) {
	if n.sibling != nil || d.props.entry == nil {
		return n.sibling, i
	}
	n, i = d.props.entry.sibling, d.props.at
	d.props = propsSpan{}
	return n, i
}

// text reads the string whose first byte is at i into v and gives its end, or -1.
// It may hold escapes and more than ASCII.
func (d *Decoder) text(n *node, i int, v *values) int {
	end, escaped := d.scan.str(i)
	if end < 0 {
		return end
	}
	text := d.scan.raw[i : end-1 : end-1]
	if escaped && n.field.isText() {
		text = d.scan.unescape(text)
	}
	v[n.field%fields] = text
	if n.field <= fieldSpecial && !d.special(n, i, end, v) {
		return -1
	}
	return end
}

// special sees to a string that is more than a text, or may be: raw[from:end] with
// its last quote.
func (d *Decoder) special(n *node, from, end int, v *values) bool {
	switch text := v[n.field%fields]; {
	case n.field == fieldProps:
		return false
	case n.field == fieldUnknown || len(text) > 0 && classOf(text) == ClassUnknown:
		d.note(n, from-1, end)
	}
	return true
}

// noText reads the value at i, which is no string, and gives its end, or -1.
func (d *Decoder) noText(n *node, i int) int {
	s := &d.scan
	if n.field.isText() {
		if uint32(word(s.raw, i)) != wordNull {
			return -1
		}
		return i + 4
	}
	end, k, _ := s.value(i, int(n.depth), false)
	switch {
	case end < 0:
	case n.field == fieldUnknown:
		d.note(n, i, end)
	case n.field == fieldProps && k == kindObject:
		if s.at(s.space(i+1)) != '}' {
			d.props.from, d.props.to = i, end
		}
	case n.field == fieldProps && k != kindNull:
		return -1
	}
	return end
}

// note keeps the unknown member whose value is raw[val:end].
func (d *Decoder) note(n *node, val, end int) {
	from := val - int(n.size) + int(n.name)
	d.unknown = append(d.unknown, unknown{int32(from), int32(end), n.prefix, n.flags&fromData != 0})
}
