package source

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// Codecs of record batches.
const (
	codecGzip   = 1
	codecSnappy = 2
	codecLZ4    = 3
	codecZstd   = 4
)

var errTooLarge = errors.New("batch is larger than the limit when decompressed")

// codecs decompress batches. Each reader is made on first use and reused; one
// goroutine uses it at a time.
type codecs struct {
	in   bytes.Reader
	gzip *gzip.Reader
	lz4  *lz4.Reader
	zstd *zstd.Decoder
}

// decompress appends the plain bytes of src to dst, at most limit of them.
func (d *codecs) decompress(codec uint16, dst, src []byte, limit int) ([]byte, error) {
	d.in.Reset(src)
	switch codec {
	case codecGzip:
		if d.gzip == nil {
			d.gzip = new(gzip.Reader)
		}
		if err := d.gzip.Reset(&d.in); err != nil {
			return dst, fmt.Errorf("decompress gzip: %w", err)
		}
		return appendAll(dst, d.gzip, limit)
	case codecSnappy:
		return appendSnappy(dst, src, limit)
	case codecLZ4:
		if d.lz4 == nil {
			d.lz4 = lz4.NewReader(&d.in)
		}
		d.lz4.Reset(&d.in)
		return appendAll(dst, d.lz4, limit)
	case codecZstd:
		return d.appendZstd(dst, src, limit)
	}
	return dst, fmt.Errorf("decompress batch: codec %d is not known", codec)
}

func (d *codecs) appendZstd(dst, src []byte, limit int) ([]byte, error) {
	if d.zstd == nil {
		decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(uint64(limit)))
		if err != nil {
			return dst, fmt.Errorf("open zstd: %w", err)
		}
		d.zstd = decoder
	}
	// DecodeAll would make room for just this batch, and copy all of dst for
	// the next one.
	const overrun = 64 // what it wants free behind the content
	if header := (zstd.Header{}); header.Decode(src) == nil && header.HasFCS && header.FrameContentSize <= uint64(limit) {
		dst = room(dst, int(header.FrameContentSize)+overrun)
	}
	start := len(dst)
	out, err := d.zstd.DecodeAll(src, dst)
	switch {
	case errors.Is(err, zstd.ErrDecoderSizeExceeded), errors.Is(err, zstd.ErrWindowSizeExceeded), err == nil && len(out)-start > limit:
		return dst, errTooLarge
	case err != nil:
		return dst, fmt.Errorf("decompress zstd: %w", err)
	}
	return out, nil
}

// appendAll reads r to its end.
func appendAll(dst []byte, r io.Reader, limit int) ([]byte, error) {
	start := len(dst)
	for {
		if len(dst) == cap(dst) {
			dst = append(dst, 0)[:len(dst)]
		}
		n, err := r.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		switch {
		case len(dst)-start > limit:
			return dst[:start], errTooLarge
		case errors.Is(err, io.EOF):
			return dst, nil
		case err != nil:
			return dst[:start], fmt.Errorf("decompress batch: %w", err)
		}
	}
}

// xerialMagic begins the framing of snappy that Java's client writes: magic,
// two versions of int32, then blocks with their length.
const (
	xerialMagic       = "\x82SNAPPY\x00"
	xerialHeaderBytes = len(xerialMagic) + 8
)

func appendSnappy(dst, src []byte, limit int) ([]byte, error) {
	if !bytes.HasPrefix(src, []byte(xerialMagic)) {
		return appendSnappyBlock(dst, src, limit)
	}
	if len(src) < xerialHeaderBytes {
		return dst, fmt.Errorf("decompress snappy: %w", io.ErrUnexpectedEOF)
	}
	start := len(dst)
	out := dst
	for src = src[xerialHeaderBytes:]; len(src) > 0; {
		if len(src) < 4 {
			return dst, fmt.Errorf("decompress snappy: %w", io.ErrUnexpectedEOF)
		}
		n := int64(binary.BigEndian.Uint32(src))
		if src = src[4:]; n > int64(len(src)) {
			return dst, fmt.Errorf("decompress snappy: %w", io.ErrUnexpectedEOF)
		}
		var err error
		if out, err = appendSnappyBlock(out, src[:n], limit-(len(out)-start)); err != nil {
			return dst, err
		}
		src = src[n:]
	}
	return out, nil
}

func appendSnappyBlock(dst, src []byte, limit int) ([]byte, error) {
	size, err := s2.DecodedLen(src)
	if err != nil {
		return dst, fmt.Errorf("decompress snappy: %w", err)
	}
	if size > limit {
		return dst, errTooLarge
	}
	start := len(dst)
	dst = room(dst, size)
	if _, err := s2.Decode(dst[start:start+size], src); err != nil {
		return dst[:start], fmt.Errorf("decompress snappy: %w", err)
	}
	return dst[:start+size], nil
}

// room makes space for n more bytes, growing by doubling.
func room(dst []byte, n int) []byte {
	if cap(dst)-len(dst) >= n {
		return dst
	}
	return append(make([]byte, 0, max(2*cap(dst), len(dst)+n)), dst...)
}
