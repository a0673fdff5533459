package source

// Record is one record of the events topic. Its bytes alias the chunk: they
// are valid until the chunk is released.
type Record struct {
	Offset      int64
	TimestampMs int64 // the producer's, or the broker's where the topic says LogAppendTime
	Key         []byte
	Value       []byte // nil is a tombstone, unlike an empty value
	Headers     []Header
}

// Header is one header of a record.
type Header struct {
	Key   []byte
	Value []byte
}

// Skip is a range of offsets without records for us. The range is half-open.
type Skip struct {
	From int64
	To   int64
	Why  string // SkipControl, SkipAborted or SkipCompacted
}

// Why offsets hold no record.
const (
	SkipControl   = "control"   // a transaction's marker
	SkipAborted   = "aborted"   // records of a transaction that was aborted
	SkipCompacted = "compacted" // removed by compaction, or never written
)

// Chunk is what one fetch gave: its records and skips cover the offsets
// [From, Next) exactly, each once, both in order.
type Chunk struct {
	Records []Record
	Skips   []Skip
	From    int64 // the offset that was asked for
	Next    int64 // where the next fetch begins; From if there is nothing yet

	HighWatermark int64
	LastStable    int64 // end of what may be read: behind it are open transactions
	LogStart      int64
	FetchedBytes  int // compressed, with framing

	request exchange
	headers []Header
	packed  int     // bytes of the batches that were read, as they came
	arena   []byte  // decompressed records
	open    []int64 // producers within an aborted transaction
	release func(*Chunk)
}

// Release gives the chunk's memory back. Its records must not be used any
// more. Releasing is optional: else the garbage collector does it.
func (c *Chunk) Release() {
	if release := c.release; release != nil {
		c.release = nil
		release(c)
	}
}

// reset empties the chunk for reading from an offset.
func (c *Chunk) reset(from int64) {
	clear(c.Records)
	c.Records, c.Skips = c.Records[:0], c.Skips[:0]
	c.headers, c.arena, c.open = c.headers[:0], c.arena[:0], c.open[:0]
	c.packed = 0
	c.From, c.Next = from, from
	c.HighWatermark, c.LastStable, c.LogStart, c.FetchedBytes = -1, -1, -1, 0
}

// skip notes that [c.Next, to) holds nothing, joining equal neighbours.
func (c *Chunk) skip(to int64, why string) {
	if to <= c.Next {
		return
	}
	if n := len(c.Skips); n > 0 && c.Skips[n-1].To == c.Next && c.Skips[n-1].Why == why {
		c.Skips[n-1].To = to
	} else {
		c.Skips = append(c.Skips, Skip{From: c.Next, To: to, Why: why})
	}
	c.Next = to
}
