package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"daybook/cmd/daybook/replay"
)

// sampleNetwork is where the shipped log goes, and sampleDone marks that it is
// in, so that later starts leave it alone.
const (
	sampleNetwork = "sample"
	sampleDone    = "sample.done"
)

// replaySample brings the shipped log in, once, if the folder holds nothing
// else: a person's own data never gets a sample beside it. A replay that was
// cut short is repeated at the next start, which changes nothing twice.
func (d *devRun) replaySample(ctx context.Context) error {
	marker := filepath.Join(d.data, sampleDone)
	if _, err := os.Stat(marker); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	networks, err := d.settings.List(ctx)
	if err != nil {
		return err
	}
	for i := range networks {
		if networks[i].Network != sampleNetwork {
			return nil
		}
	}
	start := time.Now()
	if _, err := d.settings.Ensure(ctx, sampleNetwork); err != nil {
		return err
	}
	job := &replayJob{
		app: d.app, open: produceTo(d.client), order: "time",
		opts: &replay.Options{Format: replay.FormatAuto, Network: sampleNetwork},
	}
	found := &servers{Kafka: d.kafka, ClickHouse: d.dsn, Metrics: d.state.Address()}
	quiet := *d.app
	quiet.std.out = d.std.err // the account is a message here, dev has no results
	err = quiet.accounted(ctx, found, d.client, time.Minute, func() (int64, error) {
		err := job.run(ctx, []string{d.cmd.Sample})
		return job.read, err
	})
	var exit *exitError
	if err != nil && (!errors.As(err, &exit) || exit.code != exitRejected) {
		return fmt.Errorf("replay sample: %w", err)
	}
	d.log.LogAttrs(ctx, slog.LevelInfo, "sample log is in",
		slog.String("network", sampleNetwork), slog.Int64("lines", job.read), slog.String("took", time.Since(start).Round(time.Millisecond).String()))
	return writeOwn(marker, []byte(url.PathEscape(d.cmd.Sample)+"\n"))
}
