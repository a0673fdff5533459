package source_test

import (
	"crypto/sha256"
	"fmt"
	"testing"

	"daybook/pipeline/broker/brokertest"
	"daybook/pipeline/source"
)

// However well batches compress, chunks have about half of ChunkBytes from the
// second one on, and as few are made as that allows.
func TestClient_ChunksAreAlikeWhateverTheCompression(t *testing.T) {
	const chunkBytes, batchBytes = 2 << 20, 64 << 10
	for name, compression := range map[string]source.Compression{"none": source.CompressionNone, "lz4": source.CompressionLZ4, "zstd": source.CompressionZstd} {
		t.Run(name, func(t *testing.T) {
			c := open(t, brokertest.Start(t), func(cfg *source.Config) { cfg.ChunkBytes = chunkBytes })
			if err := c.EnsureTopics(t.Context(), source.TopicsConfig{Partitions: 1}); err != nil {
				t.Fatal(err)
			}
			p, err := c.NewProducer(t.Context(), source.ProducerConfig{Compression: compression, BatchBytes: batchBytes})
			if err != nil {
				t.Fatal(err)
			}
			const count = 20_000
			sent := 0
			for i := range count {
				value := fmt.Appendf(nil, "%0256x%064x", i, sha256.Sum256([]byte{byte(i), byte(i >> 8)}))
				sent += len(value)
				if err := p.Send(t.Context(), &source.Outgoing{Key: []byte("k"), Value: value, Partition: 0}); err != nil {
					t.Fatal(err)
				}
			}
			if err := p.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			chunks := 0
			for next := int64(0); next < count; chunks++ {
				chunk, err := c.Fetch(t.Context(), 0, next)
				if err != nil {
					t.Fatal(err)
				}
				bytes := 0
				for _, r := range chunk.Records {
					bytes += len(r.Value)
				}
				next = chunk.Next
				chunk.Release()
				if bytes > chunkBytes+batchBytes || chunks > 0 && bytes > chunkBytes/2+2*batchBytes {
					t.Errorf("chunk %d has %d bytes, want half of %d", chunks, bytes, chunkBytes)
				}
			}
			if want := sent/(chunkBytes/2-4*batchBytes) + 2; chunks > want {
				t.Errorf("%d chunks for %d bytes, want at most %d", chunks, sent, want)
			}
		})
	}
}
