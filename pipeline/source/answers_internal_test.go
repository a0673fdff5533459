package source

import (
	"testing"
)

// FuzzAnswers: whatever a broker answers, reading it neither panics nor takes
// more than its size.
func FuzzAnswers(f *testing.F) {
	metadata := []byte{0, 0, 0, 0, 0, 2, 0, 0, 0, 1, 2, 'h', 0, 0, 0x23, 0x84, 0, 0, 2, 'c', 0, 0, 0, 1, 2, 0, 0, 2, 't'}
	metadata = append(metadata, make([]byte, 16)...)
	metadata = append(metadata, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 2, 0, 0, 0, 1, 2, 0, 0, 0, 1, 1, 0, 0x80, 0, 0, 0, 0, 0)
	if info, err := readMetadata(metadata, "t"); err != nil || info.partitions != 1 {
		f.Fatalf("%+v, %v", info, err)
	}
	f.Add(metadata)
	fetch := appendInt32(nil, 0)
	fetch = append(fetch, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)
	fetch = appendString(fetch, "t")
	fetch = append(fetch, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0)
	fetch = appendInt64(appendInt64(appendInt64(fetch, 4), 4), 0)
	fetch = append(fetch, 0, 0, 0, 1)
	fetch = appendInt64(appendInt64(fetch, 7), 0)
	fetch = appendInt32(fetch, -1)
	batch := testBatch{deltas: upTo(4)}.bytes(f)
	fetch = append(appendInt32(fetch, int32(len(batch))), batch...)
	c, err := New(Config{Brokers: []string{"unused:1"}})
	if err != nil {
		f.Fatal(err)
	}
	read := func(answer []byte) (*Chunk, error) {
		chunk := new(Chunk)
		chunk.reset(0)
		chunk.request.answer = answer
		return chunk, c.readFetch(chunk, "t", 0)
	}
	if chunk, err := read(fetch); err != nil || len(chunk.Records) != 4 {
		f.Fatalf("%+v, %v", chunk, err)
	}
	f.Add(fetch)
	f.Fuzz(func(t *testing.T, answer []byte) {
		_, _ = readMetadata(answer, "t")
		chunk, _ := read(answer)
		covers(t, chunk)
	})
}
