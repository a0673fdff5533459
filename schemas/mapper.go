package schemas

import "bytes"

// mapper turns the members of one scanned record into an event.
type mapper struct {
	d  *Decoder
	ev *Event

	verdict Reject // first wrong type, else first fault of the CloudEvent

	id, network, user, time, received, class []byte // text as sent; nil if absent

	extDevice, extClass []byte // extensions of a CloudEvent

	props int32 // index of props in the members, -1 if absent
	cloud bool
}

// event maps the whole record and gives the verdict.
func (m *mapper) event() Reject {
	members := m.d.scan.members
	size := int32(len(members))
	for i := int32(0); i < size; i = members[i].next {
		if string(members[i].name) == "specversion" && members[i].kind != kindNull {
			m.cloud = true
			break
		}
	}
	if m.cloud {
		m.cloudEvent()
	} else {
		for i := int32(0); i < size; i = members[i].next {
			if !m.envelope(i) && !m.field(i) {
				m.extra("", i)
			}
		}
	}
	ev := m.ev
	ev.ID, ev.Network, ev.User = m.id, m.network, m.user
	if len(ev.Source) == 0 {
		ev.Source = m.d.source()
	}
	if len(ev.Type) == 0 {
		ev.Type = m.d.activity()
	}
	ev.Kind = KindOf(ev.Type)
	m.merge()
	if ev.Kind == KindUserFact {
		m.facts()
	}
	if m.verdict.Reason != Accepted {
		return m.verdict
	}
	return m.check()
}

// envelope maps a member that only the outer object of flat JSON has.
func (m *mapper) envelope(i int32) bool {
	switch string(m.d.scan.members[i].name) {
	case "id":
		m.id = m.text(i, "id")
	case "source":
		m.ev.Source = m.text(i, "source")
	case "network":
		m.network = m.text(i, "network")
	case "user":
		m.user = m.text(i, "user")
	case "time":
		m.time = m.text(i, "time")
	case "type":
		m.ev.Type = m.text(i, "type")
	default:
		return false
	}
	return true
}

// field maps a member that flat JSON and the data of a CloudEvent share.
func (m *mapper) field(i int32) bool {
	switch string(m.d.scan.members[i].name) {
	case "received":
		m.received = m.text(i, "received")
	case "category":
		m.ev.Category = m.text(i, "category")
	case "action":
		m.ev.Action = m.text(i, "action")
	case "label":
		m.ev.Label = m.text(i, "label")
	case "device":
		m.device(i)
	case "content":
		m.content(i)
	case "context":
		m.context(i)
	case "props":
		if m.object(i, "props") {
			m.props = i
		}
	default:
		return false
	}
	return true
}

func (m *mapper) device(i int32) {
	members := m.d.scan.members
	if !m.object(i, "device") {
		return
	}
	for j := i + 1; j < members[i].next; j = members[j].next {
		switch string(members[j].name) {
		case "id":
			m.ev.DeviceID = m.text(j, "device.id")
		case "class":
			if m.class = m.text(j, "device.class"); len(m.class) > 0 && classOf(m.class) == ClassUnknown {
				m.extra("device.", j) // kept: the class is told by the user agent
			}
		default:
			m.extra("device.", j)
		}
	}
}

func (m *mapper) content(i int32) {
	members := m.d.scan.members
	if !m.object(i, "content") {
		return
	}
	for j := i + 1; j < members[i].next; j = members[j].next {
		switch string(members[j].name) {
		case "id":
			m.ev.ContentID = m.text(j, "content.id")
		case "name":
			m.ev.ContentName = m.text(j, "content.name")
		case "slug":
			m.ev.ContentSlug = m.text(j, "content.slug")
		default:
			m.extra("content.", j)
		}
	}
}

func (m *mapper) context(i int32) {
	members := m.d.scan.members
	if !m.object(i, "context") {
		return
	}
	for j := i + 1; j < members[i].next; j = members[j].next {
		switch string(members[j].name) {
		case "zone":
			m.ev.Zone = m.text(j, "context.zone")
		case "ua":
			m.ev.UserAgent = m.text(j, "context.ua")
		case "url":
			m.ev.URL = m.text(j, "context.url")
		default:
			m.extra("context.", j)
		}
	}
}

// text gives the string at i without escapes; nil if it is null or no string,
// which is the verdict then.
func (m *mapper) text(i int32, field string) []byte {
	p := &m.d.scan.members[i]
	if p.kind != kindString {
		if p.kind != kindNull {
			m.fault(WrongType, field, remedyString)
		}
		return nil
	}
	text := m.d.scan.raw[p.val+1 : p.to-1 : p.to-1]
	if p.escaped {
		text = m.d.scan.unescape(text)
	}
	return text
}

// object says whether the value at i is an object; if it is neither that nor
// null, that is the verdict.
func (m *mapper) object(i int32, field string) bool {
	switch m.d.scan.members[i].kind {
	case kindObject:
		return true
	case kindNull:
		return false
	case kindBool, kindNumber, kindString, kindArray:
	}
	m.fault(WrongType, field, remedyObject)
	return false
}

// fault keeps the verdict: the first wrong type beats the first fault of the
// CloudEvent, as the order of the reasons is.
func (m *mapper) fault(reason Reason, field, remedy string) {
	if m.verdict.Reason == Accepted || reason < m.verdict.Reason {
		m.verdict = Reject{Reason: reason, Field: field, Remedy: remedy}
	}
}

// extra notes an unknown member under its name in Props.
func (m *mapper) extra(prefix string, i int32) {
	s := &m.d.scan
	if prefix != "" {
		from := len(s.arena)
		s.arena = append(append(s.arena, prefix...), s.members[i].name...)
		s.members[i].name = s.arena[from:len(s.arena):len(s.arena)]
	}
	m.d.extras = append(m.d.extras, extra{prefix: prefix, at: i})
}

