package query

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
)

// SessionCells is a session as an export takes it: ids where they lie in the
// answer, instants as numbers. It is valid until the next one.
type SessionCells struct {
	*SessionWords

	SessionID [16]byte // UUID, in the order of its text
	UserID    []byte
	DeviceID  []byte
	Date      Date  // local date of the start in Zone
	StartedAt int64 // seconds since 1970
	EndedAt   int64 // seconds since 1970
	DurationS int64
	Events    uint32
	Status    string // "open", "closed", "final"
	Robot     bool
}

// SessionWords are the cells of a session of which there are few: sessions that say
// the same share them.
type SessionWords struct {
	DeviceClass string // "mobile" or "web"
	EndReason   string
	Zone        string // IANA name

	marks map[uint64]mark // of the session's topic
}

// mostWords bounds the SessionWords that are remembered: zones times reasons.
const mostWords = 1 << 14

// Export streams the sessions that Run streams, for answers of millions of rows: it
// decodes whole blocks and makes no string of a cell.
func (q Sessions) Export(ctx context.Context, db Exporter) iter.Seq2[*SessionCells, error] {
	return func(yield func(*SessionCells, error) bool) {
		if err := q.export(ctx, db, func(s *SessionCells) bool { return yield(s, nil) }); err != nil {
			yield(nil, err)
		}
	}
}

// ExportSQL gives the statement of Export. Cells of few values come as one text:
// the sort moves every column of every row, and four LowCardinality of them cost it
// as much as all the others together. So they are put together before it, and blocks
// are small, so that the first rows leave while the rest is still being merged.
func (q Sessions) ExportSQL() (Statement, error) {
	st, err := q.statement("session_id, user_id, device_id, CAST(concat(device_class, '\\0', end_reason, '\\0', zone, '\\0', topic), 'String') AS words,\n" +
		"  date, started_at, ended_at, duration_s, events, robot, epoch, partition, ended_ms + gap_ms AS over")
	st.Text += "\nSETTINGS query_plan_execute_functions_after_sorting = 0, max_block_size = 16384"
	return st, err
}

// Columns of ExportSQL, in its order.
const (
	exportID = iota
	exportUser
	exportDevice
	exportWords
	exportDate
	exportStart
	exportEnd
	exportDuration
	exportEvents
	exportRobot
	exportEpoch
	exportPartition
	exportOver
)

func exportColumns() []blockColumn {
	return []blockColumn{
		exportID:        {name: "session_id", kind: "UUID", size: 16},
		exportUser:      {name: "user_id", kind: "String"},
		exportDevice:    {name: "device_id", kind: "String"},
		exportWords:     {name: "words", kind: "String"},
		exportDate:      {name: "date", kind: "Date", size: 2},
		exportStart:     {name: "started_at", kind: "DateTime", size: 4},
		exportEnd:       {name: "ended_at", kind: "DateTime", size: 4},
		exportDuration:  {name: "duration_s", kind: "UInt32", size: 4},
		exportEvents:    {name: "events", kind: "UInt32", size: 4},
		exportRobot:     {name: "robot", kind: "Bool", size: 1},
		exportEpoch:     {name: "epoch", kind: "UInt16", size: 2},
		exportPartition: {name: "partition", kind: "Int32", size: 4},
		exportOver:      {name: "over", kind: "Int64", size: 8},
	}
}

func (q Sessions) export(ctx context.Context, db Exporter, each func(*SessionCells) bool) (err error) {
	st, err := q.ExportSQL()
	if err != nil {
		return err
	}
	m, err := readMarks(ctx, db, q.Network)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answer, err := db.Blocks(ctx, st)
	if err != nil {
		return err
	}
	whole := false
	defer func() {
		if !whole {
			cancel() // ends the query; Close would wait for more of the answer
		}
		if closed := answer.Close(); err == nil && whole {
			err = closed
		}
	}()
	blocks := blockReader{r: answer, columns: exportColumns()}
	words := sessionWords{marks: m.byTopic(), known: map[string]*SessionWords{}}
	for {
		rows, err := blocks.next()
		if errors.Is(err, io.EOF) {
			whole = true
			return nil
		}
		if err != nil {
			return err
		}
		more, err := sessionCells(blocks.columns, rows, &words, each)
		if !more || err != nil {
			return err
		}
	}
}

// sessionCells gives the rows of a block; false if no more are wanted.
func sessionCells(c []blockColumn, rows int, words *sessionWords, each func(*SessionCells) bool) (more bool, err error) {
	var s SessionCells
	for i := range rows {
		s.SessionID, s.UserID, s.DeviceID = c[exportID].uuid(i), c[exportUser].take(), c[exportDevice].take()
		if s.SessionWords, err = words.of(c[exportWords].take()); err != nil {
			return false, err
		}
		s.Date = Date(c[exportDate].uint16(i))
		s.StartedAt, s.EndedAt = int64(c[exportStart].uint32(i)), int64(c[exportEnd].uint32(i))
		s.DurationS, s.Events = int64(c[exportDuration].uint32(i)), c[exportEvents].uint32(i)
		s.Robot = c[exportRobot].data[i] != 0
		at := place{epoch: c[exportEpoch].uint16(i), partition: int32(c[exportPartition].uint32(i))}
		s.Status = s.marks[at.number()].status(int64(c[exportOver].uint64(i)))
		if !each(&s) {
			return false, nil
		}
	}
	return true, nil
}

// sessionWords remembers what the texts of the column words say.
type sessionWords struct {
	marks map[string]map[uint64]mark // by topic
	known map[string]*SessionWords
}

// of splits a text, unless it was there before.
func (w *sessionWords) of(text []byte) (*SessionWords, error) {
	if known, ok := w.known[string(text)]; ok {
		return known, nil
	}
	cells := bytes.Split(text, []byte{0})
	if len(cells) != 4 {
		return nil, fmt.Errorf("%w: words %.100q: %d of them, want 4", errNotNative, text, len(cells))
	}
	if len(w.known) == mostWords {
		clear(w.known)
	}
	s := &SessionWords{DeviceClass: string(cells[0]), EndReason: string(cells[1]), Zone: string(cells[2]), marks: w.marks[string(cells[3])]}
	w.known[string(text)] = s
	return s, nil
}
