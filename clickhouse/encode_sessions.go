package clickhouse

import (
	"time"

	"github.com/ClickHouse/ch-go/proto"

	"daybook/schemas"
	"daybook/schemas/zones"
)

// sessionsBlock encodes sessions and their tombstones, together: a tombstone
// and what replaces it become visible at once.
type sessionsBlock struct {
	block
	place

	network, class, end, zone *lowCardinality

	user, device          *texts
	id                    *proto.ColUUID
	started, ended        *proto.ColDateTime
	date                  *proto.ColDate
	duration, events, gap *proto.ColUInt32
	startedMs, endedMs    *proto.ColInt64
	robot, classUnknown   *proto.ColBool
	version               *proto.ColUInt64
	deleted               *proto.ColUInt8

	zones locations
}

func newSessionsBlock() *sessionsBlock {
	b := &sessionsBlock{block: block{table: "sessions_versions"}, zones: locations{}}
	low := func(name string) *lowCardinality { return column(&b.block, name, newLowCardinality()) }
	b.network, b.user = low("network_id"), column(&b.block, "user_id", new(texts))
	b.started, b.id = column(&b.block, "started_at", newSeconds()), column(&b.block, "session_id", new(proto.ColUUID))
	b.device, b.class = column(&b.block, "device_id", new(texts)), low("device_class")
	b.date, b.ended = column(&b.block, "date", new(proto.ColDate)), column(&b.block, "ended_at", newSeconds())
	b.duration = column(&b.block, "duration_s", new(proto.ColUInt32))
	b.startedMs, b.endedMs = column(&b.block, "started_ms", new(proto.ColInt64)), column(&b.block, "ended_ms", new(proto.ColInt64))
	b.end, b.events, b.zone = low("end_reason"), column(&b.block, "events", new(proto.ColUInt32)), low("zone")
	b.gap = column(&b.block, "gap_ms", new(proto.ColUInt32))
	b.robot, b.classUnknown = column(&b.block, "robot", new(proto.ColBool)), column(&b.block, "class_unknown", new(proto.ColBool))
	b.place = newPlace(&b.block)
	b.version = column(&b.block, "version", new(proto.ColUInt64))
	b.deleted = column(&b.block, "is_deleted", new(proto.ColUInt8))
	return b
}

func (b *sessionsBlock) append(f *schemas.Flush, r *schemas.SessionRow) {
	// Both ends are truncated to the second before the difference is taken: shown
	// rows must add up (SEMANTICS.md section 6).
	from, to := seconds(r.StartMs), seconds(r.EndMs)
	b.network.Append(r.Network)
	b.user.Append(r.User)
	b.started.AppendRaw(second(from))
	b.id.Append(r.ID)
	b.device.Append(r.Device)
	class := ""
	if !r.Deleted { // of a tombstone only the identity is meant
		class = r.Class.String()
	}
	b.class.Append(class)
	*b.date = append(*b.date, proto.Date(b.zones.date(r.Zone, from)))
	b.ended.AppendRaw(second(to))
	b.duration.Append(uint32(max(0, to-from)))
	b.startedMs.Append(r.StartMs)
	b.endedMs.Append(r.EndMs)
	b.end.Append(r.End.String())
	b.events.Append(r.Events)
	b.zone.Append(r.Zone)
	b.gap.Append(uint32(r.GapMs))
	b.robot.Append(r.Flags&schemas.FlagRobot != 0)
	b.classUnknown.Append(r.Flags&schemas.FlagClassUnknown != 0)
	b.place.append(f.Topic, f.Epoch, f.Partition)
	b.version.Append(schemas.Version(f.Epoch, f.Next))
	b.deleted.Append(bit(r.Deleted))
	b.rows++
}

func bit(set bool) uint8 {
	if set {
		return 1
	}
	return 0
}

// locations gives local dates; it keeps the locations that it has met, of which
// there are at most some six hundred.
type locations map[string]*time.Location

