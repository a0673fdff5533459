package readapi

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"daybook/clickhouse/export"
)

// FormatInput says which form the answer takes; every list embeds it.
type FormatInput struct {
	Accept string `header:"Accept" doc:"text/csv asks for CSV." hidden:"true"`
	Format string `query:"format" enum:"json,csv" doc:"Form of the answer; goes before Accept."`
	Raw    string `query:"raw" enum:"0,1" doc:"1 switches the formula guard of CSV cells off, for machines."`
}

// csv says whether CSV is wanted: by format, else by the first of the two
// types in Accept that has a quality above that of the other.
func (f FormatInput) csv() bool {
	if f.Format != "" {
		return f.Format == "csv"
	}
	csvQ, jsonQ := 0.0, 0.0
	for part := range strings.SplitSeq(f.Accept, ",") {
		kind, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		q := 1.0
		if given, err := strconv.ParseFloat(params["q"], 64); err == nil {
			q = given
		}
		switch kind {
		case "text/csv":
			csvQ = max(csvQ, q)
		case "application/json", "application/*", "*/*":
			jsonQ = max(jsonQ, q)
		}
	}
	return csvQ > 0 && csvQ >= jsonQ
}

// file is a CSV answer to be.
type file struct {
	name    string // from ids that the server checked
	columns []string
	raw     bool
	stamp   Stamp
	rows    func(context.Context, *export.CSV) error
}

// csvFile begins a CSV answer of this format.
func (f FormatInput) csvFile(name string, s Stamp, columns ...string) file {
	return file{name: name, columns: columns, raw: f.Raw == "1", stamp: s}
}

// stream sends a CSV while it is read: constant memory, the whole range. The
// status waits for the first block, so an error before it is still a problem
// document; one after it cuts the connection, for a short file must not pass
// for a whole one. ctx is the request's, not one with the deadline of other
// answers.
func (a *API) stream(ctx context.Context, f file) *huma.StreamResponse {
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		r, w := humago.Unwrap(hc)
		select {
		case a.exports <- struct{}{}:
		default:
			writeProblem(w, problem(http.StatusServiceUnavailable, "too_many_exports", "as many CSV answers as this server allows are being sent", "",
				"try again in a while").with("Retry-After", "10"))
			return
		}
		running := a.metrics.exports.WithLabelValues("running")
		running.Inc()
		defer func() { running.Dec(); <-a.exports }()
		ctx, cancel := context.WithTimeout(ctx, a.cfg.ExportTimeout)
		defer cancel()

		out := &csvBody{w: w, file: f}
		if r.Method == http.MethodHead {
			out.head()
			return
		}
		body := export.NewCSV(out, f.columns, export.Raw(f.raw))
		err := f.rows(ctx, body)
		if err == nil {
			err = body.Flush()
		}
		if err == nil {
			return
		}
		if !out.begun {
			writeProblem(w, fromStorage(a.storage(ctx, "export", err)))
			return
		}
		if ctx.Err() == nil {
			a.cfg.Logger.LogAttrs(ctx, slog.LevelError, "export broke off", slog.Int64("rows", body.Rows()), slog.Any("error", err))
		}
		panic(http.ErrAbortHandler)
	}}
}

// csvBody writes the headers before the first block, and gives every block a
// new deadline: a client that does not read for that long is cut off.
type csvBody struct {
	w     http.ResponseWriter
	file  file
	begun bool
}

var _ io.Writer = (*csvBody)(nil)

func (b *csvBody) head() {
	h := b.w.Header()
	h.Set("Content-Type", "text/csv; charset=utf-8; header=present")
	h.Set("Content-Disposition", `attachment; filename="`+b.file.name+`.csv"`)
	h.Set("Cache-Control", "no-store")
	b.file.stamp.write(h)
	b.w.WriteHeader(http.StatusOK)
	b.begun = true
}

// Write sends one block.
func (b *csvBody) Write(p []byte) (int, error) {
	if !b.begun {
		b.head()
	}
	_ = http.NewResponseController(b.w).SetWriteDeadline(time.Now().Add(writeTimeout)) // a test's recorder has none
	return b.w.Write(p)
}

// userTag stands for a user in a file name: ids may hold anything, so the name
// bears a part of their hash.
func userTag(user string) string {
	sum := sha256.Sum256([]byte(user))
	return hex.EncodeToString(sum[:4])
}

// clock formats seconds as h:mm:ss.
func clock(seconds int64) string {
	return fmt.Sprintf("%d:%02d:%02d", seconds/3600, seconds/60%60, seconds%60)
}
