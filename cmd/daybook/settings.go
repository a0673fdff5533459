package main

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"daybook/clickhouse/readapi"
	"daybook/pipeline/source"
	"daybook/schemas"
)

// catalogue is what changing a setting needs of Kafka.
type catalogue interface {
	Settings(ctx context.Context) ([]source.Setting, error)
	PutSetting(ctx context.Context, network string, value []byte) (position int64, err error)
	AppendControl(ctx context.Context, partition int32, value, signature []byte) (offset int64, err error)
	Partitions(ctx context.Context, topic string) (int, error)
	EventsTopic() string
}

// networkSettings is the one place that changes a network, for `network set`,
// replay, generate and the read API's PUT: first the catalogue, whose offset
// orders changes, then a signed control record on every partition
// (ARCHITECTURE.md section 4.10). A change is acknowledged when every
// partition holds it; what a crash leaves out is topped up by the partition's
// next owner.
//
// It is safe for concurrent use. Two processes that change one network at the
// same instant do not corrupt it: the later position wins as a whole.
type networkSettings struct {
	kafka catalogue
	key   []byte // signs control records
	now   func() time.Time

	mu sync.Mutex // one change at a time: each is made from the newest one
}

// storedControl reads a catalogue entry; its position is its offset.
func storedControl(s source.Setting) (schemas.Control, error) {
	control, err := schemas.DecodeControl(s.Value)
	if err != nil {
		return control, fmt.Errorf("read setting of network %s: %w", s.Network, err)
	}
	control.Position = s.Position
	return control, nil
}

// List gives what is in force, by network.
func (n *networkSettings) List(ctx context.Context) ([]schemas.Control, error) {
	settings, err := n.kafka.Settings(ctx)
	if err != nil {
		return nil, fmt.Errorf("read settings: %w", err)
	}
	controls := make([]schemas.Control, 0, len(settings))
	for _, s := range settings {
		control, err := storedControl(s)
		if err != nil {
			return nil, err
		}
		controls = append(controls, control)
	}
	return controls, nil
}

// PutNetwork implements readapi.SettingsWriter.
func (n *networkSettings) PutNetwork(ctx context.Context, network string, change readapi.NetworkChange) (readapi.NetworkSettings, error) {
	if !schemas.ValidNetwork(network) {
		return readapi.NetworkSettings{}, fmt.Errorf("set network %q: a network is [a-z0-9][a-z0-9._-]{0,63}", network)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	all, err := n.List(ctx)
	if err != nil {
		return readapi.NetworkSettings{}, err
	}
	control := schemas.Control{Network: network, Zone: "UTC", GapMs: schemas.DefaultGapMs}
	index := slices.IndexFunc(all, func(c schemas.Control) bool { return c.Network == network })
	if index >= 0 {
		control = all[index]
	}
	if err := applyChange(&control, change, index < 0, n.now()); err != nil {
		return readapi.NetworkSettings{}, err
	}
	if err := n.store(ctx, &control); err != nil {
		return readapi.NetworkSettings{}, err
	}
	return inForce(control, index < 0), nil
}

// Ensure makes a network that does not exist with its defaults. One that
// exists is sent to every partition again, unchanged: that costs a record each
// and repairs what a killed process may have left out.
func (n *networkSettings) Ensure(ctx context.Context, network string) (created bool, err error) {
	all, err := n.List(ctx)
	if err != nil {
		return false, err
	}
	for i := range all {
		if all[i].Network == network {
			return false, n.announce(ctx, &all[i])
		}
	}
	settings, err := n.PutNetwork(ctx, network, readapi.NetworkChange{})
	return settings.Created, err
}

// applyChange edits what is in force.
func applyChange(c *schemas.Control, change readapi.NetworkChange, isNew bool, now time.Time) error {
	if change.Title != nil {
		c.Title = *change.Title
	}
	if change.Zone != nil {
		c.Zone = *change.Zone
	}
	if change.Gap != nil {
		gapMs, err := parseGap(*change.Gap)
		if err != nil {
			return err
		}
		c.GapMs = gapMs
	}
	if change.Retention != nil {
		c.RetentionDays = int32(*change.Retention)
	}
	if change.Recording != nil {
		setRecording(c, *change.Recording, isNew, now.UnixMilli())
	}
	return nil
}

// recording tells whether events are recorded now: no dark span is open.
func recording(c *schemas.Control) bool {
	n := len(c.Dark)
	return n == 0 || c.Dark[n-1].ToMs != math.MaxInt64
}

// setRecording opens or closes a dark span at now. A network that is made
// dark has been so for ever: nothing from before the opt-in is recorded.
func setRecording(c *schemas.Control, on, isNew bool, nowMs int64) {
	if on == recording(c) {
		return
	}
	dark := slices.Clone(c.Dark)
	switch {
	case on:
		dark[len(dark)-1].ToMs = nowMs
		if last := dark[len(dark)-1]; last.FromMs >= last.ToMs {
			dark = dark[:len(dark)-1] // switched off and on within a millisecond
		}
	case isNew:
		dark = append(dark, schemas.Dark{FromMs: math.MinInt64, ToMs: math.MaxInt64})
	default:
		if n := len(dark); n > 0 && dark[n-1].ToMs >= nowMs {
			nowMs, dark = dark[n-1].FromMs, dark[:n-1] // spans stay apart
		}
		dark = append(dark, schemas.Dark{FromMs: nowMs, ToMs: math.MaxInt64})
	}
	c.Dark = dark
}

// store writes the catalogue, then every partition.
func (n *networkSettings) store(ctx context.Context, c *schemas.Control) error {
	c.Position = 0 // the catalogue's own offset is the position
	value, err := schemas.EncodeControl(*c)
	if err != nil {
		return err
	}
	if c.Position, err = n.kafka.PutSetting(ctx, c.Network, value); err != nil {
		return fmt.Errorf("write setting of network %s: %w", c.Network, err)
	}
	return n.announce(ctx, c)
}

// announce appends the control record to every partition and returns when all
// hold it.
func (n *networkSettings) announce(ctx context.Context, c *schemas.Control) error {
	value, err := schemas.EncodeControl(*c)
	if err != nil {
		return err
	}
	signature := schemas.SignControl(n.key, value)
	partitions, err := n.kafka.Partitions(ctx, n.kafka.EventsTopic())
	if err != nil {
		return fmt.Errorf("write setting of network %s: %w", c.Network, err)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8) // as many as a produce writes at once
	for p := range partitions {
		group.Go(func() error {
			_, err := n.kafka.AppendControl(ctx, int32(p), value, signature)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("write setting of network %s to its partitions: %w; set it again", c.Network, err)
	}
	return nil
}

func inForce(c schemas.Control, created bool) readapi.NetworkSettings {
	zone := c.Zone
	if zone == "" {
		zone = "UTC"
	}
	return readapi.NetworkSettings{
		Title: c.Title, Zone: zone, Gap: time.Duration(c.GapMs) * time.Millisecond,
		Recording: recording(&c), Retention: int(c.RetentionDays), Position: c.Position, Created: created,
	}
}
