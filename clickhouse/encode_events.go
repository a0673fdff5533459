package clickhouse

import (
	"math"

	"github.com/ClickHouse/ch-go/proto"

	"daybook/schemas"
)

// kindNames are the spellings of schemas.Kind in events.kind.
func kindName(k schemas.Kind) string {
	switch k {
	case schemas.KindSignal:
		return "signal"
	case schemas.KindLoggedOut:
		return "logged_out"
	case schemas.KindBackgrounded:
		return "backgrounded"
	case schemas.KindUserFact:
		return "user_fact"
	case schemas.KindOther:
	}
	return "other"
}

func kindOfName(name string) schemas.Kind {
	for _, k := range []schemas.Kind{schemas.KindSignal, schemas.KindLoggedOut, schemas.KindBackgrounded, schemas.KindUserFact} {
		if kindName(k) == name {
			return k
		}
	}
	return schemas.KindOther
}

func classOfName(name string) schemas.DeviceClass {
	if name == schemas.ClassMobile.String() {
		return schemas.ClassMobile
	}
	return schemas.ClassWeb
}

// eventsBlock encodes accepted events.
type eventsBlock struct {
	block
	place

	network, source, typ, kind, category, action, class, zone, contextZone, agent *lowCardinality

	user, id, label, device, content, contentName, contentSlug, url, props *texts

	time, received                   *proto.ColDateTime64
	gap                              *proto.ColUInt32
	period                           *proto.ColUInt16
	robot, classUnknown, timeClamped *proto.ColBool
	hash, version                    *proto.ColUInt64
	offset                           *proto.ColInt64
}

func newEventsBlock() *eventsBlock {
	b := &eventsBlock{block: block{table: "events_versions"}}
	low := func(name string) *lowCardinality { return column(&b.block, name, newLowCardinality()) }
	text := func(name string) *texts { return column(&b.block, name, new(texts)) }
	flag := func(name string) *proto.ColBool { return column(&b.block, name, new(proto.ColBool)) }
	b.network, b.user, b.id, b.source = low("network_id"), text("user_id"), text("event_id"), low("source")
	b.time, b.received = column(&b.block, "time", newInstants()), column(&b.block, "received_at", newInstants())
	b.typ, b.kind, b.category, b.action, b.label = low("type"), low("kind"), low("category"), low("action"), text("label")
	b.device, b.class = text("device_id"), low("device_class")
	b.content, b.contentName, b.contentSlug = text("content_id"), text("content_name"), text("content_slug")
	b.contextZone, b.agent, b.url, b.props = low("context_zone"), low("context_ua"), text("context_url"), text("props")
	b.zone = low("zone")
	b.gap = column(&b.block, "gap_ms", new(proto.ColUInt32))
	b.period = column(&b.block, "recording_period", new(proto.ColUInt16))
	b.robot, b.classUnknown, b.timeClamped = flag("robot"), flag("class_unknown"), flag("time_clamped")
	b.hash = column(&b.block, "content_hash", new(proto.ColUInt64))
	b.place = newPlace(&b.block)
	b.offset = column(&b.block, "offset", new(proto.ColInt64))
	b.version = column(&b.block, "version", new(proto.ColUInt64))
	return b
}

// eventVersion falls with the position, so that of several rows with one
// identity the first occurrence wins (ARCHITECTURE.md section 4.2).
func eventVersion(epoch uint16, offset int64) uint64 {
	return math.MaxUint64 - schemas.Version(epoch, offset)
}

func (b *eventsBlock) append(f *schemas.Flush, r *schemas.EventRow) {
	e := r.Event
	b.network.AppendBytes(e.Network)
	b.user.AppendBytes(e.User)
	b.id.AppendBytes(e.ID)
	b.source.AppendBytes(e.Source)
	b.time.AppendRaw(instant(r.TimeMs))
	b.received.AppendRaw(instant(r.ReceivedMs))
	b.typ.AppendBytes(e.Type)
	b.kind.Append(kindName(e.Kind))
	b.category.AppendBytes(e.Category)
	b.action.AppendBytes(e.Action)
	b.label.AppendBytes(e.Label)
	b.device.AppendBytes(r.DeviceID)
	b.class.Append(r.Class.String())
	b.content.AppendBytes(e.ContentID)
	b.contentName.AppendBytes(e.ContentName)
	b.contentSlug.AppendBytes(e.ContentSlug)
	b.contextZone.AppendBytes(e.Zone)
	b.agent.AppendBytes(e.UserAgent)
	b.url.AppendBytes(e.URL)
	b.props.AppendBytes(e.Props)
	b.zone.Append(r.Zone)
	b.gap.Append(uint32(r.GapMs))
	b.period.Append(r.Period)
	b.robot.Append(r.Flags&schemas.FlagRobot != 0)
	b.classUnknown.Append(r.Flags&schemas.FlagClassUnknown != 0)
	b.timeClamped.Append(r.Flags&schemas.FlagTimeClamped != 0)
	hash := r.Content
	if hash == 0 {
		hash = schemas.ContentHash(e)
	}
	b.hash.Append(hash)
	b.place.append(f.Topic, f.Epoch, f.Partition)
	b.offset.Append(r.Offset)
	b.version.Append(eventVersion(f.Epoch, r.Offset))
	b.rows++
}
