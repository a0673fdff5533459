package schemas

import (
	"bytes"
	"encoding/binary"

	"github.com/zeebo/xxh3"
)

// Bounds of what is learnt. A tree that is full of shapes which are sent no more
// is forgotten as a whole.
const (
	maxNodes    = 4096      // 300 KB: some 200 shapes that have nothing in common
	maxPath     = 128       // nodes
	maxLiteral  = 1024      // bytes
	maxLiterals = 256 << 10 // bytes of all literals
	maxVariants = 16        // of the names in props, behind the same names
	maxFull     = 64        // times that there was no room for a shape
	maxPause    = 31        // records of unknown shapes that are not looked at
	seenShapes  = 256
)

// shapes are the learnt ones, and which others were seen.
type shapes struct {
	first    *node // what a record may begin with
	nodes    int
	literals int           // bytes
	variants map[*node]int // by the literal before props: shapes learnt that have names in props
	full     int           // times that there was no room
	seen     [seenShapes]uint64
	pause    int // how many misses are let pass after the next one that is looked at
	wait     int // how many of them are left

	path []step // scratch
}

// step is a node of a path with the place of its literal in the record.
type step struct {
	from, to int
	node     node
}

// encourage is called when a learnt shape is met for the first time: learning
// was of use. While it is not, ever fewer records are looked at, so that a flood
// of shapes costs little.
func (t *shapes) encourage() { t.pause, t.wait = 0, 0 }

// learn makes a path of the record that whole has just taken, if another one of
// its shape was seen before.
func (d *Decoder) learn(raw []byte) {
	t := &d.shapes
	if t.wait > 0 {
		t.wait--
		return
	}
	t.pause = min(2*t.pause+1, maxPause)
	t.wait = t.pause
	if !d.outline(raw, false) {
		return
	}
	sum := uint64(1)
	for i := range t.path {
		sum = xxh3.HashSeed(raw[t.path[i].from:t.path[i].to], sum)
	}
	if slot := &t.seen[sum%seenShapes]; *slot != sum {
		*slot = sum
		return
	}
	if t.addPath(raw) || !d.outline(raw, true) {
		return
	}
	t.addPath(raw)
}

// addPath adds the path to the tree. It is false if there are too many with
// other names in props already.
func (t *shapes) addPath(raw []byte) bool {
	if t.nodes+len(t.path) > maxNodes || t.literals > maxLiterals {
		if t.full++; t.full > maxFull {
			t.first, t.nodes, t.literals, t.full, t.variants = nil, 0, 0, 0, nil
		}
		return true
	}
	var parent *node
	for i := range t.path {
		s := &t.path[i]
		if s.node.open > 0 {
			if t.variants[parent] == maxVariants {
				return false
			}
			if t.variants == nil {
				t.variants = map[*node]int{}
			}
			t.variants[parent]++
		}
		s.node.setLiteral(raw[s.from:s.to])
		parent = t.addNode(parent, s.node)
	}
	return true
}

// setLiteral sets what is compared.
func (n *node) setLiteral(text []byte) {
	n.size = int16(len(text))
	n.first = word(text, 0)
	if len(text) < 8 {
		n.shift = uint8(64 - 8*len(text))
		n.first <<= n.shift
	}
	if len(text) > 8 {
		n.last = binary.LittleEndian.Uint64(text[len(text)-8:])
	}
	if len(text) > 16 {
		n.second = binary.LittleEndian.Uint64(text[8:])
	}
	if len(text) > 24 {
		n.middle = string(text[16 : len(text)-8])
	}
}

// addNode gives the node behind parent that is n, and makes it if it is missing.
func (t *shapes) addNode(parent *node, n node) *node {
	link := &t.first
	if parent != nil {
		link = &parent.child
	}
	for ; *link != nil && (*link).size >= n.size; link = &(*link).sibling {
		o := **link
		o.child, o.sibling, o.flags = nil, nil, o.flags&^wasUsed
		if o == n {
			return *link
		}
	}
	n.sibling = *link
	*link = &n
	t.nodes++
	t.literals += int(n.size)
	return *link
}

