package pipeline

import (
	"time"

	"daybook/pipeline/enrich"
	"daybook/pipeline/reference"
	"daybook/pipeline/source"
	"daybook/schemas"
)

// Reference gives the rules by which reference.Tables says what the tables of a
// partition must hold: the numbers in force in production, and the worker's own
// decoding of a record. One goroutine may use them. Of cfg it needs what a
// worker needs to read: Epoch, Partitions, ControlKey, OutOfOrder.
func Reference(cfg Config, partition int32) reference.Rules {
	cfg = cfg.withDefaults()
	r := cfg.rules()
	d := &decoder{
		rules: &r, controlKey: cfg.ControlKey, epoch: cfg.Epoch, partition: partition, partitions: cfg.Partitions, classes: enrich.New(classCache),
	}
	return reference.Rules{
		Decode: func(in *reference.Record) reference.Decoded { return d.plain(in, &r) },
		DayMs:  24 * time.Hour.Milliseconds(), CapMs: 24 * time.Hour.Milliseconds(), GraceMs: time.Minute.Milliseconds(),
		RepeatMs: time.Hour.Milliseconds(), OutOfOrder: r.OutOfOrder, LedgerBlock: r.LedgerBlock, Split: reference.Days(),
	}
}

// plain decodes one record, into values of its own.
func (d *decoder) plain(in *reference.Record, rules *Rules) reference.Decoded {
	var r record
	d.json.Reset()
	d.decode(&source.Record{Offset: in.Offset, TimestampMs: in.TimestampMs, Key: in.Key, Value: in.Value, Headers: in.Headers}, &r)
	return r.plain(rules)
}

// plain gives what was decoded as values of their own.
func (r *record) plain(rules *Rules) reference.Decoded {
	if r.control != nil || r.aside != nil || r.repair != nil {
		return reference.Decoded{Control: r.control, SetAside: r.aside, Repair: r.repair}
	}
	e := &r.event
	out := reference.Decoded{Event: reference.Event{
		Network: string(e.Network), User: string(e.User), Source: string(e.Source), ID: string(e.ID), TimeMs: r.timeMs, ReceivedMs: r.receivedMs,
		Device: string(r.device), Class: r.class, Flags: r.flags, Kind: e.Kind, Content: schemas.ContentHash(e),
	}, FactName: string(e.FactName)}
	if rules.ValidZone(e.FactZone) {
		out.FactZone = string(e.FactZone)
	}
	if r.reject.Reason != schemas.Accepted {
		out.Reject.Reason = r.reject.Reason.String()
	}
	return out
}
