package source_test

import (
	"bytes"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"daybook/pipeline/broker/brokertest"
	"daybook/pipeline/source"
)

// TestClient_DamagedCheckpointIsRefusedAndTheOneBeforeFound is TRUST.md
// section 2: a bit of the newest snapshot flips on the disk.
func TestClient_DamagedCheckpointIsRefusedAndTheOneBeforeFound(t *testing.T) {
	dir := t.TempDir()
	var topic string
	c := open(t, brokertest.StartIn(t, dir).Addrs(), func(cfg *source.Config) { topic = cfg.CheckpointsTopic })
	if err := c.EnsureTopics(t.Context(), source.TopicsConfig{Partitions: 1}); err != nil {
		t.Fatal(err)
	}
	write := func(next int64, snapshot string) source.Pointer {
		t.Helper()
		p, err := c.WriteCheckpoint(t.Context(), 0, next, []byte(snapshot))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	first, second, third := write(1, "the first snapshot"), write(2, "the second snapshot"), write(3, "the third snapshot")

	name := filepath.Join(dir, "partitions", url.PathEscape(topic)+"-0", "0.dat")
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(raw, []byte("the second snapshot"))
	file, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteAt([]byte{raw[at] ^ 1}, int64(at)); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}

	if _, err := c.ReadCheckpoint(t.Context(), 0, second); !errors.Is(err, source.ErrCheckpointDamaged) {
		t.Fatalf("damaged: %v", err)
	}
	listed, err := c.Checkpoints(t.Context(), 0)
	if err != nil || len(listed) != 2 || listed[0] != third || listed[1] != first {
		t.Fatalf("listed %v, %v", listed, err)
	}
	for _, p := range listed {
		if _, err := c.ReadCheckpoint(t.Context(), 0, p); err != nil {
			t.Fatalf("%s: %v", p.ID, err)
		}
	}
}
