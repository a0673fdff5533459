package readapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"daybook/clickhouse/query"
)

// definitionsVersion numbers the definitions of the figures (SEMANTICS.md
// section 6); it changes when a figure would come out differently.
const definitionsVersion = "1"

// Headers that carry the stamp, on JSON and CSV alike.
const (
	headerAsOf        = "Daybook-As-Of"
	headerThrough     = "Daybook-Complete-Through"
	headerTzdata      = "Daybook-Tzdata-Version"
	headerDefinitions = "Daybook-Definitions-Version"
)

// Stamp stands in every answer: when it was asked, how far it is complete, and
// by which rules.
type Stamp struct {
	AsOf               time.Time  `json:"as_of" doc:"Start of the first query, RFC 3339 UTC."`
	CompleteThrough    *time.Time `json:"complete_through" doc:"Nothing more is expected before this instant, RFC 3339 UTC; null while a partition concerned has no owner."`
	TzdataVersion      string     `json:"tzdata_version" doc:"Version of the time-zone data."`
	DefinitionsVersion string     `json:"definitions_version" doc:"Version of the definitions of the figures."`
}

func (s *Stamp) stamped() *Stamp { return s }

func (s *Stamp) write(h http.Header) {
	h.Set(headerAsOf, s.AsOf.Format(time.RFC3339Nano))
	through := "null"
	if s.CompleteThrough != nil {
		through = s.CompleteThrough.Format(time.RFC3339Nano)
	}
	h.Set(headerThrough, through)
	h.Set(headerTzdata, s.TzdataVersion)
	h.Set(headerDefinitions, s.DefinitionsVersion)
}

// List is the answer of every list.
type List[T any] struct {
	Stamp

	Items      []T     `json:"items" nullable:"false" doc:"The rows of this page."`
	NextCursor *string `json:"next_cursor" doc:"Pass as cursor for the next page; null on the last one."`
}

// newStamp begins an answer: as_of is now, before the first query.
func (a *API) newStamp() Stamp {
	return Stamp{
		AsOf:          a.cfg.Clock().UTC().Truncate(time.Millisecond),
		TzdataVersion: a.cfg.TzdataVersion, DefinitionsVersion: definitionsVersion,
	}
}

// freshen fills in complete_through for a network, or for all of them.
func (a *API) freshen(ctx context.Context, s *Stamp, question query.Watermarks) error {
	complete, err := a.completeness(ctx, question)
	if err == nil {
		s.complete(complete(nil))
	}
	return err
}

// completeness reads what complete_through is told from. The function that it
// gives tells it for one partition, or for all if only is nil.
func (a *API) completeness(ctx context.Context, question query.Watermarks) (func(only *int32) query.FreshnessRow, error) {
	var (
		marks      []query.Watermark
		partitions []query.Partition
	)
	err := together( // whichever is read first claims less, never more
		func() error {
			for m, err := range question.Run(ctx, a.db) {
				if err != nil {
					return a.storage(ctx, "watermarks", err)
				}
				marks = append(marks, m)
			}
			return nil
		},
		func() (err error) { partitions, err = a.partitions.read(ctx, a); return err },
	)
	return func(only *int32) query.FreshnessRow { return query.Complete(partitions, marks, only) }, err
}

func (s *Stamp) complete(row query.FreshnessRow) {
	s.CompleteThrough = nil
	if row.CompleteThrough != nil {
		through := row.CompleteThrough.UTC()
		s.CompleteThrough = &through
	}
}

// partitionsAge is how long a report of the workers serves other requests.
// They report about once a second; an older one claims less, never more.
const partitionsAge = 250 * time.Millisecond

// partitionCache keeps what the workers last said: every answer needs it, and
// it is the same for all.
type partitionCache struct {
	mu   sync.Mutex
	at   time.Time
	rows []query.Partition
}

