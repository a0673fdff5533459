package schemas

import "bytes"

// finish fills ev from what a record that follows a path to its last node has
// brought. It is false if the record is to be examined by the whole decoder:
// there is a fault, or it is a fact of the directory.
func (d *Decoder) finish(n *node, ev *Event, v *values) bool {
	if n.flags&isCloud != 0 && !cloudValues(v) {
		return false
	}
	id, network, user := v[fieldID], v[fieldNetwork], v[fieldUser]
	if len(id)-1 >= MaxIDBytes || len(id) == 0 || len(user)-1 >= MaxUserBytes || len(user) == 0 || !d.memo.validNetwork(network) ||
		len(v[fieldSource]) > MaxNameBytes || len(v[fieldType]) > MaxNameBytes || len(v[fieldDevice]) > MaxNameBytes ||
		d.scan.count+int(n.name) > MaxProperties {
		return false
	}
	var ok bool
	if ev.TimeMs, ok = d.memo.date.parse(v[fieldTime]); !ok {
		return false
	}
	ev.ReceivedMs = 0
	if v[fieldReceived] != nil {
		if ev.ReceivedMs, ok = d.memo.date.parse(v[fieldReceived]); !ok {
			return false
		}
	}
	ev.Source, ev.Type = v[fieldSource], v[fieldType]
	if len(ev.Source) == 0 {
		ev.Source = d.source()
	}
	if len(ev.Type) == 0 {
		ev.Type = d.activity()
	}
	if ev.Kind = d.memo.typeOf(ev.Type).kind; ev.Kind == KindUserFact {
		return false
	}
	ev.ID, ev.Network, ev.User = id, network, user
	ev.Category, ev.Action, ev.Label = v[fieldCategory], v[fieldAction], v[fieldLabel]
	ev.Filled = 0
	ev.DeviceID = v[fieldDevice]
	if len(ev.DeviceID) == 0 {
		ev.DeviceID = nil
	}
	ev.DeviceClass = classOf(v[fieldClass])
	ev.ContentID, ev.ContentName, ev.ContentSlug = v[fieldContentID], v[fieldContentName], v[fieldContentSlug]
	ev.Zone, ev.UserAgent, ev.URL = v[fieldZone], v[fieldAgent], v[fieldURL]
	ev.FactZone, ev.FactName = nil, nil
	ev.Props = nil
	if p := &d.props; p.to > 0 {
		ev.Props = d.scan.raw[p.from:p.to:p.to]
	}
	if len(d.unknown) > 0 {
		if n.flags&freeProps != 0 {
			return false // a name in props may be the same
		}
		ev.Props = d.mergeUnknown(ev.Props)
	}
	if n.flags&wasUsed == 0 {
		n.flags |= wasUsed
		d.shapes.encourage()
	}
	return true
}

// cloudValues puts the values of a CloudEvent where those of flat JSON are.
func cloudValues(v *values) bool {
	if string(v[fieldSpec]) != "1.0" {
		return false
	}
	switch {
	case v[fieldNetwork] == nil:
		v[fieldNetwork] = v[fieldTenant]
	case v[fieldTenant] != nil && !bytes.Equal(v[fieldNetwork], v[fieldTenant]):
		return false
	}
	if len(v[fieldExtensionDevice]) > 0 {
		v[fieldDevice] = v[fieldExtensionDevice]
	}
	if len(v[fieldExtensionClass]) > 0 {
		v[fieldClass] = v[fieldExtensionClass]
	}
	return true
}

// mergeUnknown builds Props of props and the unknown members, none of whose
// names is another's; those of data come first.
func (d *Decoder) mergeUnknown(props []byte) []byte {
	s := &d.scan
	from := len(s.arena)
	if props == nil {
		s.arena = append(s.arena, '{')
	} else {
		s.arena = append(s.arena, props[:len(props)-1]...)
		s.arena = append(s.arena, ',')
	}
	for _, data := range []bool{true, false} {
		for _, u := range d.unknown {
			if u.fromData == data {
				s.arena = append(append(s.arena, '"'), u.prefix.String()...)
				s.arena = append(append(s.arena, s.raw[u.from:u.to]...), ',')
			}
		}
	}
	s.arena[len(s.arena)-1] = '}'
	return s.arena[from:len(s.arena):len(s.arena)]
}
