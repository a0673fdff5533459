package readapi_test

import (
	"bytes"
	"context"
	"io"
	"strings"
	"time"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/google/uuid"

	"daybook/clickhouse/query"
)

// Blocks answers an export of sessions with the same rows as the list of them.
func (f *fakeDB) Blocks(ctx context.Context, st query.Statement) (io.ReadCloser, error) {
	rows, err := f.Query(ctx, st)
	if err != nil {
		return nil, err
	}
	return &fakeBlocks{Rows: rows}, nil
}

// fakeBlocks encodes rows as they come, a few in each block.
type fakeBlocks struct {
	query.Rows

	block bytes.Reader
	ended bool
}

func (b *fakeBlocks) Read(p []byte) (int, error) {
	if b.block.Len() > 0 {
		return b.block.Read(p)
	}
	if b.ended {
		if err := b.Err(); err != nil {
			return 0, err
		}
		return 0, io.EOF
	}
	encoded, err := b.next()
	if err != nil {
		return 0, err
	}
	b.block.Reset(encoded)
	return b.Read(p)
}

func (b *fakeBlocks) next() ([]byte, error) {
	var (
		id                  proto.ColUUID
		user, device, words proto.ColStr
		date                proto.ColDate
		start, end          proto.ColDateTime
		duration, events    proto.ColUInt32
		robot               proto.ColBool
		epoch               proto.ColUInt16
		partition           proto.ColInt32
		over                proto.ColInt64
	)
	for user.Rows() < 10 {
		if !b.Next() {
			b.ended = true
			break
		}
		var (
			userID, deviceID, class, session, reason, zone, topic string
			day, part                                             int32
			from, to                                              time.Time
			seconds, after                                        int64
			n                                                     uint32
			isRobot                                               bool
			ep                                                    uint16
		)
		if err := b.Scan(&userID, &deviceID, &class, &session, &day, &from, &to, &seconds, &reason, &n, &zone, &isRobot, &topic, &ep, &part, &after); err != nil {
			return nil, err
		}
		id.Append(uuid.MustParse(session))
		user.Append(userID)
		device.Append(deviceID)
		words.Append(strings.Join([]string{class, reason, zone, topic}, "\x00"))
		date = append(date, proto.Date(day))
		start.Append(from)
		end.Append(to)
		duration, events = append(duration, uint32(seconds)), append(events, n)
		robot, epoch, partition, over = append(robot, isRobot), append(epoch, ep), append(partition, part), append(over, after)
	}
	var out proto.Buffer
	columns := []proto.InputColumn{
		{Name: "session_id", Data: &id},
		{Name: "user_id", Data: &user},
		{Name: "device_id", Data: &device},
		{Name: "words", Data: &words},
		{Name: "date", Data: &date},
		{Name: "started_at", Data: &start},
		{Name: "ended_at", Data: &end},
		{Name: "duration_s", Data: &duration},
		{Name: "events", Data: &events},
		{Name: "robot", Data: &robot},
		{Name: "epoch", Data: &epoch},
		{Name: "partition", Data: &partition},
		{Name: "over", Data: &over},
	}
	err := proto.Block{Columns: len(columns), Rows: user.Rows()}.EncodeRawBlock(&out, 0, columns)
	return out.Buf, err
}
