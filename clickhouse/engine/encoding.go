package engine

import (
	"bytes"
	"compress/flate"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/ClickHouse/ch-go/compress"
	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// frameSize is the most that one native frame holds: the server's own
// max_compress_block_size.
const frameSize = 1 << 20

// decodeBody undoes a Content-Encoding.
func decodeBody(encoding string, r io.Reader) (io.Reader, error) {
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "", "identity":
		return r, nil
	case "gzip", "x-gzip":
		z, err := gzip.NewReader(r)
		return z, encodingError(err)
	case "deflate":
		z, err := zlib.NewReader(r)
		return z, encodingError(err)
	case "br":
		return brotli.NewReader(r), nil
	case "lz4":
		return lz4.NewReader(r), nil
	case "zstd":
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(64<<20))
		if err != nil {
			return nil, encodingError(err)
		}
		return z.IOReadCloser(), nil
	default:
		return nil, &Error{Code: codeNotImplemented, Text: "Unknown Content-Encoding " + strconv.Quote(encoding) + ". (NOT_IMPLEMENTED)"}
	}
}

func encodingError(err error) error {
	if err == nil {
		return nil
	}
	return &Error{Code: codeCannotDecompress, Text: "Cannot decompress the request body: " + err.Error() + ". (CANNOT_DECOMPRESS)"}
}

// frameReader undoes native framing (decompress=1).
type frameReader struct {
	r   *compress.Reader
	err error // sticky: after its end the reader would give its last block again
}

func newFrameReader(r io.Reader) io.Reader { return &frameReader{r: compress.NewReader(r)} }

func (f *frameReader) Read(b []byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	n, err := f.r.Read(b)
	switch {
	case err == nil:
	case errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		f.err = io.EOF
	default:
		f.err = encodingError(err)
	}
	return n, f.err
}

// encoder is the way from a format's bytes to the wire.
type encoder interface {
	io.WriteCloser
	Flush() error
	// exception writes b so that clients find it among the raw bytes.
	exception(b []byte) error
}

// chooseEncoding picks a response encoding from Accept-Encoding; "" for none.
// Cheap ones come first, unlike a server's list: both ends share this machine.
func chooseEncoding(accept string) string {
	for _, name := range []string{"zstd", "lz4", "gzip", "deflate", "br"} {
		for part := range strings.SplitSeq(accept, ",") {
			token, quality, _ := strings.Cut(part, ";")
			if strings.EqualFold(strings.TrimSpace(token), name) && !zeroQuality(quality) {
				return name
			}
		}
	}
	return ""
}

func zeroQuality(s string) bool {
	q, ok := strings.CutPrefix(strings.TrimSpace(s), "q=")
	v, err := strconv.ParseFloat(q, 64)
	return ok && err == nil && v == 0
}

// newEncoder wraps w in a content encoding.
func newEncoder(name string, w io.Writer) encoder {
	switch name {
	case "gzip":
		z, _ := gzip.NewWriterLevel(w, gzip.BestSpeed) // the level is valid
		return contentEncoder{z}
	case "deflate":
		z, _ := zlib.NewWriterLevel(w, flate.BestSpeed) // the level is valid
		return contentEncoder{z}
	case "br":
		return contentEncoder{brotli.NewWriterLevel(w, brotli.BestSpeed)}
	case "lz4":
		return contentEncoder{lz4.NewWriter(w)}
	case "zstd":
		z, _ := zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1)) // the options are valid
		return contentEncoder{z}
	default:
		return contentEncoder{plainWriter{w}}
	}
}

// flushWriter is what every codec offers.
type flushWriter interface {
	io.WriteCloser
	Flush() error
}

type contentEncoder struct{ flushWriter }

func (e contentEncoder) exception(b []byte) error {
	_, err := e.Write(b)
	return errors.Join(err, e.Flush())
}

type plainWriter struct{ io.Writer }

func (plainWriter) Close() error { return nil }
func (plainWriter) Flush() error { return nil }

// frameEncoder writes native frames (compress=1).
type frameEncoder struct {
	w io.Writer
	c *compress.Writer
	// small gathers small chunks, so that a frame is worth its header.
	small bytes.Buffer
}

func newFrameEncoder(method string, w io.Writer) encoder {
	m := compress.LZ4
	switch strings.ToUpper(method) {
	case "ZSTD":
		m = compress.ZSTD
	case "NONE":
		m = compress.None
	}
	return &frameEncoder{w: w, c: compress.NewWriter(compress.LevelZero, m)}
}

func (f *frameEncoder) Write(b []byte) (int, error) {
	total := len(b)
	if f.small.Len() > 0 || len(b) < frameSize/4 {
		f.small.Write(b)
		if f.small.Len() < frameSize/4 {
			return total, nil
		}
		b = f.small.Bytes()
		defer f.small.Reset()
	}
	return total, f.frames(b)
}

func (f *frameEncoder) frames(b []byte) error {
	for len(b) > 0 {
		n := min(len(b), frameSize)
		if err := f.c.Compress(b[:n]); err != nil {
			return err
		}
		if _, err := f.w.Write(f.c.Data); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

func (f *frameEncoder) Flush() error {
	defer f.small.Reset()
	return f.frames(f.small.Bytes())
}

func (f *frameEncoder) Close() error { return f.Flush() }

// exception goes out in an uncompressed frame: clickhouse-go looks for its
// marker in the raw bytes.
func (f *frameEncoder) exception(b []byte) error {
	if err := f.Flush(); err != nil {
		return err
	}
	f.c = compress.NewWriter(compress.LevelZero, compress.None)
	return f.frames(b)
}
