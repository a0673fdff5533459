package readapi

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"daybook/clickhouse/export"
	"daybook/clickhouse/query"
)

// sessionsCSV answers with the sessions of a whole range: the largest export there is.
func (a *API) sessionsCSV(ctx context.Context, in FormatInput, s Stamp, q query.Sessions) *huma.StreamResponse {
	name := "sessions_" + q.Network
	if q.User != "" {
		name += "_" + userTag(q.User)
	}
	f := in.csvFile(name+"_"+q.From.String()+"_"+q.To.String(), s, "session_id", "user_id", "date", "device_id", "device_class",
		"started_at", "ended_at", "duration_s", "status", "end_reason", "events", "zone", "robot")
	f.rows = func(ctx context.Context, out *export.CSV) error {
		zones := exportZones{cache: &a.zones}
		for row, err := range q.Export(ctx, a.db) {
			if err != nil {
				return err
			}
			zone := zones.of(row.Zone)
			if err := out.UUID(row.SessionID).Bytes(row.UserID).Date(int32(row.Date)).Bytes(row.DeviceID).Plain(row.DeviceClass).
				InstantIn(row.StartedAt, zone.spelled).InstantIn(row.EndedAt, zone.spelled).Int(row.DurationS).Plain(row.Status).Plain(row.EndReason).
				Int(int64(row.Events)).Plain(zone.name).Bool(row.Robot).End(); err != nil {
				return err
			}
		}
		return nil
	}
	return a.stream(ctx, f)
}

// exportZones are the zones of the rows of one export.
type exportZones struct {
	cache *zoneCache
	known map[string]exportZone // by the zone that a row names
}

type exportZone struct {
	name    string // of the zone that the row is shown in
	spelled *export.Zone
}

func (z *exportZones) of(name string) exportZone {
	if known, ok := z.known[name]; ok {
		return known
	}
	if z.known == nil {
		z.known = map[string]exportZone{}
	}
	place, shown := z.cache.pick(name)
	z.known[name] = exportZone{name: shown, spelled: export.NewZone(place)}
	return z.known[name]
}
