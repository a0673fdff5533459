package verify

import (
	"strings"

	"daybook/clickhouse/query"
)

// scope is what a statement of sql/ is made with: fragments of text, which hold
// no value, and the values as bound parameters.
type scope struct {
	args  []query.Arg
	users string
	Gaps  bool // there are any
}

// Names of parameters that fragments use.
const placeKey = "toUInt64(epoch) * 4294967296 + toUInt64(partition)"

// scope gives the parameters that every check may use.
func (r *run) scope() *scope {
	places := r.report.Places
	n := len(places)
	key, stored, published, block, outOfOrder := make([]uint64, n), make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n)
	first := r.Epoch
	for i := range places {
		p := &places[i]
		key[i], stored[i], published[i], block[i] = uint64(p.Epoch)<<32+uint64(p.Partition), p.Stored, p.Published, p.block
		outOfOrder[i] = p.OutOfOrderMs
		first = min(first, p.Epoch)
	}
	s := &scope{users: "1", Gaps: len(r.gaps) > 0, args: []query.Arg{
		{Name: "places", Value: key},
		{Name: "stored", Value: stored},
		{Name: "published", Value: published},
		{Name: "block", Value: block},
		{Name: "out_of_order", Value: outOfOrder},
		{Name: "first_epoch", Value: first},
	}}
	gapPlace, gapFrom, gapTo := make([]uint64, len(r.gaps)), make([]int64, len(r.gaps)), make([]int64, len(r.gaps))
	for i, g := range r.gaps {
		gapPlace[i], gapFrom[i], gapTo[i] = uint64(g.epoch)<<32+uint64(g.partition), g.from, g.to
	}
	s.with("gap_place", gapPlace).with("gap_from", gapFrom).with("gap_to", gapTo)
	return s
}

func (s *scope) with(name string, value any) *scope {
	s.args = append(s.args, query.Arg{Name: name, Value: value})
	return s
}

// of bounds a copy to a shard.
func (s *scope) of(x shard) *scope {
	c := *s
	c.args = append([]query.Arg(nil), s.args...)
	c.with("from_network", x.fromNetwork).with("from_user", x.fromUser).with("to_network", x.toNetwork).with("to_user", x.toUser)
	c.users = "(network_id >= {from_network:String} AND (network_id > {from_network:String} OR user_id >= {from_user:String}))"
	if !x.open {
		c.users += " AND (network_id <= {to_network:String} AND (network_id < {to_network:String} OR user_id < {to_user:String}))"
	}
	return &c
}

// Users is the condition on the shard's users.
func (s *scope) Users() string { return s.users }

// InGap is the condition that a person gave an offset up.
func (*scope) InGap() string {
	return "arrayExists((p, f, t) -> p = " + placeKey + " AND f <= offset AND offset < t, {gap_place:Array(UInt64)}, {gap_from:Array(Int64)}, {gap_to:Array(Int64)})"
}

// Stored is the stored position of a row's partition, 0 where there is none.
func (*scope) Stored() string { return at("", "stored", "0") }

// StoredOf is Stored of an alias.
func (*scope) StoredOf(alias string) string { return at(alias, "stored", "0") }

// Published is the published position of a row's partition.
func (*scope) Published() string { return at("", "published", "0") }

// OutOfOrderOf is the reported out-of-orderness of a row's partition, -1 if none.
func (*scope) OutOfOrderOf(alias string) string { return at(alias, "out_of_order", "-1") }

// Block is the first offset of the ledger block that a row's offset lies in.
func (*scope) Block() string {
	size := at("", "block", "8192")
	return "intDiv(offset, " + size + ") * " + size
}

// Flying gives the users whose sessions are in flight: those of whom an event is
// not published yet.
func (s *scope) Flying() string {
	return "SELECT network_id, user_id FROM events_versions WHERE " + s.users + " AND offset >= " + s.Published()
}

func at(alias, what, otherwise string) string {
	key := placeKey
	if alias != "" {
		key = strings.NewReplacer("epoch", alias+".epoch", "partition", alias+".partition").Replace(key)
	}
	return "transform(" + key + ", {places:Array(UInt64)}, {" + what + ":Array(Int64)}, toInt64(" + otherwise + "))"
}
