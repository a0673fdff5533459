package schemas

import "bytes"

// cloudEvent maps the outer object of a CloudEvent in structured mode. The
// members of data come before unknown extensions in Props, so that data wins
// when both use a name; hence the extensions are mapped second.
func (m *mapper) cloudEvent() {
	members := m.d.scan.members
	size := int32(len(members))
	for i := int32(0); i < size; i = members[i].next {
		switch string(members[i].name) {
		case "data":
			m.data(i)
		case "data_base64":
			if members[i].kind != kindNull {
				m.fault(BadCloudEvent, "data_base64", remedyData)
			}
		}
	}
	var network []byte
	for i := int32(0); i < size; i = members[i].next {
		if !m.attribute(i) && !m.extension(i, &network) {
			m.extra("", i)
		}
	}
	switch {
	case m.network == nil:
		m.network = network
	case network != nil && !bytes.Equal(m.network, network):
		m.fault(BadCloudEvent, "tenant", remedyTenant)
	}
	if len(m.extDevice) > 0 {
		m.ev.DeviceID = m.extDevice
	}
	if len(m.extClass) > 0 {
		m.class = m.extClass
	}
}

// attribute maps a context attribute that CloudEvents defines.
func (m *mapper) attribute(i int32) bool {
	switch string(m.d.scan.members[i].name) {
	case "specversion":
		if v := m.text(i, "specversion"); string(v) != "1.0" {
			m.fault(BadCloudEvent, "specversion", remedySpec)
		}
	case "id":
		m.id = m.text(i, "id")
	case "source":
		m.ev.Source = m.text(i, "source")
	case "subject":
		m.user = m.text(i, "subject")
	case "type":
		m.ev.Type = m.text(i, "type")
	case "time":
		m.time = m.text(i, "time")
	case "datacontenttype":
		m.text(i, "datacontenttype")
	case "dataschema":
		m.text(i, "dataschema")
	case "data", "data_base64":
	default:
		return false
	}
	return true
}

// extension maps an extension that Daybook defines.
func (m *mapper) extension(i int32, network *[]byte) bool {
	switch string(m.d.scan.members[i].name) {
	case "tenant":
		m.network = m.text(i, "tenant")
	case "network":
		*network = m.text(i, "network")
	case "device":
		m.extDevice = m.text(i, "device")
	case "deviceclass":
		if m.extClass = m.text(i, "deviceclass"); len(m.extClass) > 0 && classOf(m.extClass) == ClassUnknown {
			m.extra("", i)
		}
	default:
		return false
	}
	return true
}

// data maps the members of data; it must be an object or null.
func (m *mapper) data(at int32) {
	members := m.d.scan.members
	switch members[at].kind {
	case kindObject:
	case kindNull:
		return
	case kindBool, kindNumber, kindString, kindArray:
		m.fault(BadCloudEvent, "data", remedyData)
		return
	}
	for i := at + 1; i < members[at].next; i = members[i].next {
		if !m.field(i) {
			m.extra("", i)
		}
	}
}
