package clickhouse

import (
	"github.com/ClickHouse/ch-go/proto"

	"daybook/schemas"
)

// usersBlock encodes what the directory knows of users.
type usersBlock struct {
	block
	place

	network, zone *lowCardinality
	user, name    *texts
	version       *proto.ColUInt64
}

func newUsersBlock() *usersBlock {
	b := &usersBlock{block: block{table: "users_versions"}}
	b.network, b.user = column(&b.block, "network_id", newLowCardinality()), column(&b.block, "user_id", new(texts))
	b.name, b.zone = column(&b.block, "name", new(texts)), column(&b.block, "zone", newLowCardinality())
	b.place = newPlace(&b.block)
	b.version = column(&b.block, "version", new(proto.ColUInt64))
	return b
}

func (b *usersBlock) append(f *schemas.Flush, r *schemas.UserRow) {
	b.network.Append(r.Network)
	b.user.Append(r.User)
	b.name.Append(r.Name)
	b.zone.Append(r.Zone)
	b.place.append(f.Topic, f.Epoch, f.Partition)
	b.version.Append(schemas.Version(f.Epoch, f.Next))
	b.rows++
}

// settingsBlock encodes control records that were applied.
type settingsBlock struct {
	block
	place

	network, zone    *lowCardinality
	title            *texts
	offset, position *proto.ColInt64
	gap, retention   *proto.ColUInt32
	dark             *pairs[int64]
	version          *proto.ColUInt64
}

func newSettingsBlock() *settingsBlock {
	b := &settingsBlock{block: block{table: "settings_history_versions"}}
	b.network = column(&b.block, "network_id", newLowCardinality())
	b.place = newPlace(&b.block)
	b.offset, b.position = column(&b.block, "offset", new(proto.ColInt64)), column(&b.block, "position", new(proto.ColInt64))
	b.title, b.zone = column(&b.block, "title", new(texts)), column(&b.block, "zone", newLowCardinality())
	b.gap = column(&b.block, "gap_ms", new(proto.ColUInt32))
	b.retention = column(&b.block, "retention_days", new(proto.ColUInt32))
	b.dark = column(&b.block, "dark", newInt64Pairs())
	b.version = column(&b.block, "version", new(proto.ColUInt64))
	return b
}

func (b *settingsBlock) append(f *schemas.Flush, r *schemas.SettingRow) {
	b.network.Append(r.Control.Network)
	b.place.append(f.Topic, f.Epoch, f.Partition)
	b.offset.Append(r.Offset)
	b.position.Append(r.Control.Position)
	b.title.Append(r.Control.Title)
	b.zone.Append(r.Control.Zone)
	b.gap.Append(uint32(r.Control.GapMs))
	b.retention.Append(uint32(r.Control.RetentionDays))
	for _, d := range r.Control.Dark {
		b.dark.add(d.FromMs, d.ToMs)
	}
	b.dark.endRow()
	b.version.Append(schemas.Version(f.Epoch, r.Offset))
	b.rows++
}

// factsBlock encodes facts about users that were applied.
type factsBlock struct {
	block
	place

	network, zone *lowCardinality
	user, name    *texts
	offset        *proto.ColInt64
	version       *proto.ColUInt64
}

func newFactsBlock() *factsBlock {
	b := &factsBlock{block: block{table: "user_facts_versions"}}
	b.network, b.user = column(&b.block, "network_id", newLowCardinality()), column(&b.block, "user_id", new(texts))
	b.place = newPlace(&b.block)
	b.offset = column(&b.block, "offset", new(proto.ColInt64))
	b.zone, b.name = column(&b.block, "zone", newLowCardinality()), column(&b.block, "name", new(texts))
	b.version = column(&b.block, "version", new(proto.ColUInt64))
	return b
}

func (b *factsBlock) append(f *schemas.Flush, r *schemas.UserFactRow) {
	b.network.Append(r.Network)
	b.user.Append(r.User)
	b.place.append(f.Topic, f.Epoch, f.Partition)
	b.offset.Append(r.Offset)
	b.zone.Append(r.Zone)
	b.name.Append(r.Name)
	b.version.Append(schemas.Version(f.Epoch, r.Offset))
	b.rows++
}
