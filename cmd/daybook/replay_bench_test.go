package main

import (
	"io"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"daybook/cmd/daybook/replay"
	"daybook/pipeline/broker/brokertest"
	"daybook/pipeline/source"
)

// BenchmarkReplay brings a generated file through replay into the embedded
// broker, in this process, and reads it back as a worker would. CPU is that of
// the process: everything but the worker and the engine.
func BenchmarkReplay(b *testing.B) {
	const lines = 300_000
	file := filepath.Join(b.TempDir(), "events.ndjson")
	a, err := newApp(&cli{Data: b.TempDir()}, stdio{out: io.Discard, err: io.Discard}, nil)
	if err != nil {
		b.Fatal(err)
	}
	gen := &generateCmd{Seed: 11, Events: lines, Networks: 4, Users: 20_000, Days: 7, Name: "load", Out: file}
	if err := gen.Run(b.Context(), a); err != nil {
		b.Fatal(err)
	}
	client, err := source.New(source.Config{Brokers: brokertest.Start(b)})
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	if err := client.EnsureTopics(b.Context(), source.TopicsConfig{Partitions: 4, ReplicationFactor: 1}); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	begin, read := selfCPU(b), time.Duration(0)
	next := make([]int64, 4)
	for b.Loop() {
		job := &replayJob{app: a, open: produceTo(client), opts: &replay.Options{Format: replay.FormatAuto, Network: "shop"}, order: "time"}
		if err := job.run(b.Context(), []string{file}); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		before := selfCPU(b)
		total := 0
		for p := range next {
			for {
				chunk, err := client.Fetch(b.Context(), int32(p), next[p])
				if err != nil {
					b.Fatal(err)
				}
				total += len(chunk.Records)
				empty := chunk.Next == next[p]
				next[p] = chunk.Next
				chunk.Release()
				if empty {
					break
				}
			}
		}
		if total != lines {
			b.Fatal(strconv.Itoa(total) + " records in the log")
		}
		read += selfCPU(b) - before
		b.StartTimer()
	}
	n := float64(b.N) * lines
	b.ReportMetric(n/b.Elapsed().Seconds(), "lines/s")
	b.ReportMetric((selfCPU(b)-begin-read).Seconds()*1e9/n, "cpu-ns/line")
	b.ReportMetric(read.Seconds()*1e9/n, "fetch-cpu-ns/record")
}

// selfCPU is the CPU time of this process.
func selfCPU(tb testing.TB) time.Duration {
	tb.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
