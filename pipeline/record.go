package pipeline

import (
	"strconv"

	"daybook/pipeline/enrich"
	"daybook/pipeline/source"
	"daybook/schemas"
)

// NotRecordedDisabled is the reason of the ledger's class "not recorded" for
// events that fall into a time in which their network is not recorded.
const NotRecordedDisabled = "recording_disabled"

// record is one decoded record with all that can be said of it without state.
type record struct {
	offset     int64
	recordMs   int64 // the record's timestamp
	key, value []byte
	headers    []source.Header

	event      schemas.Event
	reject     schemas.Reject    // Reason is Accepted if nothing is wrong so far
	control    *schemas.Control  // of a control record
	aside      *schemas.SetAside // of a control record that sets another record aside
	repair     *schemas.Repair   // of a control record that has true rows written again
	timeMs     int64             // event time, clamped
	receivedMs int64             // received time
	device     []byte            // of the session key
	class      schemas.DeviceClass
	flags      schemas.EventFlags
	lookup     lookup // in the state
}

// reset empties a record but for its event, half a kilobyte that decoding writes
// anew: clearing it as well was 7 % of a worker's CPU. Who does not decode empties
// the event.
func (r *record) reset() {
	r.reject, r.control, r.aside, r.repair = schemas.Reject{}, nil, nil, nil
	r.timeMs, r.receivedMs, r.device, r.class, r.flags, r.lookup = 0, 0, nil, 0, 0, lookup{}
}

// decoder turns records into what apply needs. It belongs to one partition.
type decoder struct {
	rules      *Rules
	controlKey []byte
	partition  int32
	partitions int32
	epoch      uint16
	hand       hand // what is known of records that panicked, and which one is decoded
	json       schemas.Decoder
	classes    *enrich.Classifier
	scratch    []byte
}

// How much of a rejected record is kept (TRUST.md section 2): of its value and
// key, and of what a header says of it.
const (
	maxRaw    = 64 << 10
	maxHeader = 4 << 10
)

// size counts what a record holds in memory. All of it counts: a producer may
// put a megabyte into a key or a header.
func size(r *source.Record) int {
	n := len(r.Key) + len(r.Value)
	for i := range r.Headers {
		n += len(r.Headers[i].Key) + len(r.Headers[i].Value)
	}
	return n
}

// decode examines one record without any state; out is empty but for its event.
func (d *decoder) decode(r *source.Record, out *record) {
	out.offset, out.recordMs, out.key, out.value, out.headers = r.Offset, r.TimestampMs, r.Key, r.Value, r.Headers
	if why, ok := d.hand.poison.setAside(r.Offset); ok {
		out.reject, out.event = schemas.Reject{Reason: schemas.HandlerPanic, Remedy: why}, schemas.Event{}
		return
	}
	if len(r.Headers) > 0 && d.special(r, out) {
		out.event = schemas.Event{}
		return
	}
	e := &out.event
	if reject := d.json.Decode(r.Value, e); reject.Reason != schemas.Accepted {
		out.reject = reject // few are: a record is written no more than it must be
		return
	}
	if !schemas.KeyIs(r.Key, e.Network, e.User) || schemas.Partition(r.Key, int(d.partitions)) != d.partition {
		out.reject = schemas.Reject{Reason: schemas.WrongPartition, Field: "key", Remedy: "produce it with the key network/user and the murmur2 partitioner"}
		return
	}
	d.time(out)
	d.json.FillLabels(e)
	out.class, out.flags = d.classes.Classify(e.DeviceClass, e.UserAgent)
	if out.event.TimeMs != out.timeMs {
		out.flags |= schemas.FlagTimeClamped
	}
	out.device = e.DeviceID
	if len(out.device) == 0 {
		out.device = classDevice(out.class)
	}
}

// classDevice names the device of an event that brings no device id: its class.
func classDevice(c schemas.DeviceClass) []byte {
	if c == schemas.ClassMobile {
		return mobileDevice
	}
	return webDevice
}

