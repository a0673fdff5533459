package main

import (
	"context"
	"strings"
	"testing"

	"daybook/pipeline/source"
)

// brokenLog is a partition that holds [start, end), committed at an offset.
type brokenLog struct{ committed, start, end int64 }

func (l brokenLog) EventsTopic() string { return "daybook.events" }

func (l brokenLog) ListOffsets(context.Context, int32) (start, end int64, err error) {
	return l.start, l.end, nil
}

func (l brokenLog) Committed(_ context.Context, partitions []int32) (map[int32]source.Committed, error) {
	return map[int32]source.Committed{partitions[0]: {Offset: l.committed}}, nil
}

func TestSkip_TellsWhatIsLost(t *testing.T) {
	for _, tt := range []struct {
		log      brokenLog
		to       int64
		from, at int64
		refused  string
	}{
		{log: brokenLog{120, 500, 900}, to: -1, from: 120, at: 500},
		{log: brokenLog{120, 500, 900}, to: 600, from: 120, at: 600},
		{log: brokenLog{-1, 500, 900}, to: -1, from: 0, at: 500},
		{log: brokenLog{500, 500, 900}, to: -1, refused: "nothing is lost"},
		{log: brokenLog{120, 0, 900}, to: -1, refused: "nothing is lost"},
		{log: brokenLog{120, 500, 900}, to: 499, refused: "--to 499 is not in the log"},
		{log: brokenLog{120, 500, 900}, to: 901, refused: "--to 901 is not in the log"},
	} {
		gap, err := (&skipCmd{Partition: 3, To: tt.to, Reason: "a reason"}).gap(t.Context(), tt.log)
		switch {
		case tt.refused != "":
			if err == nil || !strings.Contains(err.Error(), tt.refused) {
				t.Errorf("%+v to %d: %v, want %q", tt.log, tt.to, err, tt.refused)
			}
		case err != nil || gap.From != tt.from || gap.To != tt.at || gap.Partition != 3 || gap.Reason != "a reason":
			t.Errorf("%+v to %d: %+v, %v, want [%d, %d)", tt.log, tt.to, gap, err, tt.from, tt.at)
		}
	}
}
