package pipeline

import (
	"errors"
	"log/slog"
	"math"

	"github.com/prometheus/client_golang/prometheus"
)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

func registry() *prometheus.Registry { return prometheus.NewRegistry() }

func asHalt(err error, halt **HaltError) bool { return errors.As(err, halt) }

// slabOf makes a slab of decoded records.
func slabOf(from, next int64, records ...record) *slab {
	return &slab{from: from, pos: from, next: next, records: records}
}

// apply reads back for all records of a slab and applies them, up to one that
// cannot be decided without another read.
func (s *state) apply(sl *slab, read readBack) error {
	if err := s.reenterLate([]*slab{sl}, sl.next, read); err != nil {
		return err
	}
	_, err := s.advance(sl, math.MaxInt)
	return err
}
