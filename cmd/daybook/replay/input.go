package replay

import (
	"archive/zip"
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"sync/atomic"

	"github.com/klauspost/compress/gzip"
)

// Member is one file to read, after decompression: a file of the command line,
// stdin, or one file of a zip. Name is what rows get as their source.
type Member struct {
	Name string // base name; unique within one replay
	Path string // as given; for messages and the headers of bad lines
	open func(ctx context.Context) (io.ReadCloser, error)
}

// Open starts reading the member's lines, decompressed, until ctx ends.
func (m *Member) Open(ctx context.Context) (io.ReadCloser, error) {
	r, err := m.open(ctx)
	if err != nil {
		return nil, fmt.Errorf("open input %s: %w", m.Path, err)
	}
	return r, nil
}

// Inputs are the members of all files of a command line. It owns the zip
// archives that are open: Close them.
type Inputs struct {
	Members []*Member
	Bytes   int64        // size on disk of all files; 0 if unknown (stdin)
	Read    atomic.Int64 // bytes read from disk so far, for progress
	closers []io.Closer
}

// Close releases the archives and temporary files.
func (in *Inputs) Close() error {
	var first error
	for _, c := range in.closers {
		if err := c.Close(); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// OpenInputs looks at every path ("-" is stdin) and lists what there is to
// read. Zip archives are opened, so that each of their files is a member of
// its own. Two members never share a name, because a row's id is made from it.
func OpenInputs(paths []string, stdin io.Reader) (*Inputs, error) {
	in := new(Inputs)
	for _, p := range paths {
		if err := in.add(p, stdin); err != nil {
			return nil, errorAfterClose(in, err)
		}
	}
	byName := make(map[string]int)
	for _, m := range in.Members {
		byName[m.Name]++
	}
	for _, m := range in.Members {
		if byName[m.Name] > 1 {
			m.Name = m.Path
		}
	}
	seen := make(map[string]bool)
	for _, m := range in.Members {
		if seen[m.Name] {
			return nil, errorAfterClose(in, fmt.Errorf("list inputs: %s is named twice", m.Path))
		}
		seen[m.Name] = true
	}
	return in, nil
}

func errorAfterClose(in *Inputs, err error) error {
	_ = in.Close() // the first error is the one to tell
	return err
}

func (in *Inputs) add(name string, stdin io.Reader) error {
	if name == "-" {
		in.Members = append(in.Members, &Member{Name: "stdin", Path: "-", open: func(ctx context.Context) (io.ReadCloser, error) {
			r := untilDone(ctx, stdin)
			return decompress(&countingReader{r: r, n: &in.Read, c: r})
		}})
		return nil
	}
	f, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("open input: %w", err)
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = fmt.Errorf("%s is a folder; name its files", name)
	}
	if err != nil {
		_ = f.Close()
		return fmt.Errorf("open input %s: %w", name, err)
	}
	if info.Mode().IsRegular() {
		in.Bytes += info.Size()
	}
	magic := make([]byte, 4)
	n, _ := io.ReadFull(f, magic) // a shorter file has no magic
	if info.Mode().IsRegular() && bytes.Equal(magic[:n], []byte("PK\x03\x04")) {
		return in.addZip(name, f, info.Size())
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("close input %s: %w", name, err)
	}
	in.Members = append(in.Members, &Member{Name: filepath.Base(name), Path: name, open: func(context.Context) (io.ReadCloser, error) {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		return decompress(&countingReader{r: f, n: &in.Read, c: f})
	}})
	return nil
}

// untilDone reads r until ctx ends. A read of a terminal or a pipe waits for as long
// as nothing comes, and no signal ends it: it is left to a goroutine that may stay
// there until the process ends.
func untilDone(ctx context.Context, r io.Reader) io.ReadCloser {
	out, in := io.Pipe()
	stop := context.AfterFunc(ctx, func() { _ = in.CloseWithError(context.Cause(ctx)) })
	go func() {
		defer stop()
		_, err := io.Copy(in, r)
		_ = in.CloseWithError(err) // nil is the end; after ctx the cause stays
	}()
	return out
}

// addZip lists the files of an archive as members, in the archive's order.
func (in *Inputs) addZip(name string, f *os.File, size int64) error {
	in.closers = append(in.closers, f)
	archive, err := zip.NewReader(f, size)
	if err != nil {
		return fmt.Errorf("open archive %s: %w", name, err)
	}
	for _, file := range archive.File {
		if file.FileInfo().IsDir() {
			continue
		}
		in.Members = append(in.Members, &Member{
			Name: path.Base(file.Name), Path: name + "/" + file.Name,
			open: func(context.Context) (io.ReadCloser, error) {
				r, err := file.Open()
				if err != nil {
					return nil, err
				}
				in.Read.Add(int64(file.CompressedSize64)) // as coarse as the archive's files
				return decompress(r)
			},
		})
	}
	return nil
}

// decompress looks at the first bytes: gzip (one or several members) is
// undone, anything else passes. The name says nothing about the content.
func decompress(r io.ReadCloser) (io.ReadCloser, error) {
	buffered := bufio.NewReaderSize(r, 1<<16)
	magic, _ := buffered.Peek(2) // a shorter file has no magic
	if !bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		return &readCloser{buffered, r}, nil
	}
	z, err := gzip.NewReader(buffered)
	if err != nil {
		_ = r.Close()
		return nil, fmt.Errorf("read gzip: %w", err)
	}
	return &readCloser{z, r}, nil
}

type readCloser struct {
	io.Reader
	io.Closer
}

// countingReader counts the bytes taken from disk.
type countingReader struct {
	r io.Reader
	n *atomic.Int64
	c io.Closer
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n.Add(int64(n))
	return n, err
}

func (c *countingReader) Close() error { return c.c.Close() }
