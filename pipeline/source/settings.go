package source

import (
	"context"
	"errors"
	"slices"
	"strings"

	"daybook/schemas"
)

// Setting is the newest value of a network in the catalogue.
type Setting struct {
	Network  string
	Value    []byte
	Position int64 // offset in the catalogue; newer wins
}

// PutSetting writes a network's setting to the catalogue and gives its
// position. A nil value removes the network from it.
func (c *Client) PutSetting(ctx context.Context, network string, value []byte) (position int64, err error) {
	return c.produceOne(ctx, c.cfg.SettingsTopic, 0, &Outgoing{Key: []byte(network), Value: value})
}

// Settings reads the whole catalogue: the newest value of each network, by
// network. Marks are no settings.
func (c *Client) Settings(ctx context.Context) ([]Setting, error) {
	return c.catalogue(ctx, func(key string) bool { return !strings.HasPrefix(key, MarkPrefix) })
}

// catalogue reads the newest value of each key that is asked for, by key.
func (c *Client) catalogue(ctx context.Context, wanted func(key string) bool) ([]Setting, error) {
	newest := make(map[string]Setting)
	err := c.scan(ctx, place{topic: c.cfg.SettingsTopic, from: -1}, func(r *Record) (more bool, err error) {
		key := string(r.Key)
		switch {
		case !wanted(key):
		case r.Value == nil:
			delete(newest, key)
		default:
			newest[key] = Setting{Network: key, Value: slices.Clone(r.Value), Position: r.Offset}
		}
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	settings := make([]Setting, 0, len(newest))
	for _, s := range newest {
		settings = append(settings, s)
	}
	slices.SortFunc(settings, func(a, b Setting) int { return strings.Compare(a.Network, b.Network) })
	return settings, nil
}

// MarkPrefix begins the keys of the catalogue that name no network: a network's
// id never begins so.
const MarkPrefix = "!"

// Mark is a durable note of the workers among themselves, kept in the catalogue.
type Mark struct {
	Key   string // without MarkPrefix
	Value []byte
}

// PutMark writes a mark and returns when it is durable. A nil value removes it.
func (c *Client) PutMark(ctx context.Context, key string, value []byte) error {
	_, err := c.produceOne(ctx, c.cfg.SettingsTopic, 0, &Outgoing{Key: []byte(MarkPrefix + key), Value: value})
	return err
}

// Marks reads the newest value of every mark whose key has a prefix, by key.
func (c *Client) Marks(ctx context.Context, prefix string) ([]Mark, error) {
	found, err := c.catalogue(ctx, func(key string) bool { return strings.HasPrefix(key, MarkPrefix+prefix) })
	if err != nil {
		return nil, err
	}
	marks := make([]Mark, len(found))
	for i, s := range found {
		marks[i] = Mark{Key: s.Network[len(MarkPrefix):], Value: s.Value}
	}
	return marks, nil
}

// AppendControl writes a control record to one partition of the events topic
// and gives its offset. Whoever reads believes it by its signature alone, so it
// has no key.
func (c *Client) AppendControl(ctx context.Context, partition int32, value, signature []byte) (offset int64, err error) {
	return c.produceOne(ctx, c.cfg.EventsTopic, partition, &Outgoing{
		Key: []byte{}, Value: value, Headers: []Header{{Key: []byte(schemas.HeaderControl), Value: signature}},
	})
}

// place is where a scan begins.
type place struct {
	topic     string
	partition int32
	from      int64 // -1: the start of the log
	lenient   bool  // pass over batches that are damaged
}

// scan reads a partition from a place to the end that it had when scan began.
// yield must not keep the record; it stops the scan by returning false.
func (c *Client) scan(ctx context.Context, at place, yield func(*Record) (more bool, err error)) error {
	start, end, err := c.listOffsets(ctx, at.topic, at.partition)
	if err != nil {
		return err
	}
	for next := max(at.from, start); next < end; {
		chunk, err := c.fetch(ctx, at.topic, at.partition, next, c.cfg.MaxWait)
		if bad := (*BatchError)(nil); at.lenient && errors.As(err, &bad) && bad.To > next {
			next = bad.To
			continue
		}
		if gone := (*OffsetOutOfRangeError)(nil); errors.As(err, &gone) && gone.Start > next {
			next = gone.Start // cut off since scan began: what was there has newer records, or was dropped
			continue
		}
		if err != nil {
			return err
		}
		next = chunk.Next
		for i := range chunk.Records {
			if more, err := yield(&chunk.Records[i]); err != nil || !more {
				chunk.Release()
				return err
			}
		}
		chunk.Release()
	}
	return nil
}
