package replay

import (
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"daybook/schemas"
)

// Row is one line on its way to Kafka.
type Row struct {
	TimeMs int64  // event time; of an unmappable line that of the line before it
	Key    []byte // network/user
	Value  []byte // the event on the wire, or the line as it was
	File   string // where the line stands: any line may end as a reject
	Line   uint64 // 1-based
	Err    string // why the line could not be mapped; "" if it was

	timeless bool // TimeMs is still to be given
}

// Options decide what becomes of a line.
type Options struct {
	Format  Format
	Map     []Column
	Set     map[string]string
	Network string // overrides the line's network; "" leaves it
	Source  string // "": the member's name
}

// mapper turns the fields of one member's lines into rows. It is owned by the
// goroutine that reads the member.
type mapper struct {
	opts    *Options
	member  *Member
	source  []byte
	network []byte // of the options
	idBase  string // id of a row without one: idBase:line
	decoder schemas.Decoder
	event   schemas.Event
	props   []prop
	arena   []byte // bytes of the batch's rows; who grows it leaves the old bytes to them
}

type prop struct{ name, value string }

func newMapper(opts *Options, m *Member, several bool) *mapper {
	mp := &mapper{opts: opts, member: m, source: []byte(m.Name), network: []byte(opts.Network), idBase: m.Name}
	if opts.Source != "" {
		mp.source, mp.idBase = []byte(opts.Source), opts.Source
		if several {
			mp.idBase += "/" + m.Name
		}
	}
	return mp
}

func (m *mapper) useArena(memory []byte) { m.arena = memory }
func (m *mapper) usedArena() []byte      { return m.arena }

// encode writes the event into the arena.
func (m *mapper) encode(e *schemas.Event) []byte {
	from := len(m.arena)
	m.arena = schemas.AppendEvent(m.arena, e)
	return m.arena[from:len(m.arena):len(m.arena)]
}

// key is the record's key, network/user.
func (m *mapper) key(e *schemas.Event) []byte {
	from := len(m.arena)
	m.arena = append(append(append(m.arena, e.Network...), '/'), e.User...)
	return m.arena[from:len(m.arena):len(m.arena)]
}

// begin starts an event without any field.
func (m *mapper) begin() {
	m.event = schemas.Event{}
	m.props = m.props[:0]
}

// assign gives the field a value; an empty value means that the field is
// absent.
func (m *mapper) assign(field, value string, kind Kind) error {
	if value == "" {
		return nil
	}
	e := &m.event
	switch field {
	case "time", "received":
		ms, err := parseTime(kind, value)
		if err != nil {
			return err
		}
		if field == "received" {
			e.ReceivedMs = ms
			return nil
		}
		e.TimeMs = ms
	case "device.class":
		class, ok := parseClass(value)
		if !ok {
			return fmt.Errorf("read device.class %q: it is neither mobile nor web", value)
		}
		e.DeviceClass = class
	default:
		target := textField(e, field)
		if target == nil {
			m.props = append(m.props, prop{field[len("props."):], value})
			return nil
		}
		*target = []byte(value)
	}
	return nil
}

// textField gives the place of a field that is text; nil for props.NAME.
func textField(e *schemas.Event, field string) *[]byte {
	switch field {
	case "id":
		return &e.ID
	case "source":
		return &e.Source
	case "network":
		return &e.Network
	case "user":
		return &e.User
	case "type":
		return &e.Type
	case "category":
		return &e.Category
	case "action":
		return &e.Action
	case "label":
		return &e.Label
	case "device.id":
		return &e.DeviceID
	case "content.id":
		return &e.ContentID
	case "content.name":
		return &e.ContentName
	case "content.slug":
		return &e.ContentSlug
	case "context.zone":
		return &e.Zone
	case "context.ua":
		return &e.UserAgent
	case "context.url":
		return &e.URL
	}
	return nil
}

func parseClass(text string) (schemas.DeviceClass, bool) {
	switch {
	case equalFold(text, "mobile"):
		return schemas.ClassMobile, true
	case equalFold(text, "web"):
		return schemas.ClassWeb, true
	}
	return schemas.ClassUnknown, false
}

func equalFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if a[i]|0x20 != b[i] {
			return false
		}
	}
	return true
}

// finish applies --set and --network, fills id and source, encodes the event
// and asks the worker's own decoder for its verdict, so that what is called
// mappable here is accepted there.
func (m *mapper) finish(l *line, hasTime bool) Row {
	if err := m.applySet(&hasTime); err != nil {
		return m.unmappable(l, err.Error())
	}
	e := &m.event
	if m.opts.Network != "" {
		e.Network = m.network
	}
	if len(e.Source) == 0 {
		e.Source = m.source
	}
	if len(e.ID) == 0 {
		e.ID = m.rowID(l.number)
	}
	switch {
	case len(e.User) == 0:
		return m.unmappable(l, "the user is empty")
	case !hasTime:
		return m.unmappable(l, "the time is empty")
	case len(e.Network) == 0:
		return m.unmappable(l, "no network is given; add --network NAME")
	}
	if err := m.encodeProps(); err != nil {
		return m.unmappable(l, err.Error())
	}
	value := m.encode(e)
	m.begin()
	if reject := m.decode(value, e); reject.Reason != schemas.Accepted {
		return m.unmappable(l, rejectText(reject))
	}
	// The key comes from what the worker will read: encoding may have replaced
	// invalid UTF-8 in the user.
	return Row{TimeMs: e.TimeMs, Key: m.key(e), Value: value, File: m.member.Path, Line: l.number}
}

func (m *mapper) applySet(hasTime *bool) error {
	for field, value := range m.opts.Set {
		if err := m.assign(field, value, KindRFC3339); err != nil {
			return fmt.Errorf("apply --set: %w", err)
		}
		*hasTime = *hasTime || field == "time"
	}
	return nil
}

func (m *mapper) rowID(number uint64) []byte {
	id := append([]byte(m.idBase), ':')
	return strconv.AppendUint(id, number, 10)
}

func (m *mapper) encodeProps() error {
	if len(m.props) == 0 {
		return nil
	}
	object := make(map[string]string, len(m.props))
	for _, p := range m.props {
		object[p.name] = p.value
	}
	encoded, err := json.Marshal(object, json.Deterministic(true), jsontext.AllowInvalidUTF8(false))
	if err != nil {
		return fmt.Errorf("encode props: %w", err)
	}
	m.event.Props = encoded
	return nil
}

func rejectText(r schemas.Reject) string {
	text := r.Reason.String()
	if r.Field != "" {
		text += " (" + r.Field + ")"
	}
	if r.Remedy != "" {
		text += ": " + r.Remedy
	}
	return text
}

// unmappable keeps the line as it is, with the reason.
func (m *mapper) unmappable(l *line, why string) Row {
	row := m.asItIs(l)
	row.Err = why
	if l.cut() {
		row.Err = fmt.Sprintf("the line has %d bytes, more than %d; its first %d are kept", l.length, maxLineBytes, len(l.text))
	}
	return row
}

// asItIs keeps the line for the worker's decoder to judge; it sorts beside the
// line before it.
func (m *mapper) asItIs(l *line) Row {
	network := m.opts.Network
	if network == "" {
		network = "replay"
	}
	return Row{timeless: true, Key: []byte(network + "/unmappable"), Value: l.text, File: m.member.Path, Line: l.number}
}
