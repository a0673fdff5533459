package pipeline

import (
	"context"
	"fmt"
	"slices"

	"github.com/go-json-experiment/json"

	"daybook/pipeline/source"
)

// Aside is what the catalogue says of a record whose handling panicked.
type Aside struct {
	Epoch     uint16 `json:"epoch"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
	Panics    int    `json:"panics"`
	Reason    string `json:"reason"`    // of the last panic, without the record's own text
	SetAside  bool   `json:"set_aside"` // it is not handled any more: a reject
	Logged    bool   `json:"logged"`    // the partition's log says so, too
}

// asidePrefix begins the keys of the marks: epoch, partition and offset follow.
const asidePrefix = "panic/"

func (a *Aside) key() string {
	return fmt.Sprintf("%s%d/%d/%d", asidePrefix, a.Epoch, a.Partition, a.Offset)
}

func (a *Aside) encode() ([]byte, error) {
	value, err := json.Marshal(a)
	if err != nil {
		return nil, fmt.Errorf("encode mark of offset %d: %w", a.Offset, err)
	}
	return value, nil
}

// marks is what reading the catalogue's marks needs; Log has it.
type marks interface {
	Marks(ctx context.Context, prefix string) ([]source.Mark, error)
}

// Asides lists the records whose handling panicked, of every epoch, by place.
func Asides(ctx context.Context, log marks) ([]Aside, error) {
	return readAsides(ctx, log, asidePrefix)
}

func readAsides(ctx context.Context, log marks, prefix string) ([]Aside, error) {
	found, err := log.Marks(ctx, prefix)
	if err != nil {
		return nil, fmt.Errorf("read marks of records that panicked: %w", err)
	}
	all := make([]Aside, len(found))
	for i, m := range found {
		if err := json.Unmarshal(m.Value, &all[i]); err != nil {
			return nil, fmt.Errorf("read mark %s: %w", m.Key, err)
		}
	}
	slices.SortFunc(all, func(a, b Aside) int {
		switch {
		case a.Epoch != b.Epoch:
			return int(a.Epoch) - int(b.Epoch)
		case a.Partition != b.Partition:
			return int(a.Partition - b.Partition)
		}
		return cmp(a.Offset, b.Offset)
	})
	return all, nil
}