// outline makes the path of the record that whole has just taken. It is false if
// it is one that must not be learnt. free says that props may have any names.
func (d *Decoder) outline(raw []byte, free bool) bool {
	members := d.scan.members
	end := int32(len(members))
	d.shapes.path = d.shapes.path[:0]
	o := outline{d: d, free: free}
	in, last := inFlat, node{field: fieldEnd}
	for i := int32(0); i < end; i = members[i].next {
		if string(members[i].name) == "specversion" {
			if members[i].kind == kindNull {
				return false // the shape is that of a CloudEvent, too
			}
			in, last.flags = inCloud, isCloud
		}
	}
	o.members(0, end, in, 1)
	last.name = int16(o.names)
	if o.freed {
		last.flags |= freeProps
	}
	o.add(len(raw), last)
	if o.class && o.classNamed || o.freed && o.unknown {
		return false // which names Props has would depend on values
	}
	return !o.unfit
}

// outline is what is known while a path is made.
type outline struct {
	d          *Decoder
	free       bool // props may have any names
	freed      bool // it has members, and they are one value
	data       bool // within the data of a CloudEvent
	class      bool // there is a class, which may be kept in Props
	classNamed bool // another member has the name that it would get there
	unknown    bool // there is an unknown member
	unfit      bool
	names      int
	from       int // where the next literal begins
	open, shut int // where props begins and ends, until the literal around it is added
}

// members adds those of one object, which are the scanner's from first to end.
func (o *outline) members(first, end int32, in place, depth uint8) {
	members := o.d.scan.members
	prefix := in.prefix()
	for i := first; i < end && !o.unfit; i = members[i].next {
		p := &members[i]
		o.names++
		// The mapper has put the prefix before the names of unknown members.
		f, inner := in.field(string(bytes.TrimPrefix(p.name, []byte(prefix.String()))))
		if f == fieldNull || f == fieldObject && p.next == i+1 {
			continue // part of the literal
		}
		if f == fieldObject && inner == inProps && o.free {
			f, o.freed = fieldProps, true
		}
		if f == fieldObject {
			o.object(i, inner, depth+1)
			continue
		}
		n := node{field: f, depth: depth, prefix: prefix, name: int16(int(p.from) + 1 - o.from)}
		o.mark(&n, i)
		o.add(int(p.val), n)
		o.from = int(p.to)
	}
}

// object adds the members of member i, of which there are some.
func (o *outline) object(i int32, in place, depth uint8) {
	p := &o.d.scan.members[i]
	if in == inProps {
		o.open = int(p.val)
	}
	o.data = o.data || in == inData
	o.members(i+1, p.next, in, depth)
	o.data = o.data && in != inData
	if in == inProps {
		o.shut = int(p.to)
	}
}

// mark sets what n needs for what is kept in Props.
func (o *outline) mark(n *node, i int32) {
	if o.data {
		n.flags |= fromData
	}
	if n.field == fieldClass || n.field == fieldExtensionClass {
		o.class = true
	}
	if n.field != fieldUnknown && n.field != fieldExamined {
		return
	}
	switch string(o.d.scan.members[i].name) {
	case "device.class", "deviceclass":
		o.classNamed = true
	}
	for _, x := range o.d.extras {
		if x.at == i && x.taken {
			n.field = fieldExamined
		}
	}
	o.unknown = o.unknown || n.field == fieldUnknown
}

// add adds a node whose literal ends at to.
func (o *outline) add(to int, n node) {
	t := &o.d.shapes
	if to-o.from > maxLiteral || len(t.path) == maxPath {
		o.unfit = true
		return
	}
	if o.open > 0 {
		n.open, o.open = int16(o.open-o.from), 0
	}
	if o.shut > 0 {
		n.shut, o.shut = int16(o.shut-o.from), 0
	}
	t.path = append(t.path, step{o.from, to, n})
}
