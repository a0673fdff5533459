package schemas

// DefaultSource is the source of an event that names none.
const DefaultSource = "unknown"

// Decoder reads records of the events topic (INTERFACES.md section 6): flat
// Daybook JSON, or a CloudEvent 1.0 in structured mode, known by a member
// `specversion`. It allocates nothing once its buffers have grown to the batches
// that it sees. The zero value is ready. One goroutine owns it.
//
// What is examined, in this order; the first fault is the verdict:
//
//  1. the size, and whether there is anything at all;
//  2. the JSON, byte by byte: NotJSON, InvalidUTF8, DuplicateKey, TooDeep,
//     whichever comes first in the record;
//  3. the types of the known fields, in the order of the record: WrongType;
//  4. the rest in the order of the reasons: BadCloudEvent, id, network, user,
//     time, received, then the length of source, type and device.id.
//
// Names match case-sensitively; null counts as absent; so does "" for source,
// type, device.id and device.class. A device.class other than mobile or web is
// kept in Props, and the class is told by the user agent (INTERFACES.md
// section 6).
//
// Unknown members are kept in Props, behind the members of `props`. One of the
// outer object keeps its name, one of device, content or context gets that
// object's name and a dot before its own. A name that props has already is
// dropped: what the producer put into props wins.
//
// Of a CloudEvent, id, source, type and time are the attributes, subject is the
// user and the extension tenant (or network) the network; the extensions device
// and deviceclass win over data.device. data may be absent; if present it is an
// object with category, action, label, device, content, context, props and
// received; its other members go to Props, before unknown extensions.
// datacontenttype and dataschema are accepted and not kept.
type Decoder struct {
	// MaxBytes is the longest record taken; 0 means MaxEventBytes.
	MaxBytes int

	scan    scanner
	extras  []extra
	unknown []unknown
	props   propsSpan
	shapes  shapes
	memo    memo
	consts  []byte // DefaultSource and TypeActivity; never written again
}

// extra is an unknown member: its name in Props is prefix and its own name, and
// so it stands in the scanner's members.
type extra struct {
	prefix string
	at     int32 // index in the scanner's members
	taken  bool  // Props has the name without it
}

// Reset makes every event that was decoded since the last Reset invalid, and
// their memory free for those that follow. What the decoder keeps is bounded by
// the largest batch between two calls.
func (d *Decoder) Reset() {
	d.scan.arena = d.scan.arena[:0]
}

// SwapArena makes the decoder write what cannot alias a record into other memory
// from now on, and gives the memory that it has used: the events that were decoded
// into it stay valid for as long as the caller leaves it alone.
func (d *Decoder) SwapArena(arena []byte) (used []byte) {
	used, d.scan.arena = d.scan.arena, arena
	return used
}

// constants gives the bytes that stand for an absent source and type.
func (d *Decoder) constants() []byte {
	if d.consts == nil {
		d.consts = []byte(DefaultSource + TypeActivity)
	}
	return d.consts
}

// source is the source of an event that names none.
func (d *Decoder) source() []byte { return d.constants()[:len(DefaultSource):len(DefaultSource)] }

// activity is the type of an event that names none.
func (d *Decoder) activity() []byte { return d.constants()[len(DefaultSource):] }

// Decode reads raw into ev and gives the verdict; the zero Reject means that ev
// is an event. Otherwise ev holds what could be read: nothing if the JSON is at
// fault. ev aliases raw and the decoder until Reset.
func (d *Decoder) Decode(raw []byte, ev *Event) Reject {
	limit := d.MaxBytes
	if limit <= 0 {
		limit = MaxEventBytes
	}
	if len(raw) > limit {
		*ev = Event{}
		return Reject{Reason: TooLarge, Remedy: remedySize}
	}
	arena := len(d.scan.arena)
	if d.byShape(raw, ev) {
		return Reject{}
	}
	d.scan.arena = d.scan.arena[:arena]
	verdict := d.whole(raw, ev)
	if verdict.Reason == Accepted && ev.Kind != KindUserFact {
		d.learn(raw)
	}
	return verdict
}

// whole decodes a record of any shape. It is the definition of what Decode does.
func (d *Decoder) whole(raw []byte, ev *Event) Reject {
	*ev = Event{}
	s := &d.scan
	s.start(raw)
	d.extras = d.extras[:0]

	i := s.space(0)
	if i == len(raw) {
		return Reject{Reason: Empty, Remedy: remedyEmpty}
	}
	if raw[i] != '{' {
		return Reject{Reason: NotJSON, Remedy: remedyJSON}
	}
	if i = s.object(i+1, 1, true); i < 0 {
		return s.fault
	}
	if s.space(i) != len(raw) {
		return Reject{Reason: NotJSON, Remedy: remedyTrailing}
	}
	m := mapper{d: d, ev: ev, props: -1}
	return m.event()
}
