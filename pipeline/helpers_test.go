package pipeline

import (
	"errors"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

func registry() *prometheus.Registry { return prometheus.NewRegistry() }

func asHalt(err error, halt **HaltError) bool { return errors.As(err, halt) }