// check examines the fields in the order of the reasons.
func (m *mapper) check() Reject {
	ev := m.ev
	user, network := "user", "network"
	if m.cloud {
		user, network = "subject", "tenant"
	}
	switch {
	case len(m.id) == 0:
		return Reject{NoID, "id", remedyNoID}
	case len(m.id) > MaxIDBytes:
		return Reject{BadID, "id", remedyBadID}
	case m.network == nil:
		return Reject{NoNetwork, network, remedyNoNetwork}
	case !ValidNetwork(m.network):
		return Reject{BadNetwork, network, remedyBadNetwork}
	case len(m.user) == 0:
		return Reject{NoUser, user, remedyNoUser}
	case len(m.user) > MaxUserBytes:
		return Reject{BadUser, user, remedyBadUser}
	case m.time == nil:
		return Reject{NoTime, "time", remedyNoTime}
	}
	var ok bool
	if ev.TimeMs, ok = parseTime(m.time); !ok {
		return Reject{BadTime, "time", remedyBadTime}
	}
	if m.received != nil {
		if ev.ReceivedMs, ok = parseTime(m.received); !ok {
			return Reject{BadTime, "received", remedyBadTime}
		}
	}
	if len(ev.DeviceID) == 0 {
		ev.DeviceID = nil
	}
	for _, f := range []struct {
		name  string
		value []byte
	}{{"source", ev.Source}, {"type", ev.Type}, {"device.id", ev.DeviceID}} {
		if len(f.value) > MaxNameBytes {
			return Reject{FieldTooLong, f.name, remedyTooLong}
		}
	}
	ev.DeviceClass = classOf(m.class)
	return Reject{}
}

// classOf reads device.class: mobile or web in any case of letters. What else
// clients send (ios, tablet, desktop …) is unknown, as if absent.
func classOf(text []byte) DeviceClass {
	switch string(text) { // as most clients write it
	case "":
		return ClassUnknown
	case "mobile":
		return ClassMobile
	case "web":
		return ClassWeb
	}
	switch {
	case foldIs(text, "mobile"):
		return ClassMobile
	case foldIs(text, "web"):
		return ClassWeb
	}
	return ClassUnknown
}

// foldIs compares ASCII letters in any case with lower, which is lower case.
func foldIs(text []byte, lower string) bool {
	if len(text) != len(lower) {
		return false
	}
	for i, c := range text {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// merge builds Props of props and the unknown members. Most events have only
// one of them, or none: props alone aliases the record.
func (m *mapper) merge() {
	s := &m.d.scan
	empty := m.props < 0 || s.members[m.props].next == m.props+1
	if len(m.d.extras) == 0 {
		if !empty {
			p := &s.members[m.props]
			m.ev.Props = s.raw[p.val:p.to:p.to]
		}
		return
	}
	from := len(s.arena)
	if empty {
		s.arena = append(s.arena, '{')
	} else {
		p := &s.members[m.props]
		s.arena = append(s.arena, s.raw[p.val:p.to-1]...) // all but the closing brace
		s.arena = append(s.arena, ',')
	}
	for i, x := range m.d.extras {
		if m.taken(i) {
			m.d.extras[i].taken = true
			continue
		}
		p := &s.members[x.at]
		s.arena = append(s.arena, '"')
		s.arena = append(s.arena, x.prefix...)
		s.arena = append(s.arena, s.raw[p.from+1:p.to]...)
		s.arena = append(s.arena, ',')
	}
	// The last comma makes room for the brace; there is at least one member.
	s.arena[len(s.arena)-1] = '}'
	m.ev.Props = s.arena[from:len(s.arena):len(s.arena)]
}

// taken says whether the name of extra i is a name of props or of an earlier
// extra. On the first of many it fills the index with the names of props.
func (m *mapper) taken(i int) bool {
	s := &m.d.scan
	own := s.members[m.d.extras[i].at].name
	count, end := len(m.d.extras), int32(-1)
	if m.props >= 0 {
		end = s.members[m.props].next
		count += int(end - m.props) // at least the names in props
	}
	if count > smallObject {
		if i == 0 {
			s.index.start()
			for j := m.props + 1; j < end; j = s.members[j].next {
				s.addMember(j)
			}
		}
		return s.addMember(m.d.extras[i].at)
	}
	for j := m.props + 1; j < end; j = s.members[j].next {
		if bytes.Equal(s.members[j].name, own) {
			return true
		}
	}
	for _, y := range m.d.extras[:i] {
		if bytes.Equal(s.members[y.at].name, own) {
			return true
		}
	}
	return false
}

// facts reads the facts of a directory event: its zone is props.tz, else
// props.zone, its name props.name. A member beside props serves as well, since
// that is where it is kept.
func (m *mapper) facts() {
	if m.ev.FactZone = m.fact("tz", "props.tz"); len(m.ev.FactZone) == 0 {
		m.ev.FactZone = m.fact("zone", "props.zone")
	}
	if len(m.ev.FactZone) == 0 {
		m.ev.FactZone = nil
	}
	m.ev.FactName = m.fact("name", "props.name")
}

func (m *mapper) fact(name, field string) []byte {
	s := &m.d.scan
	if m.props >= 0 {
		end := s.members[m.props].next
		for j := m.props + 1; j < end; j = s.members[j].next {
			if string(s.members[j].name) == name {
				return m.text(j, field)
			}
		}
	}
	for _, x := range m.d.extras {
		if x.prefix == "" && string(s.members[x.at].name) == name {
			return m.text(x.at, field)
		}
	}
	return nil
}
