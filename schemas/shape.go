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
	first, mask uint64 // its first bytes, at most eight, and which of a word they are
	last        uint64 // its last eight bytes, if it has more than eight
	middle      string // what is between, if it has more than sixteen
	size        int32  // its length

	child   int32 // the first literal that may come behind the value; 0: none
	sibling int32 // the next one behind the same value, never longer; 0: none

	// name is where the member's name begins in the literal, behind its quote; of
	// the last node of a path, how many names the path has.
	name       int16
	open, shut int16 // if above 0: where props begins and ends in the literal

	field  field
	depth  uint8 // of the object that the value is a member of
	prefix prefix
	flags  nodeFlags

	variants uint16 // shapes learnt that go on from here with the names of props
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
	return w&n.mask == n.first && (n.size <= 8 || n.matchRest(raw[i:]))
}

func (n *node) matchRest(b []byte) bool {
	size := int(n.size)
	return len(b) >= size && binary.LittleEndian.Uint64(b[size-8:]) == n.last && (size <= 16 || string(b[8:size-8]) == n.middle)
}

// word gives the eight bytes at i; NUL stands for what is past the end.
func word(b []byte, i int) uint64 {
	if i+8 <= len(b) {
		return binary.LittleEndian.Uint64(b[i:])
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
	nodes := d.shapes.nodes
	if len(nodes) == 0 {
		return false
	}
	d.scan.raw, d.scan.open, d.scan.count, d.scan.indexed = raw, d.scan.open[:0], 0, false
	d.unknown = d.unknown[:0]
	var v values
	var props [2]int // from and to; 0: none
	var retry [2]int // the node by which props was entered, and where; 0: none
	i, at := 0, int(nodes[0].child)
	for {
		w := word(raw, i)
		for at != 0 && !nodes[at].match(w, raw, i) {
			at = int(nodes[at].sibling)
		}
		if at == 0 {
			if retry[0] == 0 {
				return false
			}
			// The names in props are others; they may be taken as they come.
			at, i = int(nodes[retry[0]].sibling), retry[1]
			retry, props = [2]int{}, [2]int{}
			continue
		}
		n := &nodes[at]
		if n.open|n.shut != 0 {
			if n.shut > 0 {
				props[1], retry = i+int(n.shut), [2]int{}
			}
			if n.open > 0 {
				props[0], retry = i+int(n.open), [2]int{at, i}
			}
		}
		i += int(n.size)
		if n.field == fieldEnd || i >= len(raw) {
			return n.field == fieldEnd && i == len(raw) && d.finish(n, ev, &v, props)
		}
		if raw[i] == '"' {
			i = d.text(n, i, &v)
		} else {
			i = d.noText(n, i, &props)
		}
		if i < 0 {
			return false
		}
		at = int(n.child)
	}
}

// text reads the string at i into v and gives its end, or -1.
func (d *Decoder) text(n *node, i int, v *values) int {
	raw := d.scan.raw
	from := i + 1
	end := from
	for {
		stop := stops(word(raw, end))
		end += bits.TrailingZeros64(stop) / 8
		if stop != 0 {
			break
		}
	}
	text := raw[from:min(end, len(raw))]
	if end >= len(raw) || raw[end] != '"' { // an escape, other than ASCII, or a fault
		var escaped bool
		if end, escaped = d.scan.str(from); end < 0 {
			return end
		}
		end--
		text = raw[from:end]
		if escaped && n.field >= fieldClass {
			text = d.scan.unescape(text)
		}
	}
	v[n.field%fields] = slices.Clip(text)
	end++
	switch {
	case n.field > fieldExtensionClass || n.field == fieldExamined:
	case n.field == fieldProps:
		return -1
	case n.field == fieldUnknown || len(text) > 0 && classOf(text) == ClassUnknown:
		d.note(n, i, end)
	}
	return end
}

// noText reads the value at i, which is no string, and gives its end, or -1.
func (d *Decoder) noText(n *node, i int, props *[2]int) int {
	s := &d.scan
	if n.field >= fieldClass {
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
			*props = [2]int{i, end}
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
