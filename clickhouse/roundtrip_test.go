package clickhouse_test

import (
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	"daybook/schemas"
)

// values gives a view's single row, each column as text, the text of bytes in
// hex so that any byte shows.
func values(t *testing.T, sql string, run func(string) []string) string {
	t.Helper()
	return strings.Join(run(sql), " | ")
}

// Every column of every table, with absent fields and with text that is odd:
// quotes, tabs, line feeds, astral characters, and in raw records any byte.
func TestWrite_EveryColumnComesBack(t *testing.T) {
	s := open(t)
	run := func(sql string) []string { t.Helper(); return text(t, s, sql) }
	odd := "ü'\"\\\t\n\r🦉\u2028{a:b}"
	raw := []byte{0, 0xff, 0xfe, '\n', 0xc3}
	f := &schemas.Flush{Topic: "daybook.events", Epoch: 3, Partition: 7, From: 0, Next: 1000}
	full := schemas.EventRow{
		Event: &schemas.Event{
			ID: []byte(odd), Source: []byte(odd), Network: []byte("n"), User: []byte(odd), Type: []byte("t"), Kind: schemas.KindLoggedOut,
			Category: []byte("cat"), Action: []byte("act"), Label: []byte(odd), DeviceID: []byte("ignored"), ContentID: []byte("cid"),
			ContentName: []byte(odd), ContentSlug: []byte("slug"), Zone: []byte("Asia/Tokyo"), UserAgent: []byte(odd), URL: []byte("http://x/" + odd),
			Props: []byte(`{"k":"` + "ü" + `"}`),
		},
		Offset: 999, TimeMs: 1_700_000_000_001, ReceivedMs: 1_700_000_000_002, DeviceID: []byte(odd), Class: schemas.ClassMobile,
		Flags: schemas.FlagRobot | schemas.FlagClassUnknown | schemas.FlagTimeClamped | schemas.FlagLate, GapMs: 60_001, Period: math.MaxUint16,
		Zone: "Europe/Prague", Content: math.MaxUint64,
	}
	bare := schemas.EventRow{Event: &schemas.Event{ID: []byte("1"), Network: []byte("m"), User: []byte("u")}, Offset: 1, TimeMs: 631_152_000_000, Class: schemas.ClassWeb}
	f.Events = []schemas.EventRow{full, bare}
	f.Rejects = []schemas.RejectRow{
		{Offset: 5, Reason: schemas.NotJSON, Field: "f", Detail: odd, Key: raw, Raw: raw, RawBytes: 70_000, TimestampMs: math.MaxInt64, File: odd, Line: 12},
		{Offset: 6, Reason: schemas.Empty, TimestampMs: math.MinInt64},
	}
	f.Ledger = []schemas.LedgerRow{{
		Block: 0, Size: 100_000, Next: 1000, Accepted: 2, Duplicate: 3, Conflicts: 1,
		NotRecorded: map[string]uint32{"recording_disabled": 4}, Rejected: map[string]uint32{"not_json": 1, "empty": 1}, Skipped: map[string]uint32{"control": 9, "aborted": 8, "compacted": 7},
	}}
	f.Users = []schemas.UserRow{{Network: "n", User: odd, Zone: "Z", Name: odd}}
	f.UserFacts = []schemas.UserFactRow{{Offset: 8, Network: "n", User: odd, Zone: "Z", Name: odd}}
	f.Progress = []schemas.ProgressRow{{Network: "n", WatermarkMs: 1_700_000_000_001}}
	session(f, "n", odd, odd, schemas.ClassMobile, 1_700_000_000_999, 1_700_000_010_001, false)
	r, sl := &f.Sessions[0], &f.Slices[0]
	r.Flags, r.End, r.Zone, r.GapMs = schemas.FlagRobot, schemas.EndCap, "Pacific/Apia", 60_001
	sl.Flags, sl.Zone, sl.ContinuesTo = schemas.FlagClassUnknown, "Pacific/Apia", true
	write(t, s, f)

	id := schemas.SessionID("n", odd, odd, 1_700_000_000_999)
	hexOdd, hexRaw := strings.ToUpper(hex.EncodeToString([]byte(odd))), strings.ToUpper(hex.EncodeToString(raw))
	uuid := fmt.Sprintf("%x-%x-%x-%x-%x", id[0:4], id[4:6], id[6:8], id[8:10], id[10:])
	for sql, want := range map[string]string{
		`SELECT concat(toString((hex(user_id), hex(event_id), hex(source), hex(label), hex(device_id), hex(content_name), hex(context_ua), hex(substring(context_url, 10)))),
			toString((time, received_at, type, kind, category, action, device_class, content_id, content_slug, context_zone, props, zone, gap_ms, recording_period,
			robot, class_unknown, time_clamped, content_hash, topic, epoch, partition, offset))) FROM events WHERE network_id = 'n'`: "('" + strings.Repeat(hexOdd+"','", 7) + hexOdd + "')" +
			"('2023-11-14 22:13:20.001','2023-11-14 22:13:20.002','t','logged_out','cat','act','mobile','cid','slug','Asia/Tokyo','{\"k\":\"ü\"}','Europe/Prague',60001,65535," +
			"true,true,true,18446744073709551615,'daybook.events',3,7,999)",
		`SELECT toString((user_id, event_id, source, time, received_at, type, kind, category, action, label, device_id, device_class, content_id, context_zone, context_ua, context_url, props, zone, gap_ms,
			recording_period, robot, class_unknown, time_clamped, content_hash > 0)) FROM events WHERE network_id = 'm'`: "('u','1','','1990-01-01 00:00:00.000','1970-01-01 00:00:00.000','','signal','','','','','web','','','','','','',0,0,false,false,false,1)",
		`SELECT toString((reason, field, hex(detail), hex(key), hex(raw), raw_bytes, recorded_at, hex(file), line, topic, epoch, partition, offset)) FROM rejects ORDER BY offset`: "('not_json','f','" + hexOdd + "','" + hexRaw + "','" + hexRaw +
			"',70000,'2299-12-31 23:59:59.999','" + hexOdd + "',12,'daybook.events',3,7,5) | ('empty','','','','',0,'1900-01-01 00:00:00.000','',0,'daybook.events',3,7,6)",
		`SELECT toString((topic, epoch, partition, block, size, next_offset, accepted, duplicate, conflicts, not_recorded, rejected, skipped)) FROM ledger`: "('daybook.events',3,7,0,100000,1000,2,3,1,{'recording_disabled':4},{'empty':1,'not_json':1},{'aborted':8,'compacted':7,'control':9})",
		`SELECT toString((class, reason, records)) FROM ledger_reasons ORDER BY class, reason`:                                                              "('accepted','',2) | ('duplicate','',3) | ('not_recorded','recording_disabled',4) | ('rejected','empty',1) | ('rejected','not_json',1) | ('skipped','aborted',8) | ('skipped','compacted',7) | ('skipped','control',9)",
		`SELECT toString((network_id, hex(user_id), hex(name), zone, partition)) FROM users`:                                                                "('n','" + hexOdd + "','" + hexOdd + "','Z',7)",
		`SELECT toString((network_id, hex(user_id), hex(name), zone, partition, offset)) FROM user_facts`:                                                   "('n','" + hexOdd + "','" + hexOdd + "','Z',7,8)",
		`SELECT toString((network_id, topic, epoch, partition, watermark, next_offset)) FROM progress`:                                                      "('n','daybook.events',3,7,'2023-11-14 22:13:20.001',1000)",
		`SELECT toString((network_id, hex(user_id), hex(device_id), device_class, session_id, date, started_at, ended_at, duration_s, started_ms, ended_ms, end_reason, events, zone, gap_ms, robot, class_unknown,
			status, topic, epoch, partition)) FROM sessions`: "('n','" + hexOdd + "','" + hexOdd + "','mobile','" + uuid +
			"','2023-11-15','2023-11-14 22:13:20','2023-11-14 22:13:30',10,1700000000999,1700000010001,'cap',2,'Pacific/Apia',60001,true,false,'open','daybook.events',3,7)",
		`SELECT toString((network_id, hex(user_id), hex(device_id), device_class, session_id, date, started_at, ended_at, duration_s, runs, zone, session_started_ms, continues_from, continues_to, robot, class_unknown,
			topic, epoch, partition)) FROM session_days`: "('n','" + hexOdd + "','" + hexOdd + "','mobile','" + uuid +
			"','2023-11-14','2023-11-14 22:13:20','2023-11-14 22:13:30',10,[('2023-11-14 22:13:20','2023-11-14 22:13:30')],'Pacific/Apia',1700000000999,false,true,false,true,'daybook.events',3,7)",
	} {
		if got := values(t, sql, run); got != want {
			t.Errorf("%s\n got %s\nwant %s", sql, got, want)
		}
	}
}

// More values than a byte, and than two bytes, can count.
func TestWrite_LowCardinalityOfEveryKeyWidth(t *testing.T) {
	s := open(t)
	f := flush(200_000)
	for i := range 70_000 {
		e := event("n", "u", strconv.Itoa(i), int64(i), 1_700_000_000_000+int64(i))
		e.Event.Source = fmt.Appendf(nil, "s%d", i)
		e.Event.Category = fmt.Appendf(nil, "c%d", i%300)
		e.Event.Action = fmt.Appendf(nil, "a%d", i%255)
		f.Events = append(f.Events, e)
	}
	write(t, s, f)
	got := text(t, s, `SELECT toString((count(), countIf(source = concat('s', toString(offset))), countIf(category = concat('c', toString(offset % 300))),
		countIf(action = concat('a', toString(offset % 255))))) FROM events`)
	if got[0] != "(70000,70000,70000,70000)" {
		t.Error(got[0])
	}
}
