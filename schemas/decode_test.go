package schemas

import (
	"testing"
)

// typical is an event of 340 bytes, the size that ARCHITECTURE.md section 6
// measures with.
const typical = `{"id":"01J9ZK3V6Q8M4T2X7B5N0C1D2E","source":"web","network":"speakap","user":"u-1048576","time":"2026-05-12T14:20:00.123Z","type":"io.daybook.content.viewed","device":{"id":"d-77","class":"web"},"content":{"id":"c-4711","name":"Opening keynote","slug":"opening-keynote"},"context":{"zone":"Europe/Amsterdam","url":"/c"},"props":{"ref":"feed"}}`

func TestDecoder_ReadsATypicalEvent(t *testing.T) {
	var d Decoder
	var ev Event
	if r := d.Decode([]byte(typical), &ev); r != (Reject{}) {
		t.Fatalf("rejected: %+v", r)
	}
	t.Logf("%d bytes %q %s", len(typical), ev.Props, AppendEvent(nil, &ev))
}

func BenchmarkDecoder_Decode(b *testing.B) {
	var d Decoder
	var ev Event
	raw := []byte(typical)
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if r := d.Decode(raw, &ev); r.Reason != Accepted {
			b.Fatal(r)
		}
		d.Reset()
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