// The devices of events without a device id; read only.
var (
	mobileDevice = []byte("mobile") //nolint:gochecknoglobals // a constant, but Go has none of this type
	webDevice    = []byte("web")    //nolint:gochecknoglobals // likewise
)

// special takes the records that are no events of a producer: control records
// and lines that replay could not map.
func (d *decoder) special(r *source.Record, out *record) bool {
	for i := range r.Headers {
		switch string(r.Headers[i].Key) {
		case schemas.HeaderControl:
			if !schemas.VerifyControl(d.controlKey, r.Value, r.Headers[i].Value) || !d.control(r, out) {
				out.reject = schemas.Reject{Reason: schemas.BadControl, Field: schemas.HeaderControl, Remedy: "settings are changed with daybook network set or the API"}
			}
			return true
		case schemas.HeaderError:
			out.reject = schemas.Reject{Reason: schemas.Unmappable, Remedy: "mend the line or the mapping and replay the file again"}
			return true
		}
	}
	return false
}

// control reads a control record, whose signature is right; it reports whether
// it is one of this place in the log.
func (d *decoder) control(r *source.Record, out *record) bool {
	if schemas.IsSetAside(r.Value) {
		a, err := schemas.DecodeSetAside(r.Value)
		if err != nil || a.Epoch != d.epoch || a.Partition != d.partition || a.Offset >= r.Offset {
			return false
		}
		out.aside = &a
		return true
	}
	if schemas.IsRepair(r.Value) {
		x, err := schemas.DecodeRepair(r.Value)
		if err != nil || !d.owns(&x) {
			return false
		}
		out.repair = &x
		return true
	}
	c, err := schemas.DecodeControl(r.Value)
	if err != nil {
		return false
	}
	out.control = &c
	return true
}

// owns says whether the events of all users of a repair belong on this partition.
func (d *decoder) owns(r *schemas.Repair) bool {
	for _, u := range r.Users {
		d.scratch = schemas.AppendKey(d.scratch[:0], []byte(r.Network), []byte(u))
		if schemas.Partition(d.scratch, int(d.partitions)) != d.partition {
			return false
		}
	}
	return true
}

// time settles received time and event time (SEMANTICS.md section 9).
func (d *decoder) time(out *record) {
	e := &out.event
	out.receivedMs = out.recordMs
	if e.ReceivedMs != 0 && e.ReceivedMs < out.recordMs {
		out.receivedMs = e.ReceivedMs
	}
	out.timeMs = e.TimeMs
	switch {
	case e.TimeMs < d.rules.Earliest || e.TimeMs > d.rules.Latest || e.TimeMs > out.receivedMs+d.rules.FutureReject || out.receivedMs < d.rules.Earliest:
		out.reject = schemas.Reject{Reason: schemas.TimeOutOfRange, Field: "time", Remedy: "send an instant between 1990 and a year after it is received"}
	case e.TimeMs > out.receivedMs+d.rules.FutureClamp:
		out.timeMs = out.receivedMs
	}
}

// rejectRow gives the row that keeps a rejected record.
func (r *record) rejectRow() schemas.RejectRow {
	row := schemas.RejectRow{
		Offset: r.offset, Reason: r.reject.Reason, Field: r.reject.Field, Detail: r.reject.Remedy, Key: r.key[:min(len(r.key), maxRaw)],
		Raw: r.value[:min(len(r.value), maxRaw)], RawBytes: uint32(len(r.value)), TimestampMs: r.recordMs,
	}
	if r.reject.Reason == schemas.WrongPartition {
		row.Detail = "needs the key " + string(schemas.AppendKey(nil, r.event.Network, r.event.User)) + ": " + r.reject.Remedy
	}
	for i := range r.headers {
		value := r.headers[i].Value
		switch v := string(value[:min(len(value), maxHeader)]); string(r.headers[i].Key) {
		case schemas.HeaderFile:
			row.File = v
		case schemas.HeaderLine:
			row.Line, _ = strconv.ParseUint(v, 10, 64) // replay wrote it; else it stays 0
		case schemas.HeaderError:
			if r.reject.Reason == schemas.Unmappable {
				row.Detail = v
			}
		}
	}
	return row
}