// date gives the local date of an instant as days since 1970. A name that this
// binary's zone database lacks counts as UTC: the pipeline has checked it.
func (z locations) date(name string, at int64) uint16 {
	loc, ok := z[name]
	if !ok {
		var err error
		if loc, err = zones.Load(name); err != nil {
			loc = time.UTC
		}
		z[name] = loc
	}
	_, offset := time.Unix(at, 0).In(loc).Zone()
	return uint16(max(0, at+int64(offset)) / 86400)
}

// slicesBlock encodes slices by local day and their tombstones.
type slicesBlock struct {
	block
	place

	network, class, zone *lowCardinality

	user, device               *texts
	id                         *proto.ColUUID
	date                       *proto.ColDate
	started, ended             *proto.ColDateTime
	duration                   *proto.ColUInt32
	runs                       *pairs[proto.DateTime]
	sessionStart               *proto.ColInt64
	continuesFrom, continuesTo *proto.ColBool
	robot, classUnknown        *proto.ColBool
	version                    *proto.ColUInt64
	deleted                    *proto.ColUInt8
}

func newSlicesBlock() *slicesBlock {
	b := &slicesBlock{block: block{table: "session_days_versions"}}
	low := func(name string) *lowCardinality { return column(&b.block, name, newLowCardinality()) }
	flag := func(name string) *proto.ColBool { return column(&b.block, name, new(proto.ColBool)) }
	b.network, b.user = low("network_id"), column(&b.block, "user_id", new(texts))
	b.date, b.id = column(&b.block, "date", new(proto.ColDate)), column(&b.block, "session_id", new(proto.ColUUID))
	b.device, b.class = column(&b.block, "device_id", new(texts)), low("device_class")
	b.started, b.ended = column(&b.block, "started_at", newSeconds()), column(&b.block, "ended_at", newSeconds())
	b.duration = column(&b.block, "duration_s", new(proto.ColUInt32))
	b.runs = column(&b.block, "runs", newSecondPairs())
	b.zone = low("zone")
	b.sessionStart = column(&b.block, "session_started_ms", new(proto.ColInt64))
	b.continuesFrom, b.continuesTo = flag("continues_from"), flag("continues_to")
	b.robot, b.classUnknown = flag("robot"), flag("class_unknown")
	b.place = newPlace(&b.block)
	b.version = column(&b.block, "version", new(proto.ColUInt64))
	b.deleted = column(&b.block, "is_deleted", new(proto.ColUInt8))
	return b
}

func (b *slicesBlock) append(f *schemas.Flush, r *schemas.SliceRow) {
	b.network.Append(r.Network)
	b.user.Append(r.User)
	*b.date = append(*b.date, proto.Date(min(max(r.Date, 0), 65535)))
	b.id.Append(r.Session)
	b.device.Append(r.Device)
	class := ""
	if !r.Deleted {
		class = r.Class.String()
	}
	b.class.Append(class)
	from, to := seconds(r.SessionStart), seconds(r.SessionStart)
	if len(r.Runs) > 0 {
		from, to = r.Runs[0][0], r.Runs[len(r.Runs)-1][1]
	}
	b.started.AppendRaw(second(from))
	b.ended.AppendRaw(second(to))
	b.duration.Append(uint32(max(0, r.Seconds)))
	for _, run := range r.Runs {
		b.runs.add(second(run[0]), second(run[1]))
	}
	b.runs.endRow()
	b.zone.Append(r.Zone)
	b.sessionStart.Append(r.SessionStart)
	b.continuesFrom.Append(r.ContinuesFrom)
	b.continuesTo.Append(r.ContinuesTo)
	b.robot.Append(r.Flags&schemas.FlagRobot != 0)
	b.classUnknown.Append(r.Flags&schemas.FlagClassUnknown != 0)
	b.place.append(f.Topic, f.Epoch, f.Partition)
	b.version.Append(schemas.Version(f.Epoch, f.Next))
	b.deleted.Append(bit(r.Deleted))
	b.rows++
}