func (c *partitionCache) read(ctx context.Context, a *API) ([]query.Partition, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := a.cfg.Clock()
	if age := now.Sub(c.at); c.rows != nil && 0 <= age && age < partitionsAge {
		return c.rows, nil
	}
	rows := []query.Partition{}
	for p, err := range (query.Partitions{}).Run(ctx, a.db) {
		if err != nil {
			return nil, a.storage(ctx, "partitions", err)
		}
		rows = append(rows, p)
	}
	c.at, c.rows = now, rows
	return rows, nil
}

// storage logs why a read failed, without anything of the question, and gives
// the answer to it.
func (a *API) storage(ctx context.Context, question string, err error) error {
	if ctx.Err() == nil || errors.Is(ctx.Err(), context.DeadlineExceeded) {
		a.cfg.Logger.LogAttrs(ctx, slog.LevelError, "read failed", slog.String("question", question), slog.Any("error", err))
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err = errors.Join(err, context.DeadlineExceeded)
	}
	return fromStorage(err)
}

// register adds a route whose answer is JSON of type B, or CSV of the same.
func register[I, B any](a *API, op huma.Operation, csv bool, handler func(context.Context, *I) (*huma.StreamResponse, error)) {
	registry := a.huma.OpenAPI().Components.Schemas
	op.Responses = map[string]*huma.Response{
		"200": {
			Description: "The answer.",
			Content: map[string]*huma.MediaType{
				"application/json": {Schema: registry.Schema(reflect.TypeFor[B](), true, op.OperationID)},
			},
			Headers: map[string]*huma.Param{
				headerAsOf: {Schema: &huma.Schema{Type: "string"}}, headerThrough: {Schema: &huma.Schema{Type: "string"}},
			},
		},
	}
	if csv {
		op.Responses["200"].Content["text/csv"] = &huma.MediaType{Schema: &huma.Schema{Type: "string"}}
	}
	errSchema := registry.Schema(reflect.TypeFor[Problem](), true, "Problem")
	for status, why := range map[string]string{
		"304": "Not modified since the given ETag.", "401": "No key, or a wrong one.", "404": "Unknown network or user.",
		"422": "A parameter is wrong.", "503": "Storage did not answer; Retry-After says when to try again.", "default": "Any other problem.",
	} {
		op.Responses[status] = &huma.Response{Description: why}
		if status != "304" {
			op.Responses[status].Content = map[string]*huma.MediaType{"application/problem+json": {Schema: errSchema}}
		}
	}
	huma.Register(a.huma, op, handler)
}

// answer sends a JSON body with its stamp and ETag.
func answer[B interface{ stamped() *Stamp }](status int, body B) *huma.StreamResponse {
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		r, w := humago.Unwrap(hc)
		s := body.stamped()
		s.write(w.Header())
		full := encode(body)
		// The tag leaves the stamp out: a dashboard that asks again gets 304 as long as
		// the rows are the same, and reads the new stamp from the headers.
		kept := *s
		s.AsOf, s.CompleteThrough = time.Time{}, nil
		bare := encode(body)
		*s = kept
		w.Header().Set("Content-Type", "application/json")
		if status != http.StatusOK {
			w.WriteHeader(status)
			_, _ = w.Write(full)
			return
		}
		serveTagged(w, r, full, bare)
	}}
}

func encode(v any) []byte {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic("answer cannot be encoded: " + err.Error()) // our own plain structs
	}
	return out.Bytes()
}

// serveTagged answers body, or 304 if the client holds what tagged stands for.
func serveTagged(w http.ResponseWriter, r *http.Request, body, tagged []byte) {
	sum := sha256.Sum256(tagged)
	tag := `W/"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	h := w.Header()
	h.Set("ETag", tag)
	h.Set("Cache-Control", "private, no-cache")
	h.Add("Vary", "Accept, Authorization, Cookie")
	for given := range strings.SplitSeq(r.Header.Get("If-None-Match"), ",") {
		given = strings.TrimSpace(given)
		if given == "*" || given != "" && strings.TrimPrefix(given, "W/") == strings.TrimPrefix(tag, "W/") {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	_, _ = w.Write(body) // a client that is gone needs no answer
}
